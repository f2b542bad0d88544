"""The folder that parts of scores are kept in: whose it is, who writes to it now, and what is in it."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from offkey._util.files import write_text
from offkey.archive.part_file import PartKind, Receipt, read_receipt, rows_of, write_part
from offkey.errors import DatasetError, ParameterError
from offkey.score_file import Row

__all__ = ["Parts"]

# Names with an underscore are no data to programs that read folders of Parquet.
_RUN, _LOCK = "_offkey.json", "_lock"
_WORDS = {"detector": "the detector", "offkey": "offkey's version", "options": "an option"}


class Parts:
    """Parts of one run, in the order in which they were written.

    Parameters
    ----------
    folder
        Where they are; it is made with the first.
    kind
        The format of their files.
    """

    def __init__(self, folder: Path, kind: PartKind) -> None:
        self.folder = folder
        self._kind = kind

    def check(self) -> None:
        """Refuse a folder that holds anything else.

        Raises
        ------
        ParameterError
            If it does, or is a file.
        """
        if not self.folder.exists():
            return
        if not self.folder.is_dir():
            raise ParameterError(
                f"{self.folder}: is no folder; expected one of scores, or a name that is free"
            )
        others = [
            entry.name
            for entry in os.scandir(self.folder)
            if entry.name not in (_RUN, _LOCK)
            and not entry.name.lstrip(".").startswith(("part-", _RUN.partition(".")[0]))
        ]
        if others:
            raise ParameterError(
                f"{self.folder}: holds {sorted(others)[0]!r}, which is no part of scores; expected a folder of scores, "
                "an empty one, or a name that is free"
            )

    @contextlib.contextmanager
    def held(self, run: Mapping[str, Any], *, restart: bool) -> Iterator[None]:
        """Hold the folder for this process, as that of the run that is described.

        Parameters
        ----------
        run
            The detector and the options that decide what the scores are.
        restart
            Whether what is there already is thrown away.

        Raises
        ------
        ParameterError
            If the folder holds something else, the parts of another run, or another process writes to it.
        OSError
            If it cannot be written.
        """
        self.check()
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._locked():
            if restart:
                self.clear()
            self._check_run(run)
            for scratch in self.folder.glob(f".part-*{self._kind}"):
                scratch.unlink(missing_ok=True)  # of a process that was killed
            write_text(self.folder / _RUN, json.dumps(run, indent=2) + "\n")
            try:
                yield
            finally:
                self._remove_empty()

    def _remove_empty(self) -> None:
        """Leave no folder in which there is nothing to go on from."""
        if self.folder.exists() and not any(self.folder.glob("part-*")):
            shutil.rmtree(self.folder)

    def paths(self) -> list[Path]:
        """Return the files of the parts.

        Raises
        ------
        DatasetError
            If one is missing.
        """
        paths = sorted(self.folder.glob(f"part-*{self._kind}"))
        expected = [self._path(number) for number in range(len(paths))]
        if paths != expected:
            missing = next(path for path in expected if path not in paths)
            raise DatasetError(
                f"{missing}: no such part, but there are later ones: begin anew with restart=True"
            )
        return paths

    def receipts(self) -> list[Receipt]:
        """Return what the parts have the rows of.

        Raises
        ------
        DatasetError
            If one is damaged.
        """
        return [read_receipt(path) for path in self.paths()]

    def add(self, columns: Sequence[str], rows: Sequence[Row], receipt: Receipt) -> None:
        """Write the next part."""
        write_part(self._path(len(self.paths())), columns, rows, receipt)

    def rows(self) -> Iterator[list[dict[str, Any]]]:
        """Yield the rows of each part."""
        for path in self.paths():
            yield list(rows_of(path))

    def clear(self) -> None:
        """Remove all parts, the last first: what is left is whole, whenever this ends."""
        for path in [*sorted(self.folder.glob("part-*"), reverse=True), self.folder / _RUN]:
            path.unlink(missing_ok=True)

    def _path(self, number: int) -> Path:
        return self.folder / f"part-{number:08d}{self._kind}"

    def _check_run(self, run: Mapping[str, Any]) -> None:
        """Refuse parts that another detector, or other options, have made."""
        path = self.folder / _RUN
        try:
            before = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            if self.paths():
                raise ParameterError(
                    f"{self.folder}: {_RUN} is missing, which says whose scores these are: begin anew with "
                    "restart=True, or name another result"
                ) from None
            return
        except ValueError:
            before = {}
        differs = next(
            (key for key in run if not isinstance(before, dict) or before.get(key) != run[key]), None
        )
        if differs is None or not self.paths():
            return
        was, now = before.get(differs), run[differs]
        if isinstance(now, dict) and isinstance(was, dict):
            differs = next(key for key in now if was.get(key) != now[key])
            was, now = was.get(differs), now[differs]
        raise ParameterError(
            f"{self.folder}: was begun with {_WORDS.get(differs, differs)} {was!r}, now {now!r}: begin anew "
            "with restart=True, or name another result"
        )

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Let no other process write to the folder; the system lets go when this one ends, however it does."""
        path = self.folder / _LOCK
        with path.open("a+", encoding="utf-8") as file:
            if not _take(file.fileno()) or not _is_at(path, file.fileno()):
                file.seek(0)
                holder = file.read().strip() or "another process"
                raise ParameterError(
                    f"{self.folder}: {holder} is writing to it now; wait for its end, or stop it"
                )
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}")
            file.flush()
            try:
                yield
            finally:
                path.unlink(missing_ok=True)


def _is_at(path: Path, descriptor: int) -> bool:
    """Say whether an open file still has its name: another process may have ended, and removed it, in between."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _take(descriptor: int) -> bool:
    """Lock a file for this process; say whether no other has it."""
    try:
        import fcntl
    except ImportError:  # on Windows, where the package is untested
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        if error.errno in (errno.ENOLCK, errno.ENOTSUP):  # a file system without locks
            return True
        raise
    return True
