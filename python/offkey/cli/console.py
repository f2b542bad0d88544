"""What the commands print: results to stdout, everything else to stderr; quiet when piped."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

__all__ = ["error", "note", "print_json", "progress", "result", "show_warnings", "stderr", "warn"]

stderr = Console(stderr=True, highlight=False, soft_wrap=True)


def result(text: str) -> None:
    """Print a result to stdout, plain."""
    sys.stdout.write(text if text.endswith("\n") else text + "\n")


def print_json(value: Any) -> None:
    """Print a result to stdout as JSON."""
    result(json.dumps(value, indent=2, allow_nan=False, default=str))


def note(text: str) -> None:
    """Say something that is not the result, on stderr."""
    stderr.print(Text(text))


def error(text: str) -> None:
    """Say what is wrong, on stderr."""
    stderr.print(Text.assemble(("error: ", "bold red"), text))


def warn(text: str) -> None:
    """Say what a user should know, on stderr."""
    stderr.print(Text.assemble(("note: ", "bold yellow"), text))


@contextmanager
def show_warnings() -> Iterator[None]:
    """Print Python warnings in the style of `warn` instead of with file and line."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: warn(str(message))
        yield


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Yield a function of (done, total) that draws a bar on a terminal and is silent elsewhere."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=stderr, transient=True, disable=not stderr.is_terminal) as bars:
        task = bars.add_task(what, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)
