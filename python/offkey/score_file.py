"""Files of score tables: CSV, JSON and Parquet, as offkey writes them and as they come back from other programs."""

from __future__ import annotations

import io
import json
import math
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from offkey._util import csv_text
from offkey._util.csv_text import CsvText
from offkey._util.files import atomic_path, check_writable, encoded, is_stream
from offkey.errors import DatasetError, MissingExtraError, OffkeyWarning, ParameterError

__all__ = [
    "ALWAYS",
    "ANOMALY_SCORE",
    "COLUMNS",
    "COUNT",
    "JUDGED",
    "KINDS",
    "MARKS",
    "START",
    "Cell",
    "check_target",
    "from_csv",
    "from_json",
    "is_number",
    "is_score",
    "read",
    "read_column",
    "to_csv",
    "to_json",
    "write",
]

Cell: TypeAlias = str | float | int | None
Row: TypeAlias = Mapping[str, Cell]
Content: TypeAlias = dict[str, list[Any]]
"""The columns that a file has, each with a cell for every row."""

ANOMALY_SCORE = "anomaly_score"
ALWAYS = ("a_out", "a_arc", "a_maha", "a_spectral", ANOMALY_SCORE)
MARKS = ("decision", "label")
START = "start_s"
COUNT = "calibration_clips"
JUDGED = ("threshold", "p_value", "calibration", COUNT)
KINDS = ("own", "pooled", "tail")
"""What a p-value may come from: values of the column `calibration`."""
COLUMNS = (
    *("path", "machine_type", "machine_id", "scored_as"),
    *ALWAYS,
    *("decision", *JUDGED, "label", "error", "warning"),
)
"""The columns that every file has, in their order; those of other scores follow, and `start_s` where there is one."""

_NUMBERS = frozenset({START, "threshold", "p_value", COUNT})
_OTHER_SCORE = re.compile(r"a_[a-z0-9_]+")
_IDS = frozenset({"machine_type", "machine_id", "scored_as"})
_WHOLE = re.compile(r"\d+\.0")
_INDEX = re.compile(r"|index|level_\d+|Unnamed: \d+|__index_level_\d+__")
"""How pandas, polars and R name the numbers of rows."""


def is_score(name: str) -> bool:
    """Say whether a column of this name holds a score: `anomaly_score`, or a model's, such as `a_distance`."""
    return name == ANOMALY_SCORE or _OTHER_SCORE.fullmatch(name) is not None


def is_number(name: str) -> bool:
    """Say whether a column of this name holds numbers: scores, what these are compared with, or a place."""
    return name in _NUMBERS or is_score(name)


def to_csv(columns: Sequence[str], rows: Iterable[Row]) -> str:
    """Return rows with these columns as CSV text."""
    return csv_text.to_csv([columns, *(row.values() for row in rows)])


def to_json(rows: Iterable[Row]) -> str:
    """Return rows as JSON text."""
    lines = ",\n".join(json.dumps(row, allow_nan=False) for row in rows)
    return f'{{"rows": [\n{lines}\n]}}\n'


def check_target(path: Path) -> None:
    """Find out before recordings are scored whether the table could be written to `path`.

    Raises
    ------
    ParameterError, MissingExtraError, OSError
        As `offkey.ScoreTable.write`.
    """
    if _kind(path) == ".parquet":
        _pyarrow(path)
    check_writable(path)


def write(columns: Sequence[str], rows: Iterator[dict[str, Cell]], path: Path) -> None:
    """Write rows with these columns in the format of the file's ending, whole or not at all.

    Raises
    ------
    ParameterError, MissingExtraError, OSError
        As `offkey.ScoreTable.write`.
    """
    kind = _kind(path)
    if kind == ".parquet":
        content = _to_parquet(columns, list(rows), path)
    else:
        content = encoded(to_csv(columns, rows) if kind == ".csv" else to_json(rows))
    with atomic_path(path) as scratch:
        scratch.write_bytes(content)


def read(path: Path) -> Content:
    """Read a table in the format of the file's ending.

    Raises
    ------
    FileNotFoundError, ParameterError, DatasetError, MissingExtraError
        As `offkey.ScoreTable.read`.
    """
    kind = _kind(path)
    if kind == ".csv":
        return _from_csv(csv_text.read_csv(path, of_offkey=",".join(COLUMNS[:4])))
    content = path.read_bytes()
    if kind == ".parquet":
        return _from_parquet(content, path)
    return from_json(content.decode("utf-8-sig", "surrogateescape"), path)


