"""Score tables as files: CSV, JSON, Parquet. Use `ScoreTable.write` and `ScoreTable.read`."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from offkey.errors import DatasetError, MissingExtraError, ParameterError
from offkey.files import atomic_path, check_writable
from offkey.scoring.table import COLUMNS, MARK_COLUMNS, SCORE_COLUMNS, ScoreTable

__all__ = ["check_target", "from_csv", "from_json", "read", "to_csv", "to_json", "write"]


def to_csv(table: ScoreTable) -> str:
    """Return the table as CSV text."""
    lines = [COLUMNS, *(tuple(map(_to_text, row.values())) for row in table.rows())]
    return "".join(",".join(line) + "\n" for line in lines)


def _to_text(cell: str | float | int | None) -> str:
    """Return one cell of a CSV file; `csv.writer` would leave a lone carriage return without quotes."""
    if not isinstance(cell, str):
        return "" if cell is None else repr(cell)  # the fewest digits that give a float back
    return '"' + cell.replace('"', '""') + '"' if set(cell) & set(',"\r\n') else cell


def to_json(table: ScoreTable) -> str:
    """Return the table as JSON text."""
    lines = ",\n".join(json.dumps(row, allow_nan=False) for row in table.rows())
    return f'{{"rows": [\n{lines}\n]}}\n'


def check_target(path: Path) -> None:
    """Find out before recordings are scored whether the table could be written to `path`.

    Raises
    ------
    ParameterError, MissingExtraError, OSError
        As `ScoreTable.write`.
    """
    if _kind(path) == ".parquet":
        _pyarrow(path)
    check_writable(path)


def write(table: ScoreTable, path: Path) -> None:
    """Write the table in the format of the file's ending, whole or not at all."""
    kind = _kind(path)
    if kind == ".parquet":
        content = _to_parquet(table, path)
    else:
        # A file name that is not UTF-8 keeps its bytes.
        content = (to_csv(table) if kind == ".csv" else to_json(table)).encode("utf-8", "surrogateescape")
    with atomic_path(path) as scratch:
        scratch.write_bytes(content)


def read(path: Path) -> ScoreTable:
    """Read a table in the format of the file's ending."""
    kind = _kind(path)
    content = path.read_bytes()
    if kind == ".parquet":
        return _from_parquet(content, path)
    text = content.decode("utf-8-sig", "surrogateescape")
    return (from_csv if kind == ".csv" else from_json)(text, path)


