"""Scores as a terminal shows them: the oddest recordings first, in words."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from rich.cells import cell_len, chop_cells

from offkey._util.text_table import printable
from offkey.cli.pace import duration
from offkey.score_file import ANOMALY_SCORE, START, is_score
from offkey.scores import ScoreTable
from offkey.scoring.rarity import odds

__all__ = ["MOST", "listing", "oddest_lines", "shortened"]

MOST = 20
"""Rows that a terminal shows unless more are asked for."""
_MOST_FAILED = 10
_VERDICTS = {1: "sounds wrong", 0: "healthy", None: "undecided"}
_LEAST_PATH, _LEAST_WARNING, _LEAST_REASON = 12, 24, 20  # letters
_GAP = "  "


def listing(table: ScoreTable, *, width: int, most: int = MOST, scores: bool = False) -> str:
    """Return a table as lines that fit a terminal, the oddest recordings first, those without a score last.

    Parameters
    ----------
    table
        The scores.
    width
        Of the terminal, in letters.
    most
        How many rows with scores are shown; the last line says how many there are beside.
    scores
        Whether to show raw and standardised scores and thresholds too.
    """
    rows = [dict(row) for row in table.rows()]
    scored = sorted((row for row in rows if row["error"] is None), key=_oddness)
    failed = [row for row in rows if row["error"] is not None]
    lines = _scored_lines(scored[:most], table.score_names if scores else (), width) if scored else []
    if rest := scored[most:]:
        wrong = sum(row["decision"] == 1 for row in rest)
        some = f", {wrong:,} of which sound{'s' * (wrong == 1)} wrong" if wrong else ""
        more = (
            f"and {len(rest):,} more{some}: --top {min(len(scored), 5 * most)} shows more, --out FILE has all"
        )
        lines += ["", *_wrapped(more, width)]
    if failed:
        lines += [*([""] if lines else []), *_failed_lines(failed[:_MOST_FAILED], width)]
        if len(failed) > _MOST_FAILED:
            more = f"and {len(failed) - _MOST_FAILED:,} more without a score: --out FILE says why"
            lines += _wrapped(more, width)
    return "\n".join(lines or ["no recording has a score"]) + "\n"


def shortened(path: str, width: int) -> str:
    """Return the end of a path in at most so many letters of a terminal, whole names of it where there is room.

    Examples
    --------
    >>> shortened("/data/plant/fan/id_00/x.wav", 20)
    '…/fan/id_00/x.wav'
    """
    if cell_len(path) <= width:
        return path
    end, room = len(path), width - 1
    while end and (room := room - cell_len(path[end - 1])) >= 0:
        end -= 1
    tail = path[end:]
    while tail and not cell_len(tail[0]):  # a mark on the letter that is gone
        tail = tail[1:]
    name = tail.find("/")
    return "…" + (tail[name:] if 0 <= name < len(tail) - 1 else tail)


def oddest_lines(rows: Sequence[Mapping[str, Any]], width: int | None) -> list[str]:
    """Return rows with scores as lines, in their order; nothing is shortened where there is no width."""
    return _scored_lines(rows, (), sys.maxsize if width is None else width)


def _oddness(row: Mapping[str, Any]) -> tuple[float, float]:
    return 2.0 if row["p_value"] is None else row["p_value"], -row[ANOMALY_SCORE]


def _scored_lines(rows: Sequence[Mapping[str, Any]], scores: Sequence[str], width: int) -> list[str]:
    columns: dict[str, list[str]] = {
        "at": ["" if row.get(START) is None else duration(row[START]) for row in rows],
        "ID": [_machine(row) for row in rows],
        "verdict": [_VERDICTS[row["decision"]] for row in rows],
        "rarity": ["" if row["p_value"] is None else _rarity(row) for row in rows],
    }
    for name in (*scores, *(["threshold"] if scores else [])):
        columns[name] = ["" if row[name] is None else f"{row[name]:.4g}" for row in rows]
    columns = {name: [printable(cell) for cell in cells] for name, cells in columns.items() if any(cells)}
    widths = {name: max(map(cell_len, [name, *cells])) for name, cells in columns.items()}
    paths = [printable(row["path"]) for row in rows]
    longest = max(map(cell_len, [*paths, "recording"]))

    def room() -> int:
        return width - sum(widths[name] + len(_GAP) for name in columns)

    for name in ("ID", "at"):
        if room() < _LEAST_PATH and name in columns:
            del columns[name]
    path_width = min(longest, max(_LEAST_PATH, room()))
    warnings = [printable(row["warning"] or "") for row in rows]
    warning_width = room() - path_width - len(_GAP)
    if any(warnings) and warning_width < _LEAST_WARNING and room() >= 3 * _LEAST_WARNING:
        path_width -= _LEAST_WARNING - warning_width
        warning_width = _LEAST_WARNING
    lines = []
    heads = {name: [name, *cells] for name, cells in columns.items()}
    for at, path in enumerate(["recording", *paths]):
        cells = [_padded(shortened(path, path_width), path_width)]
        for name, texts in heads.items():
            right = name == "at" or is_score(name) or name == "threshold"
            cells.append(_padded(texts[at], widths[name], right=right))
        if any(warnings) and warning_width >= _LEAST_WARNING:
            cells.append(_cut((["warning", *warnings])[at], warning_width))
        lines.append(_GAP.join(cells).rstrip())
    return lines


def _failed_lines(rows: Sequence[Mapping[str, Any]], width: int) -> list[str]:
    paths = [printable(row["path"]) for row in rows]
    path_width = min(max(map(cell_len, [*paths, "without a score"])), max(_LEAST_PATH, width // 3))
    reason_width = max(_LEAST_REASON, width - path_width - len(_GAP))
    lines = [_GAP.join([_padded(shortened("without a score", path_width), path_width), "why"])]
    for row, path in zip(rows, paths, strict=True):
        why = printable(str(row["error"]).removeprefix(f"{row['path']}: "))
        first, *others = _wrapped(why, reason_width) or [""]
        lines.append(_GAP.join([_padded(shortened(path, path_width), path_width), first]).rstrip())
        lines += [" " * path_width + _GAP + other for other in others]
    return lines


def _machine(row: Mapping[str, Any]) -> str:
    """Return a recording's ID; that of the nearest machine is in question."""
    if row["machine_id"] is not None and row["machine_id"] == row["scored_as"]:
        return str(row["machine_id"])
    return f"{row['scored_as']}?" if row["scored_as"] is not None else ""


def _rarity(row: Mapping[str, Any]) -> str:
    how, words = odds(row)
    return f"<{words}" if how == "fewer than" else words


def _padded(text: str, width: int, *, right: bool = False) -> str:
    space = " " * (width - cell_len(text))
    return space + text if right else text + space


def _cut(text: str, width: int) -> str:
    return text if cell_len(text) <= width else chop_cells(text, width - 1)[0] + "…"


def _wrapped(text: str, width: int) -> list[str]:
    """Return text in lines of at most so many letters; a name that is longer is broken."""
    wide = sum(map(cell_len, text)) > len(text)
    return textwrap.wrap(text, width // 2 if wide else width, break_on_hyphens=False)
