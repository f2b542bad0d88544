"""Keeps two processes from writing the same parts: the system lets go of a lock when its process ends, however."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from offkey.archive.shard import Shard
from offkey.errors import ParameterError

__all__ = ["LOCK", "held"]

LOCK = "_lock"
_A_SHARD = "a shard of the result"


@contextlib.contextmanager
def held(folder: Path, shard: Shard) -> Iterator[None]:
    """Hold the parts of a shard in a folder: against the same shard elsewhere, and against who writes all of them.

    Raises
    ------
    ParameterError
        If another process holds them.
    OSError
        If no file can be written in the folder.
    """
    if shard.is_whole:
        with _alone(folder / LOCK):
            yield
    else:
        with _together(folder / LOCK), _alone(folder / f"{LOCK}-{shard.name}"):
            yield


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    with path.open("a+", encoding="utf-8") as file:
        _take(path, file, alone=True)
        _write(file, f"process {os.getpid()} on {socket.gethostname()}")
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def _together(path: Path) -> Iterator[None]:
    """Share a lock with other shards; the file stays, for which of them is the last is not known."""
    with path.open("a+", encoding="utf-8") as file:
        _take(path, file, alone=False)
        if _text(file) != _A_SHARD:
            _write(file, _A_SHARD)
        yield


def _take(path: Path, file: IO[str], *, alone: bool) -> None:
    if not _locks(file.fileno(), alone=alone) or not _is_at(path, file.fileno()):
        raise ParameterError(
            f"{path.parent}: {_text(file) or 'another process'} is writing to it now; wait for its end, or stop it"
        )


def _text(file: IO[str]) -> str:
    file.seek(0)
    return file.read().strip()


def _write(file: IO[str], text: str) -> None:
    file.truncate(0)
    file.write(text)
    file.flush()


def _is_at(path: Path, descriptor: int) -> bool:
    """Say whether an open file still has its name: another process may have ended, and removed it, in between."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _locks(descriptor: int, *, alone: bool) -> bool:
    """Lock a file for this process, or for this one and others; say whether no other has it."""
    try:
        import fcntl
    except ImportError:  # on Windows, where the package is untested
        return True
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        if error.errno in (errno.ENOLCK, errno.ENOTSUP):  # a file system without locks
            return True
        raise
    return True