def read_column(path: Path, name: str) -> list[Any]:
    """Read the cells of any column of a table, as they are: text of CSV, values of JSON and Parquet.

    Raises
    ------
    FileNotFoundError, ParameterError, DatasetError, MissingExtraError
        As `offkey.ScoreTable.read`, and if there is no such column.
    """
    kind = _kind(path)
    if kind == ".csv":
        header, lines = csv_text.read_csv(path, of_offkey=",".join(COLUMNS[:4])).table()
        rows: list[Any] = [dict(zip(header, line.cells, strict=True)) for line in lines]
    elif kind == ".json":
        rows = _json_rows(path.read_bytes().decode("utf-8-sig", "surrogateescape"), path)
        header = [name for row in rows if isinstance(row, Mapping) for name in row]
    else:
        rows, header = _parquet_rows(path.read_bytes(), path)
    if name not in header:
        raise DatasetError(
            f"{path}: there is no column {name!r}; its columns are {', '.join(dict.fromkeys(header))}"
        )
    return [row.get(name) if isinstance(row, Mapping) else None for row in rows]


def from_csv(text: str, where: object) -> Content:
    """Read a table from CSV text; errors name `where`, line and column."""
    return _from_csv(csv_text.parsed_csv(text, where))


def _from_csv(content: CsvText) -> Content:
    header, lines = content.table()
    columns = _known(header, f"{content.where}, line {content.lines[0].number if content.lines else 1}")
    rows = []
    for number, cells in lines:
        line = f"{content.where}, line {number}"
        rows.append({name: _from_text(cells[at], name, line, content) for name, at in columns.items()})
    return {
        name: _ids(name, [row[name] for row in rows], content.where)
        if name in _IDS
        else [row[name] for row in rows]
        for name in columns
    }


def _ids(name: str, cells: list[str | None], where: object) -> list[str | None]:
    """Return a CSV file's IDs; those that a program took for numbers with gaps, 0.0 and 2.0, without their points."""
    if not any(cells) or not all(_WHOLE.fullmatch(cell) for cell in cells if cell):
        return cells
    _warn_of_numbers(name, where)
    return [cell and cell.partition(".")[0] for cell in cells]


def from_json(text: str, where: object) -> Content:
    """Read a table from JSON text; errors name `where`, row and column."""
    rows = _json_rows(text, where)
    return _from_cells(
        rows, dict.fromkeys(name for row in rows if isinstance(row, dict) for name in row), where
    )


def _json_rows(text: str, where: object) -> list[Any]:
    try:
        content = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{where}: not valid JSON: {error}") from None
    rows = content.get("rows") if isinstance(content, dict) else content
    if not isinstance(rows, list):
        raise DatasetError(f'{where}: expected {{"rows": [...]}}, as `ScoreTable.to_json` writes it')
    return rows


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no score; a missing one is null")


def _to_parquet(columns: Sequence[str], rows: list[dict[str, Cell]], path: Path) -> bytes:
    arrow, parquet = _pyarrow(path)
    whole = dict.fromkeys(MARKS, arrow.int8()) | {COUNT: arrow.int64()}
    kinds = {
        name: whole.get(name, arrow.float64() if is_number(name) else arrow.string()) for name in columns
    }
    schema = arrow.schema(list(kinds.items()))
    sink = io.BytesIO()
    try:
        parquet.write_table(arrow.Table.from_pylist(rows, schema=schema), sink)
    except UnicodeEncodeError as error:
        raise DatasetError(f"{path}: {error.object!r} is not UTF-8; write CSV or JSON instead") from None
    return sink.getvalue()


def _from_parquet(content: bytes, path: Path) -> Content:
    rows, names = _parquet_rows(content, path)
    return _from_cells(rows, names, path)


def _parquet_rows(content: bytes, path: Path) -> tuple[list[Any], list[str]]:
    """Return the rows and the names of the columns, which are there without a row too."""
    arrow, parquet = _pyarrow(path)
    try:
        rows = parquet.read_table(arrow.BufferReader(content)).to_pylist()
        names = parquet.read_schema(arrow.BufferReader(content)).names
    except (arrow.ArrowException, OSError, ValueError) as error:
        raise DatasetError(f"{path}: not a Parquet file, or a damaged one: {error}") from None
    return rows, names


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
    if not kind and is_stream(path):
        return ".csv"
    if kind not in (".csv", ".json", ".parquet"):
        raise ParameterError(f"{path}: ending {kind!r}; expected .csv, .json or .parquet")
    return kind


