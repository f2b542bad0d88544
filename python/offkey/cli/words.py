"""Messages of Python's functions in the words of a command: its options."""

from __future__ import annotations

import copy
import dataclasses
import re
from typing import Any

from cyclopts import App

from offkey.datasets import Survey
from offkey.score_file import Cell
from offkey.scores import ScoreTable

__all__ = ["description_in_options", "in_options", "survey_in_options", "table_in_options"]

# What Python's functions call otherwise than the commands do.
_OTHER_NAMES = {
    "num_threads": "threads",
    "num_workers": "threads",
    "snrs_db": "snr_db",
    "root": "data",
    "cpus": "worker_cpus",
    "gpus": "worker_gpus",
}
_PARAMETER = re.compile(
    r"(?<![.\w/\\-])"  # not within a path such as runs/seed=3/1.wav
    r"(?:`(?P<quoted>\w+)`|(?P<switch>\w+)=True\b|(?P<given>\w+)(?: = |=(?![^\s/\\]*[/\\]))(?=\S)"
    r"|(?<=\bgive )(?P<told>\w+)\b(?! ?=))"
)
_IN_PYTHON = re.compile(r" \(in Python:? [^()]*\)|; in Python:? [^()]*(?=\))")
_KNOWN: dict[tuple[str, ...], dict[str, str]] = {}
"""The options of commands that were asked for: to find them takes 40 ms, and few texts have any."""
_FOLDER = "offkey.datasets.folder with a pattern or manifest"


def in_options(text: str, command: App) -> str:
    """Return a message that names parameters of Python's functions with the options of a command instead."""
    return _worded(text, command)


def description_in_options(description: dict[str, Any], command: App) -> dict[str, Any]:
    """Return a detector's description whose notes name options."""
    return description | {"notes": [in_options(note, command) for note in description["notes"]]}


def survey_in_options(survey: Survey, command: App) -> Survey:
    """Return a survey whose notes, and whose reason why nothing can be learned, name options."""
    return dataclasses.replace(
        survey,
        notes=tuple(in_options(note, command) for note in survey.notes),
        refusal=survey.refusal and in_options(survey.refusal, command),
    )


def table_in_options(table: ScoreTable, command: App) -> ScoreTable:
    """Return a table whose errors and warnings name options."""

    def worded(text: str | None, path: Cell) -> str | None:
        if text is None:
            return None
        name = str(path) if text.startswith(str(path)) else ""  # it may look like a parameter
        return name + _worded(text.removeprefix(name), command)

    paths = table.cells("path")

    renamed = copy.copy(table)
    renamed.error = list(map(worded, table.error, paths))
    renamed.warning = list(map(worded, table.warning, paths))
    return renamed


def _options(command: App) -> dict[str, str]:
    """Return the option for each name that a parameter of Python's functions has."""
    if command.name not in _KNOWN:
        options = [argument.name for argument in command.assemble_argument_collection()]
        names = {option.lstrip("-").replace("-", "_").lower(): option for option in options}
        others = {other: names[name] for other, name in _OTHER_NAMES.items() if name in names}
        _KNOWN[command.name] = names | others
    return _KNOWN[command.name]


def _worded(text: str, command: App) -> str:
    def option(match: re.Match[str]) -> str:
        name = _options(command).get(next(filter(None, match.groups())))
        return match[0] if name is None else f"{name} " if match["given"] else name

    told = _IN_PYTHON.sub("", text.replace(_FOLDER, "--layout folder with --pattern or --manifest"))
    return _PARAMETER.sub(option, told)