def from_csv(text: str, where: object) -> ScoreTable:
    """Read a table from CSV text; errors name `where`, line and column."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(reader, [])
        _check_columns(header, f"{where}, line 1")
        rows = []
        for cells in reader:
            line = f"{where}, line {reader.line_num}"
            if len(cells) != len(header):
                raise DatasetError(f"{line}: {len(cells)} cells; expected {len(header)}, one for each column")
            rows.append({name: _from_text(c, name, line) for name, c in zip(header, cells, strict=True)})
    except csv.Error as error:
        raise DatasetError(f"{where}, line {reader.line_num}: not valid CSV: {error}") from None
    return _table(rows, header)


def from_json(text: str, where: object) -> ScoreTable:
    """Read a table from JSON text; errors name `where`, row and column."""
    try:
        content = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{where}: not valid JSON: {error}") from None
    rows = content.get("rows") if isinstance(content, dict) else None
    if not isinstance(rows, list):
        raise DatasetError(f'{where}: expected {{"rows": [...]}}, as `ScoreTable.to_json` writes it')
    return _from_cells(rows, where)


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no score; a missing one is null")


def _to_parquet(table: ScoreTable, path: Path) -> bytes:
    arrow, parquet = _pyarrow(path)
    kinds = {name: arrow.float64() for name in SCORE_COLUMNS} | {name: arrow.int8() for name in MARK_COLUMNS}
    schema = arrow.schema([(name, kinds.get(name, arrow.string())) for name in COLUMNS])
    sink = io.BytesIO()
    try:
        parquet.write_table(arrow.Table.from_pylist(list(table.rows()), schema=schema), sink)
    except UnicodeEncodeError as error:
        raise DatasetError(f"{path}: {error.object!r} is not UTF-8; write CSV or JSON instead") from None
    return sink.getvalue()


def _from_parquet(content: bytes, path: Path) -> ScoreTable:
    arrow, parquet = _pyarrow(path)
    try:
        rows = parquet.read_table(arrow.BufferReader(content)).to_pylist()
        names = parquet.read_schema(arrow.BufferReader(content)).names
    except (arrow.ArrowException, OSError, ValueError) as error:
        raise DatasetError(f"{path}: not a Parquet file, or a damaged one: {error}") from None
    _check_columns(names, path)
    return _from_cells(rows, path)


def _pyarrow(path: Path) -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError(
            f"{path}: Parquet needs the extra: pip install 'offkey[parquet]' ({error})"
        ) from None
    return pyarrow, pyarrow.parquet


def _kind(path: Path) -> str:
    kind = path.suffix.lower()
    if kind not in (".csv", ".json", ".parquet"):
        raise ParameterError(f"{path}: ending {kind!r}; expected .csv, .json or .parquet")
    return kind


def _check_columns(header: Iterable[str], where: object) -> None:
    names = list(header)
    unknown = [name for name in names if name not in COLUMNS]
    twice = sorted({name for name in names if names.count(name) > 1})
    if "path" not in names or unknown or twice:
        problem = f"column {unknown[0]!r} is not known" if unknown else "there is no column 'path'"
        problem = f"column {twice[0]!r} comes twice" if twice else problem
        raise DatasetError(f"{where}: {problem}; expected path and any of {', '.join(COLUMNS[1:])}")


def _from_text(cell: str, name: str, where: str) -> Any:
    """Read one cell of a CSV file."""
    text = cell.strip() if name in SCORE_COLUMNS or name in MARK_COLUMNS else cell
    if not text:
        return _checked(None, name, where)
    if name in SCORE_COLUMNS:
        try:
            number = float(text.replace("_", "?"))
        except ValueError:
            number = math.nan
        return number if math.isfinite(number) else _checked(text, name, where)
    if name in MARK_COLUMNS:
        # Other programs write a column of integers with gaps as 0.0 and 1.0.
        marks = {"0": 0, "1": 1, "0.0": 0, "1.0": 1}
        return _checked(marks.get(text, text), name, where)
    return text


def _from_cells(rows: list[Any], where: object) -> ScoreTable:
    """Read rows of plain data, of JSON or Parquet."""
    for at, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise DatasetError(f"{where}, row {at}: {row!r}; expected an object with a path")
        _check_columns(row, f"{where}, row {at}")
        for name, cell in row.items():
            _checked(cell, name, f"{where}, row {at}")
    return _table(rows, {name for row in rows for name in row})


def _checked(cell: Any, name: str, where: str) -> Any:
    """Return a cell if it is what its column may hold."""
    if cell is None and name != "path":
        return None
    if name in SCORE_COLUMNS:
        number = isinstance(cell, float | int) and not isinstance(cell, bool)
        sound, expected = (
            number and math.isfinite(cell),
            "a finite number, or nothing where there is no score",
        )
    elif name in MARK_COLUMNS:
        sound, expected = type(cell) in (int, float) and cell in (0, 1), "0, 1 or nothing"
    else:
        sound, expected = isinstance(cell, str) and bool(cell or name != "path"), "text"
    if not sound:
        raise DatasetError(f"{where}, column {name!r}: {cell!r}; expected {expected}")
    return cell


def _table(rows: list[Any], names: Iterable[str]) -> ScoreTable:
    columns: dict[str, Any] = {name: [row.get(name) for row in rows] for name in names}
    return ScoreTable(**({"path": []} | columns))