def _known(header: Iterable[str], where: object) -> dict[str, int]:
    """Return the columns that a table may have, and their places; a warning names those that mean nothing here."""
    names = [str(name).strip() for name in header]
    twice = sorted({name for name in names if _is_column(name) and names.count(name) > 1})
    if "path" not in names or twice:
        problem = f"column {twice[0]!r} comes twice" if twice else "there is no column 'path'"
        raise DatasetError(
            f"{where}: {problem}; expected path, any of {', '.join(COLUMNS[1:])}, and other scores, named a_..."
        )
    others = [name for name in names if not _is_column(name) and not _INDEX.fullmatch(name)]
    if others:
        warnings.warn(
            f"{where}: columns passed over, as they are none of a score table: {', '.join(map(repr, others[:5]))}",
            OffkeyWarning,
            stacklevel=2,
        )
    return {name: at for at, name in enumerate(names) if _is_column(name)}


def _is_column(name: object) -> bool:
    return isinstance(name, str) and (name in COLUMNS or is_number(name))


def _from_text(cell: str, name: str, where: str, content: CsvText) -> Any:
    """Read one cell of a CSV file."""
    text = cell.strip() if is_number(name) or name in MARKS else cell
    if not text:
        return _checked(None, name, where)
    if is_number(name):
        try:
            number = float(content.point_number(text).replace("_", "?"))
        except ValueError:
            number = math.nan
        return number if math.isfinite(number) else _checked(text, name, where)
    if name in MARKS:
        return _mark(content.point_number(text), name, where)
    return content.file_name(text) if name == "path" else text


def _mark(text: str, name: str, where: str) -> int | None:
    """Return a label or decision that is written as a number or a word."""
    # Other programs write a column of integers with gaps as 0.0 and 1.0, and one of truths as False and True.
    numbers = {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "false": 0, "true": 1}
    if text.lower() in numbers:
        return numbers[text.lower()]
    from offkey.datasets.rows import read_label  # words are rare, and scores are to be read with numpy alone

    return read_label(text, f"{where}, column {name!r}")


def _from_cells(rows: list[Any], header: Iterable[Any], where: object) -> Content:
    """Read rows of plain data, of JSON or Parquet."""
    for at, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise DatasetError(f"{where}, row {at}: {row!r}; expected an object with a path")
    columns = _known(header, where) if rows else {}
    for name in sorted(_IDS.intersection(columns)):
        if any(_is_whole(row.get(name)) for row in rows):
            _warn_of_numbers(name, where)
    known = [
        {name: _from_value(row.get(name), name, f"{where}, row {at}") for name in columns}
        for at, row in enumerate(rows)
    ]
    return {name: [row[name] for row in known] for name in columns}


def _warn_of_numbers(name: str, where: object) -> None:
    warnings.warn(
        f"{where}, column {name!r}: numbers, where IDs are text; a program on the way may have taken leading zeros "
        "away, so that 00 became 0",
        OffkeyWarning,
        stacklevel=2,
    )


def _is_whole(cell: Any) -> bool:
    return type(cell) in (int, float) and cell == cell // 1


def _from_value(cell: Any, name: str, where: str) -> Any:
    """Read one cell that has a type: of IDs, numbers are taken too; of marks, words."""
    if name in _IDS and _is_whole(cell):
        return str(int(cell))
    if name in MARKS and isinstance(cell, str | bool):
        return _mark(str(cell), name, where)
    return _checked(cell, name, where)


def _checked(cell: Any, name: str, where: str) -> Any:
    """Return a cell if it is what its column may hold."""
    if cell is None and name != "path":
        return None
    if is_number(name):
        number = isinstance(cell, float | int) and not isinstance(cell, bool)
        sound, expected = (
            number and math.isfinite(cell),
            "a finite number, or nothing where there is no score",
        )
        if number and name == COUNT:
            sound, expected = cell >= 1 and cell == cell // 1, "a whole number from 1"
        elif number and name == "p_value":
            sound, expected = 0 < cell <= 1, "a number above 0 and at most 1"
    elif name in MARKS:
        sound, expected = type(cell) in (int, float) and cell in (0, 1), "0, 1 or nothing"
    elif name == "calibration":
        sound, expected = cell in KINDS, f"one of {', '.join(KINDS)}"
    else:
        sound, expected = isinstance(cell, str) and bool(cell or name != "path"), "text"
    if not sound:
        raise DatasetError(f"{where}, column {name!r}: {cell!r}; expected {expected}")
    return cell
