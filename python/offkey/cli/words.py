"""Messages of Python's functions in the words of a command: its options."""

from __future__ import annotations

import copy
import re
from pathlib import Path

from cyclopts import App

from offkey.scores import ScoreTable

__all__ = ["in_options", "table_in_options"]

# What Python's functions call otherwise than the commands do.
_OTHER_NAMES = {"num_threads": "threads", "num_workers": "threads", "snrs_db": "snr_db", "root": "data"}
_PARAMETER = re.compile(
    r"(?<![.\w/\\-])"  # not within a path such as runs/seed=3/1.wav
    r"(?:`(?P<quoted>\w+)`|(?P<switch>\w+)=True\b|(?P<given>\w+)(?: = |=(?![^\s/\\]*[/\\]))(?=\S)"
    r"|(?<=\bgive )(?P<told>\w+)\b(?! ?=))"
)
_KNOWN: dict[tuple[str, ...], dict[str, str]] = {}
"""The options of commands that were asked for: to find them takes 40 ms."""
_FOLDER = "offkey.datasets.folder with a pattern or manifest"


def in_options(text: str, command: App) -> str:
    """Return a message that names parameters of Python's functions with the options of a command instead."""
    return _worded(text, _options(command))


def table_in_options(table: ScoreTable, command: App) -> ScoreTable:
    """Return a table whose errors and warnings name options."""
    options = _options(command)

    def worded(text: str | None, path: Path) -> str | None:
        if text is None:
            return None
        name = str(path) if text.startswith(str(path)) else ""  # it may look like a parameter
        return name + _worded(text.removeprefix(name), options)

    renamed = copy.copy(table)
    renamed.error = list(map(worded, table.error, table.path))
    renamed.warning = list(map(worded, table.warning, table.path))
    return renamed


def _options(command: App) -> dict[str, str]:
    """Return the option for each name that a parameter of Python's functions has."""
    if command.name not in _KNOWN:
        options = [argument.name for argument in command.assemble_argument_collection()]
        names = {option.lstrip("-").replace("-", "_").lower(): option for option in options}
        others = {other: names[name] for other, name in _OTHER_NAMES.items() if name in names}
        _KNOWN[command.name] = names | others
    return _KNOWN[command.name]


def _worded(text: str, options: dict[str, str]) -> str:
    def option(match: re.Match[str]) -> str:
        name = options.get(next(filter(None, match.groups())))
        return match[0] if name is None else f"{name} " if match["given"] else name

    return _PARAMETER.sub(option, text.replace(_FOLDER, "--layout folder with --pattern or --manifest"))
