"""Messages of Python's functions in the words of a command: its options."""

from __future__ import annotations

import re

from cyclopts import App

__all__ = ["in_options"]

# What Python's functions call otherwise than the commands do.
_OTHER_NAMES = {"num_threads": "threads", "num_workers": "threads", "snrs_db": "snr_db", "root": "data"}
_PARAMETER = re.compile(r"(?<![.\w])(?:`(?P<quoted>\w+)`|(?P<switch>\w+)=True\b|(?P<given>\w+) ?= ?(?=\S))")
_FOLDER = "offkey.datasets.folder with a pattern or manifest"


def in_options(text: str, command: App) -> str:
    """Return a message that names parameters of Python's functions with the options of a command instead."""
    options = [argument.name for argument in command.assemble_argument_collection()]
    names = {option.lstrip("-").replace("-", "_").lower(): option for option in options}
    names |= {other: names[name] for other, name in _OTHER_NAMES.items() if name in names}

    def option(match: re.Match[str]) -> str:
        name = names.get(match["quoted"] or match["switch"] or match["given"])
        return match[0] if name is None else f"{name} " if match["given"] else name

    return _PARAMETER.sub(option, text.replace(_FOLDER, "--layout folder with --pattern or --manifest"))
