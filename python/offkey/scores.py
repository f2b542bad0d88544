"""The table of scores that a detector gives: in memory, and as CSV, JSON or Parquet."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from offkey._util.files import atomic_path, check_writable
from offkey._util.text_table import text_table
from offkey.errors import ArrayError, DatasetError, MissingExtraError, ParameterError

__all__ = [
    "COLUMNS",
    "ScoreTable",
    "check_target",
    "from_csv",
    "from_json",
    "is_score",
]

_ANOMALY_SCORE = "anomaly_score"
_ALWAYS = ("a_out", "a_arc", "a_maha", "a_spectral", _ANOMALY_SCORE)
_MARKS = ("decision", "label")
COLUMNS = ("path", "machine_type", "machine_id", "scored_as", *_ALWAYS, *_MARKS, "error")
"""The columns that every file has, in their order; those of other scores follow."""

_OTHER_SCORE = re.compile(r"a_[a-z0-9_]+")


def is_score(name: str) -> bool:
    """Say whether a column of this name holds a score: `anomaly_score`, or a model's, such as `a_distance`."""
    return name == _ANOMALY_SCORE or _OTHER_SCORE.fullmatch(name) is not None


Texts: TypeAlias = Sequence[str | None]
Cell: TypeAlias = str | float | int | None


class ScoreTable:
    """Scores of recordings, a row for each. Columns that are not given are empty.

    Parameters
    ----------
    path
        The recordings.
    machine_type, machine_id
        What was recorded; None where it is not known.
    scored_as
        The ID whose model of normal sound the recording was compared with.
    decision
        1 = called anomalous, 0 = not, None or -1 = no decision.
    label
        1 = anomaly, 0 = normal, None or -1 = not known.
    error
        Why a recording has no score; None where all is well.
    **scores
        `anomaly_score`, and the scores of models, named ``a_`` and small letters, digits or ``_``: numbers, higher =
        more anomalous. None or NaN: there is no such score. In files a missing score is an empty cell or null, never
        NaN. Each is an attribute of the table, ``(recordings,)`` float64.

    Raises
    ------
    ArrayError
        If a column is none of these, or columns differ in length or hold what they must not, such as infinite scores.

    Examples
    --------
    >>> table = ScoreTable(path=["a.wav", "b.wav"], anomaly_score=[0.5, None])
    >>> table.anomaly_score
    array([0.5, nan])
    >>> table.score_names
    ('anomaly_score',)
    """

    def __init__(
        self,
        *,
        path: Sequence[str | os.PathLike[str]],
        machine_type: Texts | None = None,
        machine_id: Texts | None = None,
        scored_as: Texts | None = None,
        decision: ArrayLike | Sequence[int | None] | None = None,
        label: ArrayLike | Sequence[int | None] | None = None,
        error: Texts | None = None,
        **scores: ArrayLike | Sequence[float | None] | None,
    ) -> None:
        self.path = _paths(path)
        n = len(self.path)
        self.machine_type = _texts("machine_type", machine_type, n)
        self.machine_id = _texts("machine_id", machine_id, n)
        self.scored_as = _texts("scored_as", scored_as, n)
        strange = [name for name in scores if not is_score(name)]
        if strange:
            raise ArrayError(
                f"column {strange[0]!r} is not known; expected {', '.join(COLUMNS)}, or another score, named a_..."
            )
        names = dict.fromkeys((*_ALWAYS, *scores))
        self._scores = {name: _scores(name, scores.get(name), n) for name in names}
        self.decision = _marks("decision", decision, n)
        self.label = _marks("label", label, n)
        self.error = _texts("error", error, n)

    def __len__(self) -> int:
        return len(self.path)

    def __repr__(self) -> str:
        scores = ", ".join(self.score_names) or "no score"
        return f"ScoreTable({len(self)} recordings: {scores}; {sum(map(bool, self.error))} errors)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ScoreTable) and list(self.rows()) == list(other.rows())

    __hash__ = None  # type: ignore[assignment]  # equal by content, and large

    def __getattr__(self, name: str) -> NDArray[np.float64]:
        """Return a column of scores."""
        columns = self.__dict__.get("_scores", {})  # none yet while a copy is made
        if name not in columns:
            raise AttributeError(f"a ScoreTable has no {name!r}")
        column: NDArray[np.float64] = columns[name]
        return column

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns, in the order of files."""
        return (*COLUMNS, *(name for name in self._scores if name not in _ALWAYS))

    @property
    def score_names(self) -> tuple[str, ...]:
        """The scores that at least one recording has; `anomaly_score` comes last."""
        names = sorted(self._scores, key=lambda name: name == _ANOMALY_SCORE)
        return tuple(name for name in names if not np.isnan(self._scores[name]).all())

    def scores(self, name: str) -> NDArray[np.float64]:
        """Return a column of scores, ``(recordings,)`` float64, NaN where there is none.

        Raises
        ------
        ParameterError
            If there is no score of that name.
        """
        if name not in self._scores:
            raise ParameterError(f"score {name!r}: expected one of {', '.join(self._scores)}")
        return self._scores[name]

    def rows(self) -> Iterator[dict[str, Cell]]:
        """Yield each row as plain data, None where nothing is known; the path as text."""
        columns: list[list[Cell]] = [[str(path) for path in self.path]]
        for name in self.columns[1:]:
            column = getattr(self, name)
            if is_score(name):
                columns.append([None if value != value else value for value in column.tolist()])
            elif name in _MARKS:
                columns.append([None if value < 0 else value for value in column.tolist()])
            else:
                columns.append(column)
        for cells in zip(*columns, strict=True):
            yield dict(zip(self.columns, cells, strict=True))

    @classmethod
    def from_rows(cls, rows: Sequence[dict[str, Any]]) -> ScoreTable:
        """Make a table of rows as `rows` yields them; columns may be left out of a row.

        Raises
        ------
        ArrayError
            If a row has a column that there is not, no path, or what a column must not hold.
        """
        for at, row in enumerate(rows):
            if not all(_is_column(name) for name in row) or not row.get("path"):
                raise ArrayError(
                    f"row {at}: columns {', '.join(row)}; expected path and some of {COLUMNS[1:]}, or scores a_..."
                )
        return _table(rows, dict.fromkeys(name for row in rows for name in row))

    def to_csv(self) -> str:
        """Return the table as CSV text: a header, LF line ends, full precision, empty cells for what is missing."""
        return _to_csv(self)

    def to_json(self) -> str:
        """Return the table as JSON text: ``{"rows": [{"path": ..., ...}, ...]}``, null for what is missing."""
        return _to_json(self)

    def to_text(self) -> str:
        """Return the table for a person to read, without the columns that are empty."""
        rows = list(self.rows())
        names = [
            name for name in self.columns if name == "path" or any(row[name] is not None for row in rows)
        ]

        def shown(value: Cell) -> str:
            return f"{value:.4g}" if isinstance(value, float) else "" if value is None else str(value)

        return text_table([names], [[shown(row[name]) for name in names] for row in rows])

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the table as CSV, JSON or Parquet by the file's ending, whole or not at all.

        Raises
        ------
        ParameterError
            If the ending is none of ``.csv``, ``.json``, ``.parquet``.
        MissingExtraError
            If it is ``.parquet`` and pyarrow is not installed.
        OSError
            If the file cannot be written; what stood there before is then still there.
        """
        _write(self, Path(path))

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> ScoreTable:
        """Read a table from CSV, JSON or Parquet by the file's ending.

        A table made elsewhere needs the column ``path``; others may be missing.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ParameterError
            If the ending is none of ``.csv``, ``.json``, ``.parquet``.
        DatasetError
            If the content is no score table; the message names file, line and column.
        MissingExtraError
            If it is ``.parquet`` and pyarrow is not installed.
        """
        return _read(Path(path))


