"""Where the parts of a result are: a folder of this machine, or one on object storage."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from offkey._util.files import write_text
from offkey._util.storage import Address, Url, whole_file
from offkey.archive.lease import Lease, leased
from offkey.archive.lock import held
from offkey.archive.shard import Shard

__all__ = ["Place", "place_at"]

_SCRATCH = "_scratch"


class Place(Protocol):
    """A folder of files, each of which is there whole or not at all."""

    @property
    def folder(self) -> Address:
        """Where it is."""
        ...

    def names(self) -> list[str]:
        """Return the names of what it holds, in their order; none if it is not there."""
        ...

    def held(self, shard: Shard) -> contextlib.AbstractContextManager[None]:
        """Hold the parts of a shard for this process; the folder is there from then on, and goes if it is empty."""
        ...

    def whole(self, name: str) -> contextlib.AbstractContextManager[Path]:
        """Give the name of an empty file to write to; on leaving, the place has it, whole."""
        ...

    def write_text(self, name: str, text: str) -> None:
        """Write a small file."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        ...

    def scratch_folder(self) -> Path | None:
        """Return a folder for what is not whole yet, which goes with the parts; None: it lies among temporary files."""
        ...

    def remove_scratches(self, beginnings: tuple[str, ...]) -> None:
        """Remove what processes that were killed have left of files with these beginnings."""
        ...

    def hidden_from_here(self, name: str) -> str:
        """Say why this process does not see a file of another one, or could not write beside it; nothing if it does."""
        ...


class _Folder:
    """A place on a disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def names(self) -> list[str]:
        try:
            return sorted(path.name for path in self.folder.iterdir())
        except FileNotFoundError:
            return []

    @contextlib.contextmanager
    def held(self, shard: Shard) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            with held(self.folder, shard):
                yield
        finally:
            with contextlib.suppress(OSError):  # it is not empty
                self.folder.rmdir()

    def whole(self, name: str) -> contextlib.AbstractContextManager[Path]:
        return whole_file(self.folder / name)

    def write_text(self, name: str, text: str) -> None:
        write_text(self.folder / name, text)

    def remove(self, name: str) -> None:
        (self.folder / name).unlink(missing_ok=True)

    def scratch_folder(self) -> Path:
        folder = self.folder / _SCRATCH
        folder.mkdir(exist_ok=True)
        return folder

    def remove_scratches(self, beginnings: tuple[str, ...]) -> None:
        for name in self.names():
            if name.startswith(".") and name.startswith(beginnings, 1):
                self.remove(name)
        with contextlib.suppress(FileNotFoundError):
            scratch = self.folder / _SCRATCH
            for file in scratch.iterdir():
                file.unlink(missing_ok=True)
            scratch.rmdir()

    def hidden_from_here(self, name: str) -> str:
        if (self.folder / name).exists() and os.access(self.folder, os.W_OK):
            return ""
        what = "cannot write to" if self.folder.exists() else "has no"
        return (
            f"{what} folder {self.folder}, which parts are written to: the result must be in a folder that all "
            "machines share"
        )


class _Storage:
    """A place on object storage: a file becomes an object in one step, so nothing is there by half."""

    def __init__(self, folder: Url) -> None:
        self.folder = folder
        self._lease: Lease | None = None

    def __reduce__(self) -> tuple[type[_Storage], tuple[Url]]:
        return _Storage, (self.folder,)  # what holds it is the process that has begun

    def names(self) -> list[str]:
        return self.folder.names()

    @contextlib.contextmanager
    def held(self, shard: Shard) -> Iterator[None]:
        with leased(self.folder, shard) as self._lease:
            try:
                yield
            finally:
                self._lease = None

    def _check(self) -> None:
        if self._lease is not None:
            self._lease.check()

    @contextlib.contextmanager
    def whole(self, name: str) -> Iterator[Path]:
        with whole_file(self.folder / name) as scratch:
            yield scratch
            self._check()

    def write_text(self, name: str, text: str) -> None:
        self._check()
        (self.folder / name).write_bytes(text.encode())

    def remove(self, name: str) -> None:
        self._check()
        (self.folder / name).unlink(missing_ok=True)

    def scratch_folder(self) -> None:
        return None

    def remove_scratches(self, beginnings: tuple[str, ...]) -> None:
        """Do nothing: no object is a scratch."""

    def hidden_from_here(self, name: str) -> str:
        try:
            is_seen = name in self.names()
            self.folder.check_writable()
        except OSError as error:
            return f"cannot use {self.folder}, which parts are written to: {error}"
        return "" if is_seen else f"sees another {self.folder} than the machine where the run was started"


def place_at(folder: Address) -> Place:
    """Return the place that a folder is."""
    return _Storage(folder) if isinstance(folder, Url) else _Folder(folder)
