"""Recordings that are named on the command line, or listed in a file."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from offkey.errors import ParameterError

__all__ = ["listed_sources"]

_BLOCK = 1 << 16
_LONGEST = 1 << 16  # bytes of a path; a list without separators is none


def listed_sources(named: list[Path], files_from: Path | None, *, null: bool) -> Iterable[Path]:
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
        if null:
            raise ParameterError("--null: says how paths end in a list, but --files-from names none")
        if not named:
            raise ParameterError(
                "RECORDINGS: none named; expected sound files, folders or patterns, or --files-from"
            )
        return named
    file = _stdin() if files_from == Path("-") else files_from.open("rb")
    return itertools.chain(named, _paths(file, files_from, b"\0" if null else b"\n"))


def _stdin() -> BinaryIO:
    if sys.stdin is None:
        raise ParameterError("--files-from -: standard input is closed")
    return sys.stdin.buffer


def _paths(file: BinaryIO, where: Path, end: bytes) -> Iterator[Path]:
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


def _path(name: bytes) -> Path:
    return Path(os.fsdecode(name.removesuffix(b"\r")))
