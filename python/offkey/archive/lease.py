"""Keeps two processes from writing the same parts on object storage: by an object that is renewed, for want of locks.

The object says who holds the parts, and changes every few seconds. One that does not change for `STALE_S` is of a
process that has ended, and is taken over; clocks of machines are not compared. On a storage that creates an object only
where there is none (S3, Google Cloud Storage, Azure), one of several processes that begin at once gets it. On others
two may get it within the same moment; then, and where a process was asleep for longer than `STALE_S`, the one whose
object was overwritten finds out when it renews it, and stops.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import itertools
import json
import os
import secrets
import socket
import threading
import time
import warnings
from collections.abc import Iterable, Iterator

from offkey._util.storage import StorageError, Url
from offkey.archive.lock import LOCK
from offkey.archive.shard import Shard
from offkey.errors import OffkeyWarning, ParameterError

__all__ = ["Lease", "leased"]

RENEW_S = 5.0
"""How often a holder renews its lease."""
LOST_S = 20.0
"""A holder that could not renew it for so long writes no further before it has."""
STALE_S = 30.0
"""A lease that has not changed for so long is taken over."""


@contextlib.contextmanager
def leased(folder: Url, shard: Shard) -> Iterator[Lease]:
    """Hold the parts of a shard: against the same shard elsewhere, and against who writes all of them.

    Raises
    ------
    ParameterError
        If another process holds them.
    StorageError, FileNotFoundError, PermissionError
        If the storage does not answer, or refuses.

    Warns
    -----
    OffkeyWarning
        If a process held them that may have ended: whether it has is seen by waiting.
    """
    lease = Lease(folder / (LOCK if shard.is_whole else f"{LOCK}-{shard.name}"))
    lease.take()
    try:
        beginning = f"{LOCK}-"
        others = (
            name
            for name in folder.names()
            if (name.startswith(beginning) if shard.is_whole else name == LOCK)
        )
        _refuse_living([folder / name for name in others])
        yield lease
    finally:
        lease.release()


@dataclasses.dataclass(frozen=True, slots=True)
class _State:
    """What a lease says."""

    holder: str
    since: str
    token: str
    renewed: int

    @classmethod
    def at(cls, url: Url) -> _State | None:
        """Return what the lease at a URL says; None if there is none, and nobody's if it is damaged."""
        try:
            content = url.read_bytes()
        except FileNotFoundError:
            return None
        try:
            return cls(**json.loads(content))
        except (ValueError, TypeError):
            return cls("another process", "", content.hex(), 0)

    def __str__(self) -> str:
        return f"{self.holder}{f', since {self.since},' if self.since else ''}"


class Lease:
    """The right to write to a folder, which is renewed until it is released.

    Parameters
    ----------
    url
        Of the object that says who has it.
    """

    def __init__(self, url: Url) -> None:
        self._url = url
        self._state = _State(
            f"process {os.getpid()} on {socket.gethostname()}",
            f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M:%S} UTC",
            secrets.token_hex(8),
            0,
        )
        self._numbers = itertools.count(1)
        self._renewed_s = 0.0
        self._taken_by: _State | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)

    def take(self) -> None:
        """Take the lease; one that is not renewed any more is taken over.

        Raises
        ------
        ParameterError
            If another process has it.
        """
        if not self._create():
            _refuse_living([self._url])
            self._url.unlink(missing_ok=True)
            self._create()
        state = _State.at(self._url)
        if state is None or state.token != self._state.token:
            raise _held(self._url, state)
        self._renewed_s = time.monotonic()
        self._thread.start()

    def check(self) -> None:
        """Find out whether the lease is still this process's.

        Raises
        ------
        StorageError, PermissionError
            If it is not, or the storage does not say.
        """
        if time.monotonic() - self._renewed_s > LOST_S:
            self._renew()
        if self._taken_by is not None:
            raise StorageError(
                f"{self._folder}: {self._taken_by} has taken over the result, as this run was not heard of; what was "
                "written stays"
            )

    def release(self) -> None:
        """Let others have it; where the storage does not answer, they wait until it is stale."""
        self._ended.set()
        self._thread.join(RENEW_S)
        with contextlib.suppress(OSError):
            state = _State.at(self._url)
            if state is not None and state.token == self._state.token:
                self._url.unlink(missing_ok=True)

    @property
    def _folder(self) -> str:
        return self._url.rpartition("/")[0]

    def _create(self) -> bool:
        try:
            self._url.write_bytes(self._content(0), new=True)
        except FileExistsError:
            return False
        return True

    def _content(self, renewed: int) -> bytes:
        return json.dumps(dataclasses.asdict(dataclasses.replace(self._state, renewed=renewed))).encode()

    def _keep(self) -> None:
        while self._taken_by is None and not self._ended.wait(RENEW_S):
            with contextlib.suppress(OSError):  # `check` meets it too, if it lasts
                self._renew()

    def _renew(self) -> None:
        """Let the object change, if it is this process's."""
        state = _State.at(self._url)
        if state is not None and state.token != self._state.token:
            self._taken_by = state
            return
        self._url.write_bytes(self._content(next(self._numbers)))
        self._renewed_s = time.monotonic()


def _refuse_living(urls: Iterable[Url]) -> None:
    """Refuse to go on if a lease is renewed; wait for as long as that takes to see."""
    before = {url: state for url in urls if (state := _State.at(url)) is not None}
    if not before:
        return
    url, state = next(iter(before.items()))
    warnings.warn(
        f"{url}: {state} held the result, and may have ended: waiting {STALE_S:g} s for a sign of it",
        OffkeyWarning,
        stacklevel=2,
    )
    give_up = time.monotonic() + STALE_S
    while before and time.monotonic() < give_up:
        time.sleep(min(1.0, RENEW_S))
        now = {url: _State.at(url) for url in before}
        for url, state in now.items():
            if state is not None and state != before[url]:
                raise _held(url, state)
        before = {url: state for url, state in now.items() if state is not None}


def _held(url: Url, state: _State | None) -> ParameterError:
    folder = url.rpartition("/")[0]
    return ParameterError(
        f"{folder}: {state or 'another process'} is writing to it now; wait for its end, or stop it"
    )
