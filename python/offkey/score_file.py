"""Files of score tables: CSV, JSON, JSON lines and Parquet, as offkey writes them and as other programs do."""

from __future__ import annotations

import errno
import json
import math
import re
import warnings
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from json.encoder import encode_basestring_ascii
from pathlib import Path
from typing import Any, TypeAlias

from offkey._util import csv_text, parquet
from offkey._util.csv_text import CsvText
from offkey._util.files import check_writable, encoded, is_stream
from offkey._util.storage import Address, Url, whole_file
from offkey.errors import DatasetError, OffkeyWarning, ParameterError

__all__ = [
    "ALWAYS",
    "ANOMALY_SCORE",
    "COLUMNS",
    "COUNT",
    "DURATION",
    "JUDGED",
    "KINDS",
    "MARKS",
    "PATH_BYTES",
    "RATE",
    "START",
    "Cell",
    "Row",
    "check_target",
    "from_csv",
    "from_json",
    "is_number",
    "is_score",
    "json_lines",
    "read",
    "read_column",
    "to_csv",
    "to_json",
    "with_path",
    "write",
    "write_parquet",
]

Cell: TypeAlias = str | float | int | None
Row: TypeAlias = Mapping[str, Cell]
Content: TypeAlias = dict[str, Any]
"""The columns that a file has, each with a cell for every row: an array of numbers, or a list."""

ANOMALY_SCORE = "anomaly_score"
ALWAYS = ("a_out", "a_arc", "a_maha", "a_spectral", ANOMALY_SCORE)
MARKS = ("decision", "label")
START = "start_s"
PATH_BYTES = "path_bytes"
"""Of Parquet, whose text is UTF-8: the bytes of a path that is not, and nothing for others."""
COUNT = "calibration_clips"
DURATION, RATE = "duration_s", "sample_rate"
"""Of the whole recording, as it was recorded: seconds, and samples a second."""
JUDGED = ("threshold", "p_value", "calibration", COUNT)
KINDS = ("own", "pooled", "tail")
"""What a p-value may come from: values of the column `calibration`."""
COLUMNS = (
    *("path", "machine_type", "machine_id", "scored_as"),
    *ALWAYS,
    *("decision", *JUDGED, "label", DURATION, RATE, "error", "warning"),
)
"""The columns that every file has, in their order; those of other scores follow, and `start_s` where there is one."""

_NUMBERS = frozenset({START, "threshold", "p_value", COUNT, DURATION, RATE})
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
    return "".join(_texts(columns, [list(rows)], ".csv"))


def to_json(columns: Sequence[str], rows: Iterable[Row]) -> str:
    """Return rows with these columns as JSON text."""
    return "".join(_texts(columns, [list(rows)], ".json"))


def json_lines(columns: Mapping[str, Sequence[Cell]]) -> str:
    """Return columns of a table as JSON lines: what `json.dumps` makes of each row, sooner."""
    line = "{" + ", ".join(f"{json.dumps(name)}: %s" for name in columns) + "}\n"
    return "".join(map(line.__mod__, zip(*map(_json_cells, columns.values()), strict=True)))


def _json_cells(column: Sequence[Cell]) -> list[str]:
    return [
        "null" if cell is None else encode_basestring_ascii(cell) if isinstance(cell, str) else repr(cell)
        for cell in column
    ]


def check_target(path: Address) -> None:
    """Find out before recordings are scored whether the table could be written to `path`.

    Raises
    ------
    ParameterError, MissingExtraError, OSError
        As `offkey.ScoreTable.write`.
    """
    if _kind(path) == ".parquet":
        parquet.need_pyarrow(path)
    path.check_writable() if isinstance(path, Url) else check_writable(path)


def write(
    columns: Sequence[str],
    groups: Iterable[Sequence[Row]],
    path: Address,
    scratch_folder: Path | None = None,
    about: Mapping[str, Any] | None = None,
) -> None:
    """Write groups of rows with these columns in the format of the file's ending, whole or not at all.

    Until it is whole, it lies in `scratch_folder`, by default beside its place. Parquet has plain data about it, too.

    Raises
    ------
    ParameterError, MissingExtraError, OSError
        As `offkey.ScoreTable.write`.
    """
    kind = _kind(path)
    with whole_file(path, scratch_folder) as scratch:
        if kind == ".parquet":
            write_parquet(columns, groups, scratch, about)
            return
        with scratch.open("wb") as file:
            for text in _texts(columns, groups, kind):
                file.write(encoded(text))


