"""How fast a command goes, and what is told of it: words for a person, lines of JSON for a program."""

from __future__ import annotations

import dataclasses
import datetime
import json
import sys
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from offkey._util.files import named, opened_to_append
from offkey._util.words import reason
from offkey.advance import Advance
from offkey.errors import OffkeyWarning

__all__ = ["Meter", "Pace", "ProgressFile", "duration", "told_to"]

WINDOW_S = 60.0
"""Rates are those of the last minute."""
_MARK_S = 1.0  # between two marks that a rate may begin at
_JSON_S = 10.0  # between two lines of JSON
_START = Advance(done=0, total=None)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How far a run has come, and how fast it goes."""

    advance: Advance = _START
    elapsed_s: float = 0.0
    """Since its first recording."""
    files_per_s: float | None = None
    """Of this run, in the last minute; None before anything can be said."""
    audio_hours_per_s: float | None = None
    left_s: float | None = None
    """None where the total is not known, or nothing moves."""

    def words(self, width: int | None = None) -> str:
        """Return it for a person to read; what matters less is left out where `width` letters are too few."""
        now = self.advance
        total = "" if now.total is None else f" of {now.total:,}" if width is None else f"/{now.total:,}"
        parts = {
            "done": f"{now.done:,}{total}{' files' if width is None else ''}",
            "rate": "" if self.files_per_s is None else f"{_number(self.files_per_s)} files/s",
            "audio": f"{_number(self.audio_hours_per_s)} h of audio/s" if self.audio_hours_per_s else "",
            "errors": f"{now.errors:,} error{'s' * (now.errors != 1)}" if now.errors else "",
            "left": "" if self.left_s is None else f"{duration(self.left_s)} left",
        }
        for name in ("audio", "rate", "left", "errors"):
            if width is None or len(_joined(parts)) <= width:
                break
            parts[name] = ""
        return _joined(parts)

    def whole(self) -> str:
        """Return in words what the run has done in all, and how fast."""
        files = self.advance.done - self.advance.before
        parts = [f"{_number(files / self.elapsed_s)} files/s"]
        if self.advance.audio_s:
            parts.append(f"{_number(self.advance.audio_s / 3600 / self.elapsed_s)} h of audio/s")
        time = f"{self.elapsed_s:.3g} s" if self.elapsed_s < 60 else duration(self.elapsed_s)
        return f"{files:,} file{'s' * (files != 1)} in {time}: {', '.join(parts)}"

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        now = self.advance
        return {
            "elapsed_s": round(self.elapsed_s, 3),
            "done": now.done,
            "total": now.total,
            "before": now.before,
            "errors": now.errors,
            "audio_hours": round(now.audio_s / 3600, 6),
            "files_per_s": self.files_per_s and round(self.files_per_s, 3),
            "audio_hours_per_s": self.audio_hours_per_s and round(self.audio_hours_per_s, 6),
            "left_s": self.left_s and round(self.left_s, 1),
        }


class _Mark(NamedTuple):
    time_s: float
    done: int
    audio_s: float


class Meter:
    """Tells the pace of a run, of which it is told how far it has come; its clock starts with the first."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._start_s: float | None = None
        self._marks: deque[_Mark] = deque()

    def pace(self, advance: Advance) -> Pace:
        """Return the pace now."""
        now = _Mark(self._clock(), advance.done, advance.audio_s)
        if self._start_s is None:
            self._start_s = now.time_s
        if not self._marks or now.time_s - self._marks[-1].time_s >= _MARK_S:
            self._marks.append(now)
        while len(self._marks) > 1 and self._marks[1].time_s <= now.time_s - WINDOW_S:
            self._marks.popleft()
        return self._since(self._marks[0], now, advance)

    def _since(self, mark: _Mark, now: _Mark, advance: Advance) -> Pace:
        assert self._start_s is not None
        elapsed_s, passed_s = now.time_s - self._start_s, now.time_s - mark.time_s
        if not passed_s:
            return Pace(advance=advance, elapsed_s=elapsed_s)
        rate = (now.done - mark.done) / passed_s
        return Pace(
            advance=advance,
            elapsed_s=elapsed_s,
            files_per_s=rate,
            audio_hours_per_s=(now.audio_s - mark.audio_s) / 3600 / passed_s,
            left_s=None if advance.total is None or not rate else (advance.total - advance.done) / rate,
        )


class ProgressFile:
    """Lines of JSON for a program that watches: one at the start, one every ten seconds, one at the end.

    Parameters
    ----------
    path
        A file that is appended to, a pipe or device, or ``-`` for standard error.
    worded
        Turns the message of an error into the words of the command.

    Raises
    ------
    OSError
        If it cannot be opened.
    """

    def __init__(self, path: Path, *, worded: Callable[[str], str] = str) -> None:
        self.on_stderr = path == Path("-")
        self._path, self._worded = path, worded
        self._file = None if self.on_stderr else opened_to_append(path)
        self._pace = Pace()
        self._due_s = 0.0
        self._broken = False

    def add(self, pace: Pace) -> None:
        """Write a line if one is due."""
        self._pace = pace
        if pace.elapsed_s >= self._due_s:
            self._write("running" if self._due_s else "started")
            self._due_s = pace.elapsed_s + _JSON_S

    def close(self, error: BaseException | None) -> None:
        """Write the last line: how the run has ended."""
        if error is None:
            self._write("done")
        elif isinstance(error, Exception):
            self._write("failed", error=self._worded(reason(error)))
        else:
            self._write("stopped")
        if self._file is not None:
            self._file.close()

    def _write(self, state: str, **more: str) -> None:
        """Write a line at once, or none to a pipe that is full; a run is not stopped by whoever looks on."""
        if self._broken:
            return
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"time": now, "state": state, **self._pace.to_dict(), **more}) + "\n"
        try:
            with named(self._path):
                if self._file is not None:
                    self._file.write(line.encode())
                elif sys.stderr is not None:
                    sys.stderr.write(line)
                    sys.stderr.flush()
        except OSError as error:
            self._broken = True
            warnings.warn(f"no more progress is told: {reason(error)}", OffkeyWarning, stacklevel=2)


@contextmanager
def told_to(path: Path | None, *, worded: Callable[[str], str]) -> Iterator[ProgressFile | None]:
    """Yield the file that progress is told to, if there is one; its last line says how what is done here ends."""
    if path is None:
        yield None
        return
    file = ProgressFile(path, worded=worded)
    try:
        yield file
    except BaseException as error:
        file.close(error)
        raise
    file.close(None)


def duration(seconds: float) -> str:
    """Return a time in words: ``0:05``, ``1:20:13``, ``3 days 4:05:00``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    clock = f"{hours}:{minutes:02}:{rest:02}" if hours or days else f"{minutes}:{rest:02}"
    return f"{days:,} day{'s' * (days != 1)} {clock}" if days else clock


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _joined(parts: dict[str, str]) -> str:
    return ", ".join(filter(None, parts.values()))
