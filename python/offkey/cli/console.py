"""What the commands print: results to stdout, everything else to stderr; quiet when piped."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from offkey import ranks

__all__ = ["Bars", "bars", "error", "note", "print_json", "result", "stderr", "warn"]

stderr = Console(stderr=True, highlight=False, soft_wrap=True)


def result(text: str) -> None:
    """Print a result to stdout, plain."""
    sys.stdout.write(text if text.endswith("\n") else text + "\n")


def print_json(value: Any) -> None:
    """Print a result to stdout as JSON."""
    result(json.dumps(value, indent=2, allow_nan=False, default=str))


def note(text: str) -> None:
    """Say something that is not the result, on stderr."""
    if not ranks.rank():  # of torchrun's processes the first speaks for all; errors are told by each
        stderr.print(Text(_printable(text)))


def error(text: str) -> None:
    """Say what is wrong, on stderr."""
    stderr.print(Text.assemble(("error: ", "bold red"), _printable(text)))


def warn(text: str) -> None:
    """Say what a user should know, on stderr."""
    if not ranks.rank():
        stderr.print(Text.assemble(("note: ", "bold yellow"), _printable(text)))


def _printable(text: str) -> str:
    """Return text that a terminal only shows: a file name may hold line ends and escape sequences."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return shown.encode(errors="backslashreplace").decode()


class Bars:
    """The progress bars of a command, in one live display: rich cannot draw two at a time."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def counter(self, what: str) -> Callable[[int, int], None]:
        """Return a function of (done, total) that draws a bar from its first call until all is done."""
        task: TaskID | None = None

        def advance(done: int, total: int) -> None:
            nonlocal task
            if task is None:
                task = self.add(what, total)
            self.update(task, done, state=f"{done}/{total}")
            if done >= total:
                self.remove(task)
                task = None

        return advance

    def add(self, what: str, total: int) -> TaskID:
        """Draw a new bar."""
        return self._progress.add_task(what, total=total, state="")

    def update(self, task: TaskID, done: int, *, state: str | None = None) -> None:
        """Move a bar, and change the text beside it."""
        self._progress.update(task, completed=done)
        if state is not None:
            self._progress.update(task, state=state)

    def remove(self, task: TaskID) -> None:
        """Take a bar away."""
        self._progress.remove_task(task)


@contextmanager
def bars() -> Iterator[Bars]:
    """Yield bars that are drawn on a terminal, and nowhere else, and are gone at the end."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),  # the rest of 80 columns is for the losses
        TextColumn("{task.fields[state]}"),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    shown = stderr.is_terminal and ranks.rank() == 0
    with Progress(*columns, console=stderr, transient=True, disable=not shown) as progress:
        yield Bars(progress)
