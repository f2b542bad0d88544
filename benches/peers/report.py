"""The table: as JSON, as Markdown, and on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from peers import groups
from peers.bars import FASTEST, ROWS
from peers.judge import OURS, Line, Row, Verdict, fastest

HEADER = ("work", "offkey", "fastest peer", "floor", "bars", "two threads")
MARKS = {True: "met", False: "**missed**", None: "not measured"}


def number(value: float | None) -> str:
    """Three digits."""
    if value is None:
        return ""
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def clause(verdict: Verdict) -> str:
    """A bar in words: what was found, and against which bar."""
    found = f" {number(verdict.found)}" if verdict.found is not None else ""
    return f"{verdict.bar}:{found} {MARKS[verdict.met]}"


def time_of(line: Line | None, unit: str) -> str:
    return f"{number(line['median'])} {unit.split()[0]}" if line else ""


def scaling(lines: list[Line]) -> str:
    """How many times as fast two threads of ours and of the floor are."""
    cells = []
    for name, which in (("offkey", OURS), ("floor", "floor")):
        one, two = fastest(lines, which, 1), fastest(lines, which, 2)
        if one and two:
            cells.append(f"{name} {one['median'] / two['median']:.2f}x")
    return ", ".join(cells)


def cells(row: Row, lines: list[Line]) -> tuple[str, ...]:
    unit, peer = groups.load(row.group).unit, fastest(lines, FASTEST)
    return (
        row.work,
        time_of(fastest(lines, OURS), unit),
        f"{time_of(peer, unit)} ({peer['name']})" if peer else "",
        time_of(fastest(lines, "floor"), unit),
        "; ".join(clause(verdict) for verdict in row.judge(lines)),
        scaling(lines),
    )


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
    table = [HEADER, ("---",) * len(HEADER), *(cells(row, lines) for row, lines in measured(results))]
    text = "\n".join("| " + " | ".join(line) + " |" for line in table)
    parts = [text, origin(machine), summary(results) + "."]
    if left_out := missing(results):
        parts.append("Left out: " + "; ".join(left_out) + ".")
    return "\n\n".join(parts) + "\n"


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
    for name in HEADER:
        table.add_column(name)
    for row, lines in measured(results):
        *first, _, last = cells(row, lines)
        table.add_row(*first, brief(row, lines), last)
    console.print(table)
    for reason in missing(results):
        console.print(f"left out: {reason}", markup=False)
    console.print(f"{origin(machine)}\n{summary(results)}", markup=False)