def write_parquet(
    columns: Sequence[str],
    groups: Iterable[Sequence[Row]],
    path: Path,
    about: Mapping[str, Any] | None = None,
) -> None:
    """Write groups of rows to a Parquet file, with the paths' bytes beside, and plain data about it.

    Raises
    ------
    MissingExtraError, OSError
        If pyarrow is not installed, or the file cannot be written.
    """
    kinds: dict[str, parquet.Kind] = {name: _parquet_kind(name) for name in columns} | {PATH_BYTES: "binary"}
    with parquet.Writer(path, kinds, about) as writer:
        for rows in groups:
            writer.add([{PATH_BYTES: _bytes_beside(row), **row} for row in rows])


def _parquet_kind(name: str) -> parquet.Kind:
    if name in MARKS:
        return "int8"
    if name in (COUNT, RATE):
        return "int64"
    return "float64" if is_number(name) else "string"


def _bytes_beside(row: Row) -> bytes | None:
    """Return the bytes of a path that is not UTF-8."""
    path = str(row["path"])
    try:
        path.encode()
    except UnicodeEncodeError:
        return encoded(path)
    return None


def _texts(columns: Sequence[str], groups: Iterable[Sequence[Row]], kind: str) -> Iterator[str]:
    """Yield the text of a file, some of it at a time."""
    if kind == ".csv":
        yield csv_text.to_csv([columns])
        for rows in groups:
            yield csv_text.columns_to_csv(_columns(columns, rows).values())
    elif kind == ".jsonl":
        for rows in groups:
            yield json_lines(_columns(columns, rows))
    else:
        yield '{"rows": [\n'
        separator = ""
        for rows in groups:
            yield separator + json_lines(_columns(columns, rows)).rstrip("\n").replace("\n", ",\n")
            separator = ",\n" if rows else separator
        yield "\n]}\n"


def _columns(names: Sequence[str], rows: Sequence[Row]) -> dict[str, list[Cell]]:
    return {name: [row.get(name) for row in rows] for name in names}


def read(path: Address) -> Content:
    """Read a table in the format of the file's ending.

    Raises
    ------
    FileNotFoundError, ParameterError, DatasetError, MissingExtraError
        As `offkey.ScoreTable.read`.
    """
    if path.is_dir():
        return _from_folder(path)
    kind = _kind(path)
    if kind == ".csv":
        return _from_csv(csv_text.read_csv(path, of_offkey=",".join(COLUMNS[:4])))
    if kind == ".parquet":
        return _from_cells(parquet.rows(path), parquet.column_names(path), path)
    return _of_json(_json_file_rows(path), path)


def read_column(path: Address, name: str) -> list[Any]:
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
    elif kind == ".parquet":
        rows, header = list(parquet.rows(path)), parquet.column_names(path)
    else:
        rows = _json_file_rows(path)
        header = [name for row in rows if isinstance(row, Mapping) for name in row]
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
    read = _Columns(columns)
    for number, cells in lines:
        line = f"{content.where}, line {number}"
        read.add({name: _from_text(cells[at], name, line, content) for name, at in columns.items()})
    return {
        name: _ids(name, cells, content.where) if name in _IDS else cells
        for name, cells in read.content.items()
    }


