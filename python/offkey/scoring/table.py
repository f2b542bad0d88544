"""The table of scores that a detector gives: in memory, and as CSV, JSON or Parquet."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from offkey.errors import ArrayError, ParameterError

__all__ = ["COLUMNS", "MARK_COLUMNS", "SCORE_COLUMNS", "TEXT_COLUMNS", "ScoreName", "ScoreTable"]

ScoreName: TypeAlias = Literal["a_out", "a_arc", "a_maha", "a_spectral", "anomaly_score"]

SCORE_COLUMNS: tuple[ScoreName, ...] = get_args(ScoreName)
TEXT_COLUMNS = ("machine_type", "machine_id", "scored_as", "error")
MARK_COLUMNS = ("decision", "label")
COLUMNS = ("path", "machine_type", "machine_id", "scored_as", *SCORE_COLUMNS, *MARK_COLUMNS, "error")
"""All columns, in the order of every file."""

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
    a_out, a_arc, a_maha, a_spectral, anomaly_score
        Higher = more anomalous. None or NaN: there is no such score. In files a missing score is an empty
        cell or null, never NaN.
    decision
        1 = called anomalous, 0 = not, None or -1 = no decision.
    label
        1 = anomaly, 0 = normal, None or -1 = not known.
    error
        Why a recording has no score; None where all is well.

    Raises
    ------
    ArrayError
        If columns differ in length or hold what they must not, such as infinite scores.

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
        a_out: ArrayLike | Sequence[float | None] | None = None,
        a_arc: ArrayLike | Sequence[float | None] | None = None,
        a_maha: ArrayLike | Sequence[float | None] | None = None,
        a_spectral: ArrayLike | Sequence[float | None] | None = None,
        anomaly_score: ArrayLike | Sequence[float | None] | None = None,
        decision: ArrayLike | Sequence[int | None] | None = None,
        label: ArrayLike | Sequence[int | None] | None = None,
        error: Texts | None = None,
    ) -> None:
        self.path = _paths(path)
        n = len(self.path)
        self.machine_type = _texts("machine_type", machine_type, n)
        self.machine_id = _texts("machine_id", machine_id, n)
        self.scored_as = _texts("scored_as", scored_as, n)
        self.a_out = _scores("a_out", a_out, n)
        self.a_arc = _scores("a_arc", a_arc, n)
        self.a_maha = _scores("a_maha", a_maha, n)
        self.a_spectral = _scores("a_spectral", a_spectral, n)
        self.anomaly_score = _scores("anomaly_score", anomaly_score, n)
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

    @property
    def score_names(self) -> tuple[ScoreName, ...]:
        """The scores that at least one recording has."""
        return tuple(name for name in SCORE_COLUMNS if not np.isnan(self.scores(name)).all())

    def scores(self, name: str) -> NDArray[np.float64]:
        """Return a column of scores, ``(recordings,)`` float64, NaN where there is none.

        Raises
        ------
        ParameterError
            If there is no score of that name.
        """
        if name not in SCORE_COLUMNS:
            raise ParameterError(f"score {name!r}: expected one of {', '.join(SCORE_COLUMNS)}")
        column: NDArray[np.float64] = getattr(self, name)
        return column

    def rows(self) -> Iterator[dict[str, Cell]]:
        """Yield each row as plain data, None where nothing is known; the path as text."""
        columns: list[list[Cell]] = [[str(path) for path in self.path]]
        for name in COLUMNS[1:]:
            column = getattr(self, name)
            if name in SCORE_COLUMNS:
                columns.append([None if value != value else value for value in column.tolist()])
            elif name in MARK_COLUMNS:
                columns.append([None if value < 0 else value for value in column.tolist()])
            else:
                columns.append(column)
        for cells in zip(*columns, strict=True):
            yield dict(zip(COLUMNS, cells, strict=True))

    @classmethod
    def from_rows(cls, rows: Sequence[dict[str, Any]]) -> ScoreTable:
        """Make a table of rows as `rows` yields them; columns may be left out of a row.

        Raises
        ------
        ArrayError
            If a row has a column that there is not, no path, or what a column must not hold.
        """
        for at, row in enumerate(rows):
            if set(row) - set(COLUMNS) or not row.get("path"):
                raise ArrayError(
                    f"row {at}: columns {', '.join(row)}; expected path and some of {COLUMNS[1:]}"
                )
        columns: dict[str, Any] = {name: [row.get(name) for row in rows] for name in COLUMNS}
        return cls(**columns)

    def to_csv(self) -> str:
        """Return the table as CSV text: a header, LF line ends, full precision, empty cells for what is missing."""
        from offkey.scoring import table_io

        return table_io.to_csv(self)

    def to_json(self) -> str:
        """Return the table as JSON text: ``{"rows": [{"path": ..., ...}, ...]}``, null for what is missing."""
        from offkey.scoring import table_io

        return table_io.to_json(self)

    def to_text(self) -> str:
        """Return the table for a person to read, without the columns that are empty."""
        from offkey.evaluation.tables import plain

        rows = list(self.rows())
        names = [name for name in COLUMNS if name == "path" or any(row[name] is not None for row in rows)]

        def shown(value: Cell) -> str:
            return f"{value:.4g}" if isinstance(value, float) else "" if value is None else str(value)

        return plain([names], [[shown(row[name]) for name in names] for row in rows])

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
        from offkey.scoring import table_io

        table_io.write(self, Path(path))

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
        from offkey.scoring import table_io

        return table_io.read(Path(path))


def _paths(values: Sequence[str | os.PathLike[str]]) -> list[Path]:
    for at, value in enumerate(values):
        if not isinstance(value, (str, os.PathLike)) or not os.fspath(value):
            raise ArrayError(f"path: {value!r} at row {at}; expected a path")
    return [Path(value) for value in values]


def _check_length(name: str, given: int, expected: int) -> None:
    if given != expected:
        raise ArrayError(f"{name}: {given} rows; expected {expected}, one for each path")


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
