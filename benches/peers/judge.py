"""Kinds of bars, and how one is judged by the lines of a case."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

OURS = "ours"
Line = dict[str, Any]


@dataclass(frozen=True)
class Verdict:
    """What a bar says, what was found, and whether it is met; None where something was not measured."""

    bar: str
    found: float | None
    met: bool | None
    of_fastest_calls: float | None = None
    """The same from the fastest calls instead of the medians: far from `found` where the machine was not quiet."""


class Bar(Protocol):
    """A condition on the lines of one case."""

    def judge(self, lines: list[Line]) -> Verdict: ...


def chosen(lines: list[Line], which: str, threads: int) -> list[Line]:
    """Measured lines: of a kind (ours, floor, peer), or whose names start so."""
    kinds = {OURS: "ours", "floor": "floor", "the fastest peer": "peer"}
    matches = (
        (lambda line: line["kind"] == kinds[which])
        if which in kinds
        else (lambda line: line["name"].startswith(which))
    )
    return [line for line in lines if "median" in line and line["threads"] == threads and matches(line)]


def fastest(lines: list[Line], which: str, threads: int = 1, by: str = "median") -> Line | None:
    return min(chosen(lines, which, threads), key=lambda line: line[by], default=None)


def ratio(lines: list[Line], above: tuple[str, int], below: tuple[str, int], by: str) -> float | None:
    """Of the times of two contenders, each with its number of threads."""
    a, b = fastest(lines, *above, by=by), fastest(lines, *below, by=by)
    return a[by] / b[by] if a and b else None


def both(
    lines: list[Line], above: tuple[str, int], below: tuple[str, int]
) -> tuple[float | None, float | None]:
    return ratio(lines, above, below, "median"), ratio(lines, above, below, "least")


@dataclass(frozen=True)
class AtMost:
    """Ours takes at most so many times as long as the other."""

    factor: float
    other: str
    threads: int = 1

    def judge(self, lines: list[Line]) -> Verdict:
        found, least = both(lines, (OURS, self.threads), (self.other, self.threads))
        met = None if found is None else found <= self.factor
        return Verdict(f"at most {self.factor:g}x of {self.other}", found, met, least)


@dataclass(frozen=True)
class Times:
    """Ours is at least so many times as fast as the other."""

    factor: float
    other: str
    threads: int = 1

    def judge(self, lines: list[Line]) -> Verdict:
        found, least = both(lines, (self.other, self.threads), (OURS, self.threads))
        met = None if found is None else found >= self.factor
        lane = "" if self.threads == 1 else f", {self.threads} threads"
        return Verdict(f"{self.factor:g} times as fast as {self.other}{lane}", found, met, least)


@dataclass(frozen=True)
class Scales:
    """Two threads of ours are at least so many times as fast as one, or as so large a part of the floor's ratio."""

    factor: float
    of_floor: bool = False

    def judge(self, lines: list[Line]) -> Verdict:
        found, least = both(lines, (OURS, 1), (OURS, 2))
        bar = f"two threads {self.factor:g} times one"
        if self.of_floor:
            bar = f"two threads scale as {self.factor:.0%} of the floor's ratio"
            floor, floor_least = both(lines, ("floor", 1), ("floor", 2))
            found = found / floor if found and floor else None
            least = least / floor_least if least and floor_least else None
        return Verdict(bar, found, None if found is None else found >= self.factor, least)


@dataclass(frozen=True)
class Figure:
    """A figure of our check lies within bounds."""

    name: str
    low: float = float("-inf")
    high: float = float("inf")

    def judge(self, lines: list[Line]) -> Verdict:
        found = next((line["check"].get(self.name) for line in chosen(lines, OURS, 1)), None)
        return Verdict(f"{self.name} {self._bounds()}", found, None if found is None else self.holds(found))

    def holds(self, found: float) -> bool:
        """Whether a figure lies within the bounds; NaN does not."""
        return self.low <= found <= self.high

    def objection(self, check: dict[str, float]) -> str | None:
        """What is wrong with the figures of a check, if they hold this one."""
        found = check.get(self.name, self.high)
        return None if self.holds(found) else f"{self.name} {found:.3g}, expected {self._bounds()}"

    def _bounds(self) -> str:
        if self.low == -self.high:
            return f"within {self.high:g}"
        return f"at most {self.high:g}" if self.low == float("-inf") else f"at least {self.low:g}"


@dataclass(frozen=True)
class Row:
    """One line of the table: a case of a group, and its bars."""

    work: str
    group: str
    case: str
    bars: tuple[Bar, ...] = ()

    def judge(self, lines: Iterable[Line]) -> list[Verdict]:
        kept = list(lines)
        return [bar.judge(kept) for bar in self.bars]


def within(name: str, bound: float) -> Figure:
    return Figure(name, -bound, bound)


def at_most(name: str, high: float) -> Figure:
    return Figure(name, high=high)


def at_least(name: str, low: float) -> Figure:
    return Figure(name, low=low)