def _paths(values: Sequence[str | os.PathLike[str]]) -> list[Path]:
    for at, value in enumerate(values):
        if not isinstance(value, (str, os.PathLike)) or not os.fspath(value):
            raise ArrayError(f"path: {value!r} at row {at}; expected a path")
    return [Path(value) for value in values]


def _check_length(name: str, rows: int, expected: int) -> None:
    if rows != expected:
        raise ArrayError(f"{name}: {rows} rows; expected {expected}, one for each path")


def _texts(name: str, values: Texts | None, n: int) -> list[str | None]:
    if values is None:
        return [None] * n
    _check_length(name, len(values), n)
    for at, value in enumerate(values):
        if not isinstance(value, str | None):
            raise ArrayError(f"{name}: {value!r} at row {at}; expected text or None")
    return [value or None for value in values]


def _numbers(name: str, values: ArrayLike | Sequence[float | None], n: int) -> NDArray[np.float64]:
    """Return numbers as float64, NaN for None."""
    array = np.asarray(values)
    if array.dtype == object:
        array = np.array([np.nan if value is None else value for value in array.ravel()])
    if array.dtype.kind not in "fiub" or array.ndim != 1:
        if array.size == 0 == n:
            return np.empty(0)
        raise ArrayError(
            f"{name}: dtype {array.dtype}, shape {array.shape}; expected numbers or None, ({n},)"
        )
    _check_length(name, len(array), n)
    return array.astype(np.float64)


