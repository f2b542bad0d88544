"""The tables of figures, of bars and of two threads: as JSON, as Markdown, and on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from peers import groups
from peers.bars import FASTEST, ROWS
from peers.judge import OURS, Line, Row, Verdict, fastest

HEADER = ("work", "offkey", "fastest peer", "floor", "peer / offkey")
BARS = ("work", "bar", "measured", "")
THREADS = ("work", "offkey", "floor")
MARKS = {True: "met", False: "**missed**", None: "not measured"}


def number(value: float | None) -> str:
    """Three digits."""
    if value is None:
        return ""
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def times(factor: float) -> str:
    """A factor of speed; the next digit differs from run to run."""
    return f"{factor:.2f}x" if factor < 10 else f"{factor:.1f}x"


def clause(verdict: Verdict) -> str:
    """A bar in words: what was found, and against which bar."""
    found = f" {number(verdict.found)}" if verdict.found is not None else ""
    return f"{verdict.bar}:{found} {MARKS[verdict.met]}"


def time_of(line: Line | None, unit: str) -> str:
    return f"{number(line['median'])} {unit.split()[0]}" if line else ""


def scaling(row: Row, lines: list[Line]) -> tuple[str, ...] | None:
    """How many times as fast two threads of ours and of the floor are; None if neither was measured."""
    factors = []
    for which in (OURS, "floor"):
        one, two = fastest(lines, which, 1), fastest(lines, which, 2)
        factors.append(times(one["median"] / two["median"]) if one and two else "")
    return (row.work, *factors) if any(factors) else None


def cells(row: Row, lines: list[Line]) -> tuple[str, ...]:
    unit = groups.load(row.group).unit
    ours, peer = fastest(lines, OURS), fastest(lines, FASTEST)
    return (
        row.work,
        time_of(ours, unit),
        f"{time_of(peer, unit)} ({peer['name']})" if peer else "",
        time_of(fastest(lines, "floor"), unit),
        times(peer["median"] / ours["median"]) if peer and ours else "",
    )


def bars(row: Row, lines: list[Line]) -> list[tuple[str, ...]]:
    """A line for each bar of a row."""
    verdicts = row.judge(lines)
    return [(row.work, verdict.bar, number(verdict.found), MARKS[verdict.met]) for verdict in verdicts]


def measured(results: dict[str, Any]) -> Iterable[tuple[Row, list[Line]]]:
    """The rows whose groups have been run."""
    return ((row, results[row.group][row.case]) for row in ROWS if row.group in results)


def as_json(results: dict[str, Any], machine: dict[str, Any]) -> dict[str, Any]:
    rows = []
    for row, lines in measured(results):
        verdicts = [asdict(verdict) for verdict in row.judge(lines)]
        shown = dict(zip(HEADER, cells(row, lines), strict=True))
        rows.append(
            {"work": row.work, "group": row.group, "case": row.case, "shown": shown, "bars": verdicts}
        )
        rows[-1] |= {"unit": groups.load(row.group).unit, "contenders": lines}
    return {"machine": machine, "rows": rows}


def verdicts(results: dict[str, Any]) -> list[Verdict]:
    return [verdict for row, lines in measured(results) for verdict in row.judge(lines)]


def summary(results: dict[str, Any]) -> str:
    found = [verdict.met for verdict in verdicts(results)]
    met, missed, unknown = (found.count(which) for which in (True, False, None))
    return f"{met} of {len(found)} bars met, {missed} missed, {unknown} not measured"


def missing(results: dict[str, Any]) -> list[str]:
    """Contenders that could not run, with the reason; each reason once."""
    lines = (line for _, lines in measured(results) for line in lines if "error" in line)
    return sorted({f"{line['name']}: {line['error']}" for line in lines})


def origin(machine: dict[str, Any]) -> str:
    """Where the figures come from, in a sentence or two."""
    peers = ", ".join(f"{name} {version}" for name, version in machine["peers"].items())
    size = f"extension {machine['extension_bytes'] / 1e6:.1f} MB"
    size += "".join(f", wheel {bytes_ / 1e6:.1f} MB" for bytes_ in machine["wheel_bytes"].values())
    return (
        f"{machine['date']}, {machine['processor']}, {machine['cores']} cores, {machine['clock']}, "
        f"kernels at {machine['simd']}; offkey {machine['offkey']} ({size}), {machine['rustc']}, "
        f"Python {machine['python']}; {peers}."
    )


def as_markdown(results: dict[str, Any], machine: dict[str, Any]) -> str:
    rows = list(measured(results))
    parts = [table(HEADER, [cells(row, lines) for row, lines in rows]), origin(machine)]
    if left_out := missing(results):
        parts.append("Left out: " + "; ".join(left_out) + ".")
    factors = [line for row, lines in rows if (line := scaling(row, lines))]
    parts += ["## Two threads, times as fast as one", table(THREADS, factors)]
    judged = [line for row, lines in rows for line in bars(row, lines)]
    return "\n\n".join([*parts, "## Bars", summary(results) + ".", table(BARS, judged)]) + "\n"


def table(header: tuple[str, ...], lines: Iterable[tuple[str, ...]]) -> str:
    """A Markdown table."""
    return "\n".join("| " + " | ".join(line) + " |" for line in [header, ("---",) * len(header), *lines])


def brief(row: Row, lines: list[Line]) -> str:
    """How many bars are met, and which are not."""
    found = row.judge(lines)
    missed = [
        clause(verdict).replace("**missed**", "[red]missed[/red]") for verdict in found if not verdict.met
    ]
    return "\n".join([f"{len(found) - len(missed)} of {len(found)} met", *missed] if found else [])


def show(results: dict[str, Any], machine: dict[str, Any]) -> None:
    """Print the table as wide as the terminal is, or wide enough where there is none."""
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else 180)
    table = Table(show_lines=console.width < 140)
    for name in (*HEADER, "bars"):
        table.add_column(name)
    for row, lines in measured(results):
        table.add_row(*cells(row, lines), brief(row, lines))
    console.print(table)
    for reason in missing(results):
        console.print(f"left out: {reason}", markup=False)
    console.print(f"{origin(machine)}\n{summary(results)}", markup=False)
