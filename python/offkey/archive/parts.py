"""The folder that parts of scores are kept in, and all that is done to the files in it."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from offkey._util.files import write_text
from offkey.archive.lock import LOCK, held
from offkey.archive.part_file import (
    PartKind,
    Receipt,
    names_digest,
    names_of,
    read_receipt,
    rows_of,
    write_part,
)
from offkey.archive.shard import Shard
from offkey.errors import DatasetError, ParameterError
from offkey.score_file import Cell

__all__ = ["Parts", "Seen", "is_folder", "parts_of"]

_SCRATCH = ".parts"
# Names with an underscore are no data to programs that read folders of Parquet.
_END, _MERGED, _SCRATCHES = "_end", "_merged", "_scratch"
_OURS = ("part-", _END, LOCK, _MERGED, _SCRATCHES)
_PART = re.compile(r"part-(\d+)")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a job that has come to its end has seen of the whole source."""

    recordings: int
    parts: int
    """Of how many parts the result consists."""
    names: str
    """Digest of the digests of the names in each."""

    @classmethod
    def of(cls, receipts: Iterable[tuple[int, str]]) -> Seen:
        """Return it from the number of recordings in each part, and the digest of their names."""
        recordings, digests = zip(*receipts, strict=True)
        return cls(recordings=sum(recordings), parts=len(digests), names=names_digest(digests))


class Parts:
    """Parts of one result: part number `n` has the rows of the `n`-th block of the source, counted from 0.

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
        names = sorted(entry.name for entry in os.scandir(self.folder))
        others = [name for name in names if not name.lstrip(".").startswith(_OURS)]
        if others:
            raise ParameterError(
                f"{self.folder}: holds {others[0]!r}, which is no part of scores; expected a folder of scores, "
                "an empty one, or a name that is free"
            )

    @contextlib.contextmanager
    def held(self, shard: Shard) -> Iterator[None]:
        """Hold the parts of a shard for this process.

        Raises
        ------
        ParameterError
            If the folder holds something else, or another process writes to it.
        OSError
            If it cannot be written.
        """
        self.check()
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            with held(self.folder, shard):
                if shard.is_whole:  # another shard may write to its own just now
                    self._remove_scratches()
                yield
                if shard.is_whole:
                    self._remove_scratches()
        finally:
            with contextlib.suppress(OSError):  # it is not empty
                self.folder.rmdir()

    def scratch_folder(self) -> Path:
        """Return a folder for what is not whole yet, which goes with the parts."""
        folder = self.folder / _SCRATCHES
        folder.mkdir(exist_ok=True)
        return folder

    def _remove_scratches(self) -> None:
        """Remove what processes that were killed have left."""
        for scratch in self.folder.glob(".*"):
            if scratch.name.startswith((".part-", f".{_END}")):
                scratch.unlink(missing_ok=True)
        shutil.rmtree(self.folder / _SCRATCHES, ignore_errors=True)

    def numbers(self) -> list[int]:
        """Return which parts there are, in their order."""
        names = (path.name for path in self.folder.glob(f"part-*{self._kind}"))
        return sorted(int(match[1]) for match in map(_PART.match, names) if match)

    def path(self, number: int) -> Path:
        """Return the file of a part."""
        return self.folder / f"part-{number:08d}{self._kind}"

    def receipt(self, number: int) -> Receipt:
        """Return what a part has the rows of.

        Raises
        ------
        DatasetError
            If it is damaged.
        """
        return read_receipt(self.path(number))

    def rows(self, numbers: Iterable[int]) -> Iterator[list[Mapping[str, Any]]]:
        """Yield the rows of each part."""
        for number in numbers:
            yield list(rows_of(self.path(number)))

    def names(self, numbers: Iterable[int]) -> Iterator[str]:
        """Yield the name in each row of some parts."""
        for number in numbers:
            yield from names_of(self.path(number))

    def write(self, number: int, columns: Mapping[str, Sequence[Cell]], receipt: Receipt) -> None:
        """Write the columns of a part, whole or not at all."""
        write_part(self.path(number), columns, receipt)

    def remove(self, numbers: Collection[int]) -> None:
        """Remove parts, the last first: what is left is whole, whenever this ends."""
        for number in sorted(numbers, reverse=True):
            self.path(number).unlink(missing_ok=True)

    def end(self, shard: Shard, seen: Seen) -> None:
        """Note that all parts of a shard are there."""
        write_text(self._end(shard), json.dumps(dataclasses.asdict(seen)) + "\n")

    def reopen(self, shard: Shard) -> None:
        """Note that parts of a shard are not all there."""
        self._end(shard).unlink(missing_ok=True)

    def ended(self) -> dict[Shard, Seen]:
        """Return what each shard has seen of whose parts all are there.

        Raises
        ------
        DatasetError
            If a note of it is damaged.
        """
        return {shard: _read_seen(path) for path, shard in self._ends()}

    def _end(self, shard: Shard) -> Path:
        return self.folder / f"{_END}-{shard.name}.json"

    def _ends(self) -> Iterator[tuple[Path, Shard]]:
        for path in sorted(self.folder.glob(f"{_END}-*.json")):
            shard = Shard.named(path.name)
            if shard is not None:
                yield path, shard

    def note_merged(self) -> None:
        """Note that the one file is there that all parts were for: they are of no use any more."""
        write_text(self.folder / _MERGED, "")

    def is_merged(self) -> bool:
        """Say whether the parts are left of a result that is whole."""
        return (self.folder / _MERGED).exists()

    def clear_shards(self) -> None:
        """Remove what shards have left beside their parts."""
        for path, shard in self._ends():
            if not shard.is_whole:
                path.unlink(missing_ok=True)
        for path in self.folder.glob(f"{LOCK}-*"):
            path.unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove all, the last part first: what is left is whole, whenever this ends."""
        self.reopen(Shard())
        self.remove(self.numbers())
        self.clear_shards()
        shutil.rmtree(self.folder / _SCRATCHES, ignore_errors=True)
        (self.folder / _MERGED).unlink(missing_ok=True)


def _read_seen(path: Path) -> Seen:
    try:
        return Seen(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise DatasetError(
            f"{path}: damaged: {error}; remove it, and run the job again that it is of"
        ) from None


def parts_of(result: Path) -> Parts:
    """Return the parts of a result: in a folder beside a file, or the folder itself."""
    if is_folder(result):
        return Parts(result, ".parquet")
    return Parts(result.with_name(result.name + _SCRATCH), ".jsonl")


def is_folder(result: Path) -> bool:
    """Say whether a result is a folder of Parquet files: one that is there, or a name without an ending."""
    return result.is_dir() or not result.suffix
