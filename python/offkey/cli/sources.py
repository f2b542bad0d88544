"""Recordings that are named on the command line, or listed in a file; the list of those that have no score."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from offkey._util.files import atomic_path, encoded
from offkey._util.storage import is_url
from offkey.errors import ParameterError

__all__ = ["FailedList", "failed_list", "listed_sources"]

_BLOCK = 1 << 16
_LONGEST = 1 << 16  # bytes of a path; a list without separators is none


def listed_sources(named: list[str], files_from: Path | None, *, null: bool) -> Iterable[Path | str]:
    """Return what is named, and after it what a file lists.

    Parameters
    ----------
    named
        In the command.
    files_from
        The list; ``-`` is standard input.
    null
        Whether paths end with NUL in place of a line's end.

    Raises
    ------
    ParameterError
        If nothing is named and there is no list, or standard input is closed.
    OSError
        If the list cannot be opened.
    """
    if files_from is None:
        if not named:
            raise ParameterError(
                "RECORDINGS: none named; expected sound files, folders or patterns, or --files-from"
            )
        return list(map(_source, named))
    file = _stdin() if files_from == Path("-") else files_from.open("rb")
    return itertools.chain(map(_source, named), _paths(file, files_from, b"\0" if null else b"\n"))


def _stdin() -> BinaryIO:
    if sys.stdin is None:
        raise ParameterError("--files-from -: standard input is closed")
    return sys.stdin.buffer


def _paths(file: BinaryIO, where: Path, end: bytes) -> Iterator[Path | str]:
    with file:
        rest = b""
        while block := file.read(_BLOCK):
            *whole, rest = (rest + block).split(end)
            if len(rest) > _LONGEST:
                raise ParameterError(
                    f"{where}: {len(rest)} bytes without the end of a path; expected a list of paths"
                )
            yield from map(_path, filter(None, whole))
        if rest:
            yield _path(rest)


def _path(name: bytes) -> Path | str:
    return _source(os.fsdecode(name.removesuffix(b"\r")))


def _source(name: str) -> Path | str:
    return name if is_url(name) else Path(name)


class FailedList:
    """Writes the paths of recordings without a score as `listed_sources` reads them.

    Parameters
    ----------
    file
        To write to; None: there is no list.
    null
        Whether paths end with NUL in place of a line's end.
    """

    def __init__(self, file: BinaryIO | None, *, null: bool) -> None:
        self._file = file
        self._end = b"\0" if null else b"\n"
        self._last = b""
        self.written = 0
        self.left_out = 0
        """Paths that hold an end of line, which no list of lines can have."""

    def add(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Enter the rows that have an error; of a recording's windows one."""
        if self._file is None:
            return
        for row in rows:
            path = b"" if row["error"] is None else encoded(row["path"])
            if not path or path == self._last:
                continue
            self._last = path
            if self._end == b"\n" and (self._end in path or path.endswith(b"\r")):
                self.left_out += 1
            else:
                self._file.write(path + self._end)
                self.written += 1


@contextmanager
def failed_list(path: Path | None, *, null: bool) -> Iterator[FailedList]:
    """Yield the list of recordings without a score; its file is there once all are in it, empty if there is none."""
    if path is None:
        yield FailedList(None, null=null)
        return
    with atomic_path(path) as scratch, scratch.open("wb") as file:
        failed = FailedList(file, null=null)
        yield failed
