"""The results of the check as one JSON and one Markdown file."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from parts import PARTS, Row, Setting


def write(out: Path, results: dict[str, dict[str, Any]], setting: Setting, seconds: float) -> None:
    """Write gpu.json and gpu.md."""
    about = {
        "date": time.strftime("%Y-%m-%d"),
        "device": setting.device,
        "quick": setting.quick,
        "seconds": round(seconds, 1),
    }
    (out / "gpu.json").write_text(json.dumps(about | {"parts": results}, indent=1) + "\n")
    (out / "gpu.md").write_text(markdown(about, results))


def markdown(about: dict[str, Any], results: dict[str, dict[str, Any]]) -> str:
    done = sum(result["status"] == "done" for result in results.values())
    first = f"{about['date']}, device {about['device']}: {done} of {len(results)} parts done, {about['seconds']:.0f} s."
    if about["quick"]:
        first += " A quick run, which tests the logic of the check; its figures mean nothing."
    return "\n\n".join(["# The check on a GPU", first, *map(section, results, results.values())]) + "\n"


def section(name: str, result: dict[str, Any]) -> str:
    """Return the table of a part; the end of its log, too, if it is not done."""
    blocks = [f"## {PARTS[name].title}", *map(table, alike(result["rows"]))]
    if result["status"] == "done":
        blocks.append(f"{result['seconds']:.0f} s")
    else:
        blocks.append(f"**{name}: {result['status']}**")
        if result["log"]:
            blocks.append(f"```\n{result['log'][-1500:].strip()}\n```")
    return "\n\n".join(blocks)


def alike(rows: list[Row]) -> list[list[Row]]:
    """Return runs of rows that have the same columns."""
    runs: list[list[Row]] = []
    for row in rows:
        if runs and runs[-1][0].keys() == row.keys():
            runs[-1].append(row)
        else:
            runs.append([row])
    return runs


def table(rows: list[Row]) -> str:
    lines = [
        list(rows[0]),
        ["---"] * len(rows[0]),
        *([cell(value) for value in row.values()] for row in rows),
    ]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def cell(value: Any) -> str:
    """Return four digits of a number; a text as it is; nothing for what could not be measured."""
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
