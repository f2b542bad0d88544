"""One part of an archive's scores: the rows of some recordings, and a receipt that says which recordings they are."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias

from offkey import score_file
from offkey._util import parquet
from offkey._util.files import encoded
from offkey._util.storage import Address
from offkey.errors import DatasetError
from offkey.score_file import Cell
from offkey.score_rows import OnError

__all__ = [
    "FDR",
    "KEY",
    "PartKind",
    "Receipt",
    "names_digest",
    "names_of",
    "read_receipt",
    "rows_of",
    "write_part",
]

PartKind: TypeAlias = Literal[".jsonl", ".parquet"]
"""JSON lines need nothing but Python; a folder of Parquet files is a table for other programs."""

KEY = "offkey"
"""Of the receipt, in the first line of JSON or the metadata of Parquet; in that of a whole file, of what made it."""


FDR = "false_discovery_rate"
"""Of the options of a run: rows are decided on together."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """Which recordings a part has the rows of."""

    recordings: int
    """How many, one after the other in the source."""
    names: str
    """Digest of their names, in order."""
    run: Mapping[str, Any]
    """What decides how they are scored: offkey's version, the detector's fingerprint, options."""
    columns: Sequence[str]
    """Of the rows, in their order; the part may have none."""
    failed: int = 0
    """Rows that say why there is no score."""
    skipped: Sequence[Sequence[str]] = ()
    """Names of recordings that have no row as they have no score, and why."""
    by_windows: int | None = None
    """Rows that are of windows and have scores; None where that is not known."""
    windows: Sequence[int] = ()
    """Of how many windows the scores of each row are the largest, where rows are decided on together; or all of one."""

    @classmethod
    def of(cls, state: Any, where: Address) -> Self:
        """Return the receipt that a part holds.

        Raises
        ------
        DatasetError
            If it is none.
        """
        try:
            receipt = cls(**state)
            sound = (
                type(receipt.recordings) is int
                and receipt.recordings > 0
                and isinstance(receipt.run, dict)
                and isinstance(receipt.columns, list)
                and type(receipt.failed) is int
                and type(receipt.by_windows) in (int, type(None))
                and isinstance(receipt.skipped, list)
                and isinstance(receipt.windows, list | tuple)
                and all(type(count) is int for count in receipt.windows)
                and all(isinstance(pair, list) and len(pair) == 2 for pair in receipt.skipped)
            )
        except TypeError:
            sound = False
        if not sound:
            raise DatasetError(f"{where}: damaged, or no part of a run's scores: its receipt is {state!r}")
        return receipt

    @property
    def on_error(self) -> OnError | None:
        """What was done with recordings without a score; None if there are none."""
        return "skip" if self.skipped else "record" if self.failed else None


def names_digest(names: Iterable[str]) -> str:
    """Return the digest of recordings' names, in their order."""
    digest = hashlib.blake2b(digest_size=16)
    for name in names:
        content = encoded(name)
        digest.update(b"%d:" % len(content))
        digest.update(content)
    return digest.hexdigest()


def write_part(path: Path, columns: Mapping[str, Sequence[Cell]], receipt: Receipt) -> None:
    """Write the columns of a part into a file that is to become it.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    state = {KEY: dataclasses.asdict(receipt)}
    if path.suffix == ".parquet":
        rows = [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]
        score_file.write_parquet(receipt.columns, [rows], path, state)
    else:
        path.write_bytes(encoded(json.dumps(state) + "\n" + score_file.json_lines(columns)))


def read_receipt(path: Address) -> Receipt:
    """Return the receipt of a part.

    Raises
    ------
    DatasetError
        If the file is damaged, or no part.
    """
    if path.suffix == ".parquet":
        state = parquet.metadata(path).get(KEY)
    else:
        with path.open("rb") as file:
            state = _line(file.readline(), path).get(KEY)
    return Receipt.of(state, path)


def rows_of(path: Address) -> Iterator[Mapping[str, Any]]:
    """Yield the rows of a part.

    Raises
    ------
    DatasetError
        If the file is damaged.
    """
    if path.suffix == ".parquet":
        yield from parquet.rows(path)
        return
    with path.open("rb") as file:
        file.readline()
        lines = file.readlines()
    try:
        rows = json.loads((b"[" + b",".join(lines) + b"]").decode("utf-8", "surrogateescape"))
    except ValueError:
        rows = []
    if len(rows) == len(lines):
        yield from rows
    else:  # whatever is wrong with a line is said of that line
        yield from (_line(line, path) for line in lines)


def names_of(path: Address) -> Iterator[str]:
    """Yield the name in each row of a part, and those of recordings without one.

    Raises
    ------
    DatasetError
        If the file is damaged.
    """
    yield from (name for name, _ in read_receipt(path).skipped)
    if path.suffix == ".parquet":
        columns = ["path", score_file.PATH_BYTES]
        yield from (str(score_file.with_path(row)["path"]) for row in parquet.rows(path, columns))
    else:
        yield from (str(row["path"]) for row in rows_of(path))


def _line(line: bytes, path: Address) -> dict[str, Any]:
    try:
        content = json.loads(line.decode("utf-8", "surrogateescape"))
    except ValueError as error:
        raise DatasetError(f"{path}: damaged: {error}") from None
    return content if isinstance(content, dict) else {}