def _scores(name: str, values: ArrayLike | Sequence[float | None] | None, n: int) -> NDArray[np.float64]:
    column = np.full(n, np.nan) if values is None else _numbers(name, values, n)
    infinite = np.flatnonzero(np.isinf(column))
    if infinite.size:
        raise ArrayError(
            f"{name}: {column[infinite[0]]} at row {infinite[0]}; expected a finite number or None"
        )
    column.flags.writeable = False
    return column


def _marks(name: str, values: ArrayLike | Sequence[int | None] | None, n: int) -> NDArray[np.int8]:
    numbers = np.full(n, -1.0) if values is None else np.nan_to_num(_numbers(name, values, n), nan=-1.0)
    bad = np.flatnonzero(~np.isin(numbers, (-1, 0, 1)))
    if bad.size:
        raise ArrayError(f"{name}: {numbers[bad[0]]:g} at row {bad[0]}; expected 1, 0 or None")
    column = numbers.astype(np.int8)
    column.flags.writeable = False
    return column


def _to_csv(table: ScoreTable) -> str:
    """Return the table as CSV text."""
    lines = [table.columns, *(tuple(map(_to_text, row.values())) for row in table.rows())]
    return "".join(",".join(line) + "\n" for line in lines)


def _to_text(cell: str | float | int | None) -> str:
    """Return one cell of a CSV file; `csv.writer` would leave a lone carriage return without quotes."""
    if not isinstance(cell, str):
        return "" if cell is None else repr(cell)  # the fewest digits that give a float back
    return '"' + cell.replace('"', '""') + '"' if set(cell) & set(',"\r\n') else cell


def _to_json(table: ScoreTable) -> str:
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


def _write(table: ScoreTable, path: Path) -> None:
    """Write the table in the format of the file's ending, whole or not at all."""
    kind = _kind(path)
    if kind == ".parquet":
        content = _to_parquet(table, path)
    else:
        # A file name that is not UTF-8 keeps its bytes.
        content = (_to_csv(table) if kind == ".csv" else _to_json(table)).encode("utf-8", "surrogateescape")
    with atomic_path(path) as scratch:
        scratch.write_bytes(content)


def _read(path: Path) -> ScoreTable:
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
    marks = dict.fromkeys(_MARKS, arrow.int8())
    kinds = {
        name: arrow.float64() if is_score(name) else marks.get(name, arrow.string()) for name in table.columns
    }
    schema = arrow.schema(list(kinds.items()))
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
    unknown = [name for name in names if not _is_column(name)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if "path" not in names or unknown or twice:
        problem = f"column {unknown[0]!r} is not known" if unknown else "there is no column 'path'"
        problem = f"column {twice[0]!r} comes twice" if twice else problem
        raise DatasetError(
            f"{where}: {problem}; expected path, any of {', '.join(COLUMNS[1:])}, and other scores, named a_..."
        )


def _is_column(name: object) -> bool:
    return isinstance(name, str) and (name in COLUMNS or is_score(name))


def _from_text(cell: str, name: str, where: str) -> Any:
    """Read one cell of a CSV file."""
    text = cell.strip() if is_score(name) or name in _MARKS else cell
    if not text:
        return _checked(None, name, where)
    if is_score(name):
        try:
            number = float(text.replace("_", "?"))
        except ValueError:
            number = math.nan
        return number if math.isfinite(number) else _checked(text, name, where)
    if name in _MARKS:
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
    return _table(rows, dict.fromkeys(name for row in rows for name in row))


def _checked(cell: Any, name: str, where: str) -> Any:
    """Return a cell if it is what its column may hold."""
    if cell is None and name != "path":
        return None
    if is_score(name):
        number = isinstance(cell, float | int) and not isinstance(cell, bool)
        sound, expected = (
            number and math.isfinite(cell),
            "a finite number, or nothing where there is no score",
        )
    elif name in _MARKS:
        sound, expected = type(cell) in (int, float) and cell in (0, 1), "0, 1 or nothing"
    else:
        sound, expected = isinstance(cell, str) and bool(cell or name != "path"), "text"
    if not sound:
        raise DatasetError(f"{where}, column {name!r}: {cell!r}; expected {expected}")
    return cell


def _table(rows: Sequence[Any], names: Iterable[str]) -> ScoreTable:
    columns: dict[str, Any] = {name: [row.get(name) for row in rows] for name in names}
    return ScoreTable(**({"path": []} | columns))