class _Columns:
    """Cells row by row, kept close to each other: numbers as such, equal texts once.

    Parameters
    ----------
    names
        Of the columns.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.content: dict[str, Any] = {name: array("d") if is_number(name) else [] for name in names}
        self._texts: dict[str, str] = {}

    def add(self, row: Mapping[str, Any]) -> None:
        """Add a row that has these columns and no others; None is NaN among numbers."""
        for name, cell in row.items():
            if is_number(name):
                cell = math.nan if cell is None else cell
            elif type(cell) is str and name != "path":
                cell = self._texts.setdefault(cell, cell)
            self.content[name].append(cell)

    def add_table(self, content: Content) -> None:
        """Add rows that may lack some of the columns."""
        count = len(content["path"])
        for name, cells in self.content.items():
            cells.extend(content.get(name, [math.nan if is_number(name) else None] * count))


def _ids(name: str, cells: list[str | None], where: object) -> list[str | None]:
    """Return a CSV file's IDs; those that a program took for numbers with gaps, 0.0 and 2.0, without their points."""
    if not any(cells) or not all(_WHOLE.fullmatch(cell) for cell in cells if cell):
        return cells
    _warn_of_numbers(name, where)
    return [cell and cell.partition(".")[0] for cell in cells]


def _from_folder(folder: Address) -> Content:
    """Read a folder of Parquet files as one table, in the order of their names."""
    names = sorted(path.name for path in folder.iterdir()) if isinstance(folder, Path) else folder.names()
    files = [folder / name for name in names if name.endswith(".parquet") and not name.startswith((".", "_"))]
    if not files:
        reason = "a folder without a Parquet file; expected a file of scores, or a folder of them"
        raise IsADirectoryError(errno.EISDIR, reason, str(folder))
    headers = {file: parquet.column_names(file) for file in files}
    read = _Columns(dict.fromkeys(name for header in headers.values() for name in header if _is_column(name)))
    for file, header in headers.items():
        read.add_table(_from_cells(parquet.rows(file), header, file))
    return read.content


def from_json(text: str, where: object) -> Content:
    """Read a table from JSON text; errors name `where`, row and column."""
    return _of_json(_json_rows(text, where), where)


def _of_json(rows: list[Any], where: object) -> Content:
    for at, row in enumerate(rows):
        if not isinstance(row, dict):
            raise DatasetError(f"{where}, row {at}: {row!r}; expected an object with a path")
    names = dict.fromkeys(name for row in rows for name in row)
    return _from_cells(rows, names, where)


def _json_file_rows(path: Address) -> list[Any]:
    """Return the rows of a file of JSON, or of JSON lines."""
    text = path.read_bytes().decode("utf-8-sig", "surrogateescape")
    if _kind(path) == ".json":
        return _json_rows(text, path)
    lines = enumerate(text.split("\n"), 1)
    return [_json_line(line, f"{path}, line {number}") for number, line in lines if line.strip()]


def _json_line(line: str, where: str) -> Any:
    try:
        return json.loads(line, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{where}: not valid JSON: {error}") from None


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


def _kind(path: Address) -> str:
    kind = path.suffix.lower()
    if not kind and is_stream(path):
        return ".csv"
    if kind not in (".csv", ".json", ".jsonl", ".parquet"):
        raise ParameterError(f"{path}: ending {kind!r}; expected .csv, .json, .jsonl or .parquet")
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
    others = [
        name for name in names if not _is_column(name) and name != PATH_BYTES and not _INDEX.fullmatch(name)
    ]
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


def _from_cells(rows: Iterable[Mapping[str, Any]], header: Iterable[Any], where: object) -> Content:
    """Read rows of plain data, of JSON or Parquet."""
    names = list(header)
    columns = _known(names, where) if rows or names else {}
    read = _Columns(columns)
    of_numbers: set[str] = set()
    for at, row in enumerate(rows):
        cells = with_path(row)
        of_numbers.update(name for name in _IDS if _is_whole(cells.get(name)))
        read.add({name: _from_value(cells.get(name), name, f"{where}, row {at}") for name in columns})
    for name in sorted(of_numbers.intersection(columns)):
        _warn_of_numbers(name, where)
    return read.content


def with_path(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a row whose path has the bytes that stand beside it."""
    content = row.get(PATH_BYTES)
    if not isinstance(content, bytes):
        return row
    return {**row, "path": content.decode("utf-8", "surrogateescape")}


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
        if number and name in (COUNT, RATE):
            sound, expected = cell >= 1 and cell == cell // 1, "a whole number from 1"
        elif number and name == DURATION:
            sound, expected = cell >= 0, "seconds from 0"
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
