"""Output of the commands: results to stdout, everything else to stderr; no progress bars when piped."""

from __future__ import annotations

import codecs
import contextlib
import errno
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, Progress, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from offkey._util import ranks
from offkey._util.text_table import printable
from offkey.advance import Advance
from offkey.cli import console
from offkey.cli.pace import Meter, Pace, ProgressFile

__all__ = [
    "STDOUT",
    "Bars",
    "Counter",
    "TrainingDisplay",
    "bars",
    "data",
    "drop_stdout",
    "error",
    "note",
    "prepare_stdout",
    "print_json",
    "result",
    "stderr",
    "table",
    "warn",
]

LINE_S = 60.0
"""Between two lines that say how far a command has come, where there is no terminal."""
STDOUT = "standard output"
"""How errors name it."""


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Let the command end as it does when stdout is closed; rich would exit as if this were a bug."""
        self.quiet = True
        raise BrokenPipeError


stderr = _Console(stderr=True, highlight=False, soft_wrap=True)
_lacks: set[str] = set()
"""Encodings that lacked a letter of what was printed."""


def prepare_stdout() -> None:
    """Make stdout take any text: a file name that is not UTF-8 keeps its bytes, letters that it lacks are escaped."""
    codecs.register_error("offkey", _escaped)
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="offkey")


def _escaped(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    if error.encoding == "utf-8":
        with contextlib.suppress(UnicodeEncodeError):  # half a character of UTF-16
            return error.object[error.start : error.end].encode("utf-8", "surrogateescape"), error.end
    else:
        _lacks.add(error.encoding)
    return codecs.backslashreplace_errors(error)


def drop_stdout() -> None:
    """Print no more: Python would complain when it flushes what cannot be written at its end."""
    with contextlib.suppress(OSError, AttributeError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def result(text: str) -> None:
    """Print a result for a person to stdout, plain."""
    data("\n".join(map(printable, text.split("\n"))))


def data(text: str) -> None:
    """Print a result for a program to stdout, letter by letter.

    Raises
    ------
    OSError
        If it cannot be written; it names `STDOUT`.
    """
    if sys.stdout is None:
        raise OSError(errno.EBADF, "closed, but there is something to print", STDOUT)
    try:
        sys.stdout.write(text if text.endswith("\n") else text + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OSError(error.errno, error.strerror, STDOUT) from None
    if _lacks:
        warn(
            f"{_lacks.pop()} lacks letters of what was printed: they are escaped; a file is written in UTF-8"
        )


def print_json(value: Any) -> None:
    """Print a result to stdout as JSON."""
    data(json.dumps(value, indent=2, allow_nan=False, default=str))


def note(text: str) -> None:
    """Print a message to stderr."""
    if not ranks.rank():  # of torchrun's processes only the first prints; errors are printed by each
        stderr.print(Text(printable(text)))


def table(text: str) -> None:
    """Print a table to stderr, whose cells are printable."""
    for line in text.splitlines():
        note(line)


def error(text: str) -> None:
    """Print an error to stderr."""
    stderr.print(Text.assemble(("error: ", "bold red"), printable(text)))


def warn(text: str) -> None:
    """Print a warning to stderr."""
    if not ranks.rank():
        stderr.print(Text.assemble(("note: ", "bold yellow"), printable(text)))


class Bars:
    """Progress bars of a command, in one live display; rich cannot draw two at a time."""

    def __init__(self, progress: Progress, file: ProgressFile | None, bar_width: int) -> None:
        self._progress = progress
        self.file, self.bar_width = file, bar_width
        self.drawn = not progress.disable

    def counter(self, what: str) -> Counter:
        """Return what draws a bar of files from its first call until all is done; it counts by (done, total).

        Without a total the bar stays until the display ends.
        """
        return Counter(self, what)

    def add(self, what: str, total: int | None, *, timed: bool = True) -> TaskID:
        """Draw a new bar, with the time that is left unless its text says that."""
        return self._progress.add_task(printable(what), total=total, state="", timed=timed)

    def update(self, task: TaskID, completed: int, *, state: str | None = None) -> None:
        """Move a bar, and change the text beside it."""
        self._progress.update(task, completed=completed)
        if state is not None:
            self._progress.update(task, state=printable(state))

    def remove(self, task: TaskID) -> None:
        """Take a bar away."""
        self._progress.remove_task(task)


class Counter:
    """Shows how many files are done, and how fast: by a bar on a terminal, elsewhere by a line a minute."""

    def __init__(self, bars: console.Bars, what: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._bars, self._what, self._clock = bars, what, clock
        self.pace = Pace()
        """How far it came last, and how fast."""
        self._start()

    def _start(self) -> None:
        self._task: TaskID | None = None
        self._meter = Meter(self._clock)
        self._due_s = LINE_S

    def __call__(self, done: int, total: int | None) -> None:
        """Show how many are done."""
        self.advance(Advance(done=done, total=total))

    def advance(self, advance: Advance) -> None:
        """Show how far it has come."""
        self.pace = pace = self._meter.pace(advance)
        ended = advance.total is not None and advance.done >= advance.total
        if self._bars.file is not None:
            self._bars.file.add(pace)
        if self._bars.drawn:
            if self._task is None:
                self._task = self._bars.add(self._what, advance.total, timed=False)
            beside = stderr.width - cell_len(self._what) - self._bars.bar_width - 3
            self._bars.update(self._task, advance.done, state=pace.words(beside))
            if ended:
                self._bars.remove(self._task)
        elif pace.elapsed_s >= self._due_s and not ended:
            self._due_s = pace.elapsed_s + LINE_S
            if self._bars.file is None or not self._bars.file.on_stderr:
                note(f"{self._what}: {pace.words()}")
        if ended:
            self._start()


class _TimeLeft(TimeRemainingColumn):
    """How long a bar takes still, unless its text says so."""

    def render(self, task: Task) -> Text:
        return super().render(task) + " left" if task.fields["timed"] else Text()


@contextmanager
def bars(file: ProgressFile | None = None) -> Iterator[Bars]:
    """Yield progress bars, drawn only on a terminal and removed at the end.

    Parameters
    ----------
    file
        Is told of all that is counted.
    """
    bar_width = 20 if stderr.width >= 120 else 10 if stderr.width >= 80 else 0
    columns = (
        TextColumn("{task.description}", markup=False),
        *([BarColumn(bar_width=bar_width)] if bar_width else []),
        TextColumn("{task.fields[state]}", markup=False),
        _TimeLeft(),
    )
    shown = stderr.is_terminal and ranks.rank() == 0 and not (file and file.on_stderr)
    with Progress(*columns, console=stderr, transient=True, disable=not shown) as progress:
        yield Bars(progress, file, bar_width)


class TrainingDisplay:
    """Draws a bar for each stage on a terminal, with the losses of the last epoch; a line for each that is done."""

    def __init__(self, bars: console.Bars) -> None:
        self._bars = bars
        self._task: TaskID | None = None
        self._name = ""
        self._steps_per_epoch = 1

    def __call__(self, event: object) -> None:
        """Show one event of `offkey.models.network.events`."""
        from offkey.models.network import events

        match event:
            case events.StageStarted():
                self._steps_per_epoch = event.steps_per_epoch
                part = f"{event.part} {event.stage}"
                self._name = f"{part} ({', '.join(event.tasks)})"
                self._task = self._bars.add(part, event.epochs * event.steps_per_epoch)
            case events.StepEnded() if self._task is not None:
                self._bars.update(self._task, (event.epoch - 1) * self._steps_per_epoch + event.step)
            case events.EpochEnded() if self._task is not None:
                state = (
                    f"epoch {event.epoch}/{event.epochs}, loss {event.losses['total']:.2f}, "
                    f"{event.steps_per_s:.3g} steps/s"
                )
                self._bars.update(self._task, event.epoch * self._steps_per_epoch, state=state)
                if event.epoch == event.epochs:
                    self._bars.remove(self._task)
                    self._task = None
                    console.note(f"{self._name}: {event.epochs} epochs, {_shown(event.losses)}")
            case events.TrainingStarted():
                console.note(f"training on {event.device} in {event.precision}")
            case events.Resumed():
                console.note(f"resuming from {event.path} after {event.epochs_done} epochs")


def _shown(losses: Mapping[str, float]) -> str:
    parts = ", ".join(f"{name} {value:.3f}" for name, value in losses.items() if name != "total")
    return f"loss {losses['total']:.3f} ({parts})"
