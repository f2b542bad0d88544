"""Parquet files of rows of plain data, through pyarrow."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias

from offkey._util.storage import Address, StorageError
from offkey.errors import DatasetError, MissingExtraError

__all__ = ["Kind", "Writer", "column_names", "metadata", "need_pyarrow", "rows"]

Kind: TypeAlias = Literal["int8", "int64", "float64", "string", "binary"]

_ROWS_AT_ONCE = 8192


def need_pyarrow(path: Address) -> tuple[Any, Any]:
    """Return pyarrow and its module of Parquet.

    Raises
    ------
    MissingExtraError
        If it is not installed; it names `path`.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError(
            f"{path}: Parquet needs the extra: pip install 'offkey[parquet]' ({error})"
        ) from None
    return pyarrow, pyarrow.parquet


class Writer(contextlib.AbstractContextManager["Writer"]):
    """Writes rows to a file, a group of them at a time; text that is not UTF-8, as a file name may be, with escapes.

    Parameters
    ----------
    path
        The file, which is overwritten.
    kinds
        The columns.
    about
        Plain data for the file's metadata, by key.
    """

    def __init__(self, path: Path, kinds: Mapping[str, Kind], about: Mapping[str, Any] | None = None) -> None:
        self._arrow, parquet = need_pyarrow(path)
        fields = [(name, getattr(self._arrow, kind)()) for name, kind in kinds.items()]
        self._texts = [name for name, kind in kinds.items() if kind == "string"]
        self._schema = self._arrow.schema(
            fields, {key: json.dumps(value) for key, value in (about or {}).items()}
        )
        self._writer = parquet.ParquetWriter(path, self._schema)

    def add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write rows, as one group."""
        columns = {name: [row.get(name) for row in rows] for name in self._schema.names}
        for name in self._texts:
            columns[name] = list(map(_utf8, columns[name]))
        self._writer.write_table(self._arrow.table(columns, schema=self._schema))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()


def _utf8(text: str | None) -> str | None:
    if text is None or text.isascii():
        return text
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def metadata(path: Address) -> dict[str, Any]:
    """Return the plain data that a `Writer` was given about the file.

    Raises
    ------
    DatasetError
        If it is no Parquet file, or a damaged one.
    """
    with _opened(path) as file:
        entries = file.schema_arrow.metadata or {}
    about = {}
    for key, value in entries.items():
        with contextlib.suppress(ValueError):  # another program's
            about[key.decode()] = json.loads(value)
    return about


def column_names(path: Address) -> list[str]:
    """Return the names of a file's columns.

    Raises
    ------
    DatasetError
        If it is no Parquet file, or a damaged one.
    """
    with _opened(path) as file:
        return list(file.schema_arrow.names)


def rows(path: Address, columns: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
    """Yield the rows of a file, by default with all columns.

    Raises
    ------
    DatasetError
        If it is no Parquet file, or a damaged one.
    """
    with _opened(path) as file:
        for batch in file.iter_batches(_ROWS_AT_ONCE, columns=columns):
            yield from batch.to_pylist()


@contextlib.contextmanager
def _opened(path: Address) -> Iterator[Any]:
    arrow, parquet = need_pyarrow(path)
    with contextlib.ExitStack() as stack:
        source: Any = path
        if isinstance(path, Path):
            os.stat(path)  # noqa: PTH116 - an error of the system says more than that of the library
        else:
            source = stack.enter_context(path.open())
        try:
            with parquet.ParquetFile(source) as file:
                yield file
        except StorageError:
            raise
        except (arrow.ArrowException, OSError, ValueError) as error:
            raise DatasetError(f"{path}: not a Parquet file, or a damaged one: {error}") from None
