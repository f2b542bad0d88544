"""The folder that parts of scores are kept in, and all that is done to the files in it."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
import secrets
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from offkey import score_file
from offkey._util.storage import Address
from offkey.archive.lock import LOCK
from offkey.archive.part_file import (
    PartKind,
    Receipt,
    names_digest,
    names_of,
    read_receipt,
    rows_of,
    write_part,
)
from offkey.archive.place import Place, place_at
from offkey.archive.shard import Shard
from offkey.errors import DatasetError, ParameterError
from offkey.score_file import Cell

__all__ = ["Parts", "Seen", "is_folder", "parts_of"]

_SCRATCH = ".parts"
# Names with an underscore are no data to programs that read folders of Parquet.
_END, _MERGED, _SIGN = "_end", "_merged", "_run"
_OURS = ("part-", _END, LOCK, _MERGED, _SIGN, "_scratch")
_SCRATCHES = ("part-", _END, _MERGED, _SIGN)
_PART = re.compile(r"part-(\d+)(\.\w+)")


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

    def __init__(self, folder: Address, kind: PartKind) -> None:
        self.place: Place = place_at(folder)
        self._kind = kind

    @property
    def folder(self) -> Address:
        """Where they are."""
        return self.place.folder

    def check(self) -> None:
        """Refuse a folder that holds anything else.

        Raises
        ------
        ParameterError
            If it does, or is a file.
        """
        try:
            names = self.place.names()
        except NotADirectoryError:
            raise ParameterError(
                f"{self.folder}: is no folder; expected one of scores, or a name that is free"
            ) from None
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
        with self.place.held(shard):
            if shard.is_whole:  # another shard may write to its own just now
                self.remove_scratches()
            yield
            if shard.is_whole:
                self.remove_scratches()

    @contextlib.contextmanager
    def sign(self) -> Iterator[str]:
        """Write an empty file, by which other processes find out whether they see the place; yield its name."""
        name = f"{_SIGN}-{secrets.token_hex(8)}"
        self.place.write_text(name, "")
        try:
            yield name
        finally:
            with contextlib.suppress(OSError):
                self.place.remove(name)

    def remove_scratches(self) -> None:
        """Remove what processes that were killed have left."""
        self.place.remove_scratches(_SCRATCHES)
        for name in self._named(_SIGN):
            self.place.remove(name)

    def _named(self, beginning: str) -> list[str]:
        return [name for name in self.place.names() if name.startswith(beginning)]

    def numbers(self) -> list[int]:
        """Return which parts there are, in their order."""
        matches = map(_PART.fullmatch, self.place.names())
        return sorted(int(match[1]) for match in matches if match and match[2] == self._kind)

    def path(self, number: int) -> Address:
        """Return the file of a part."""
        return self.folder / self._name(number)

    def _name(self, number: int) -> str:
        return f"part-{number:08d}{self._kind}"

    def receipt(self, number: int) -> Receipt:
        """Return what a part has the rows of.

        Raises
        ------
        DatasetError
            If it is damaged.
        """
        return read_receipt(self.path(number))

    def rows(self, number: int) -> list[Mapping[str, Any]]:
        """Return the rows of a part."""
        return list(rows_of(self.path(number)))

    def names(self, numbers: Iterable[int]) -> Iterator[str]:
        """Yield the name in each row of some parts."""
        for number in numbers:
            yield from names_of(self.path(number))

    def write(self, number: int, columns: Mapping[str, Sequence[Cell]], receipt: Receipt) -> None:
        """Write the columns of a part, whole or not at all."""
        with self.place.whole(self._name(number)) as scratch:
            write_part(scratch, columns, receipt)

    def rewrite(self, number: int, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write a part anew, with the receipt that it has."""
        receipt = self.receipt(number)
        rows = list(map(score_file.with_path, rows))
        self.write(number, {name: [row[name] for row in rows] for name in receipt.columns}, receipt)

    def remove(self, numbers: Collection[int]) -> None:
        """Remove parts, the last first: what is left is whole, whenever this ends."""
        for number in sorted(numbers, reverse=True):
            self.place.remove(self._name(number))

    def end(self, shard: Shard, seen: Seen) -> None:
        """Note that all parts of a shard are there."""
        self.place.write_text(self._end(shard), json.dumps(dataclasses.asdict(seen)) + "\n")

    def reopen(self, shard: Shard) -> None:
        """Note that parts of a shard are not all there."""
        self.place.remove(self._end(shard))

    def ended(self) -> dict[Shard, Seen]:
        """Return what each shard has seen of whose parts all are there.

        Raises
        ------
        DatasetError
            If a note of it is damaged.
        """
        return {shard: _read_seen(self.folder / name) for name, shard in self._ends()}

    def _end(self, shard: Shard) -> str:
        return f"{_END}-{shard.name}.json"

    def _ends(self) -> Iterator[tuple[str, Shard]]:
        for name in self._named(f"{_END}-"):
            shard = Shard.named(name)
            if shard is not None and name == self._end(shard):
                yield name, shard

    def note_merged(self) -> None:
        """Note that the one file is there that all parts were for: they are of no use any more."""
        self.place.write_text(_MERGED, "")

    def is_merged(self) -> bool:
        """Say whether the parts are left of a result that is whole."""
        return _MERGED in self.place.names()

    def clear_shards(self) -> None:
        """Remove what shards have left beside their parts."""
        for name, shard in self._ends():
            if not shard.is_whole:
                self.place.remove(name)
        for name in self._named(f"{LOCK}-"):
            self.place.remove(name)

    def clear(self) -> None:
        """Remove all, the last part first: what is left is whole, whenever this ends."""
        self.reopen(Shard())
        self.remove(self.numbers())
        self.clear_shards()
        self.remove_scratches()
        self.place.remove(_MERGED)


def _read_seen(path: Address) -> Seen:
    try:
        return Seen(**json.loads(path.read_bytes()))
    except (ValueError, TypeError) as error:
        raise DatasetError(
            f"{path}: damaged: {error}; remove it, and run the job again that it is of"
        ) from None


def parts_of(result: Address) -> Parts:
    """Return the parts of a result: in a folder beside a file, or the folder itself."""
    if is_folder(result):
        return Parts(result, ".parquet")
    return Parts(result.with_name(result.name + _SCRATCH), ".jsonl")


def is_folder(result: Address) -> bool:
    """Say whether a result is a folder of Parquet files: one that is there, or a name without an ending."""
    return result.is_dir() or not result.suffix
