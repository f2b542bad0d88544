"""The table of scores that a detector gives: in memory, and as CSV, JSON or Parquet."""

from __future__ import annotations

import copy
import functools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from offkey import score_file
from offkey._util.files import path_text
from offkey._util.storage import address_of
from offkey._util.text_table import text_table
from offkey.errors import ArrayError, ParameterError
from offkey.score_file import (
    ALWAYS,
    ANOMALY_SCORE,
    COLUMNS,
    COUNT,
    DURATION,
    KINDS,
    MARKS,
    RATE,
    START,
    Cell,
    is_number,
    is_score,
)
from offkey.scoring.drift import Drift
from offkey.scoring.false_discovery import Discoveries

if TYPE_CHECKING:
    from offkey.datasets import Survey

__all__ = ["COLUMNS", "ScoreTable", "check_top", "from_csv", "from_json", "is_score", "read_scores"]

Texts: TypeAlias = Sequence[str | None]


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
    threshold
        The `anomaly_score` above which a recording is called anomalous.
    p_value
        Which part of healthy recordings of the machine sound at least as odd, above 0, at most 1.
    calibration, calibration_clips
        What the p-value comes from, `own`, `pooled` or `tail` (see `offkey.scoring.null.NullDistributions`), and how
        many normal clips' scores that are.
    label
        1 = anomaly, 0 = normal, None or -1 = not known.
    duration_s, sample_rate
        Of the whole recording as it was recorded, in seconds and Hz; None or NaN where that is not known: of a file
        that cannot be read, and the length where a header has none (some of MP3).
    error
        Why a recording has no score; None where all is well.
    warning
        What is wrong with a recording itself, or unlike the training: silent, constant, clipped, its level, rate or
        coding; None where all is well.
    start_s
        Where in a long recording the window begins that the scores are of, in seconds; None or NaN: they are of the
        whole recording.
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
        threshold: ArrayLike | Sequence[float | None] | None = None,
        p_value: ArrayLike | Sequence[float | None] | None = None,
        calibration: Texts | None = None,
        calibration_clips: ArrayLike | Sequence[int | None] | None = None,
        label: ArrayLike | Sequence[int | None] | None = None,
        duration_s: ArrayLike | Sequence[float | None] | None = None,
        sample_rate: ArrayLike | Sequence[int | None] | None = None,
        error: Texts | None = None,
        warning: Texts | None = None,
        start_s: ArrayLike | Sequence[float | None] | None = None,
        **scores: ArrayLike | Sequence[float | None] | None,
    ) -> None:
        self._names = _names(path)
        n = len(self._names)
        self.machine_type = _texts("machine_type", machine_type, n)
        self.machine_id = _texts("machine_id", machine_id, n)
        self.scored_as = _texts("scored_as", scored_as, n)
        strange = [name for name in scores if not is_score(name)]
        if strange:
            raise ArrayError(
                f"column {strange[0]!r} is not known; expected {', '.join(COLUMNS)}, or another score, named a_..."
            )
        names = dict.fromkeys((*ALWAYS, *scores))
        self._scores = {name: _scores(name, scores.get(name), n) for name in names}
        self.decision = _marks("decision", decision, n)
        self.threshold = _scores("threshold", threshold, n)
        """``(recordings,)`` float64, NaN where there is none."""
        self.p_value = _scores("p_value", p_value, n)
        """``(recordings,)`` float64, NaN where there is none."""
        self.calibration = _texts("calibration", calibration, n)
        self.calibration_clips = _scores(COUNT, calibration_clips, n)
        """``(recordings,)`` float64, NaN where there is no p-value."""
        self.label = _marks("label", label, n)
        self.duration_s = _scores(DURATION, duration_s, n)
        """``(recordings,)`` float64, NaN where it is not known."""
        self.sample_rate = _scores(RATE, sample_rate, n)
        """``(recordings,)`` float64, NaN where it is not known."""
        self.error = _texts("error", error, n)
        self.warning = _texts("warning", warning, n)
        self.start_s = _scores(START, start_s, n)
        """``(recordings,)`` float64."""
        self.survey: Survey | None = None
        """What `offkey.Detector.score` saw: rates, channels and lengths, and what was passed over; not in files."""
        self.drift: tuple[Drift, ...] = ()
        """How recordings of each ID differ from its calibration clips, as far as they were compared; not in files."""
        self.discoveries: Discoveries | None = None
        """What `with_false_discovery_rate` has called, and what it could have; not in files."""
        self.skipped: tuple[tuple[str, str], ...] = ()
        """Names of recordings that were left out as they have no score, and why; not in files."""
        self.windows: tuple[int, ...] = ()
        """Of how many windows the scores of each row are the largest, as far as that is known; not in files."""
        self._check()

    def _check(self) -> None:
        if (self.start_s < 0).any():
            raise ArrayError(f"start_s: {np.nanmin(self.start_s)}; expected seconds from 0, or None")
        for bad, name, expected in (
            ((self.p_value <= 0) | (self.p_value > 1), "p_value", "a number above 0, at most 1"),
            (self.duration_s < 0, DURATION, "seconds from 0"),
            ((self.sample_rate < 1) | (self.sample_rate % 1 > 0), RATE, "a whole number from 1"),
            ((self.calibration_clips < 1) | (self.calibration_clips % 1 > 0), COUNT, "a whole number from 1"),
        ):
            if bad.any():
                row = int(np.flatnonzero(bad)[0])
                raise ArrayError(f"{name}: {getattr(self, name)[row]:g} at row {row}; expected {expected}")
        strange = [text for text in self.calibration if text is not None and text not in KINDS]
        if strange:
            raise ArrayError(f"calibration: {strange[0]!r}; expected one of {', '.join(KINDS)}")

    def __len__(self) -> int:
        return len(self._names)

    @functools.cached_property
    def path(self) -> list[Path]:
        """The recordings."""
        return list(map(Path, self._names))

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
        start = () if np.isnan(self.start_s).all() else (START,)
        return (*COLUMNS, *(name for name in self._scores if name not in ALWAYS), *start)

    @property
    def score_names(self) -> tuple[str, ...]:
        """The scores that at least one recording has; `anomaly_score` comes last."""
        names = sorted(self._scores, key=lambda name: name == ANOMALY_SCORE)
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

    def with_false_discovery_rate(self, rate: float, *, windows: ArrayLike | None = None) -> ScoreTable:
        """Return the table with decisions on all recordings together, by their p-values.

        On average at most a part `rate` of the recordings called anomalous is then healthy, however many healthy ones
        there are (Benjamini and Hochberg 1995; see `offkey.scoring.false_discovery`). A false-alarm rate is about the
        healthy ones instead: at 5%, 10,000 of them raise 500 alarms.

        Parameters
        ----------
        rate
            In (0, 1).
        windows
            Of how many windows the score of each row is the largest, ``(rows,)``, as far as that is known: the smallest
            p-value that a recording can have rises with it. By default 1. A recording of several rows, its windows, is
            one test.

        Returns
        -------
        ScoreTable
            The same rows, with a `decision` where there is a p-value, and without a `threshold`: what is called depends
            on all of them. Its `discoveries` say how many there are, and the least number that could have been found.

        Raises
        ------
        ParameterError
            If `rate` is outside (0, 1), or the table has scores but no p-values.

        Examples
        --------
        >>> table = ScoreTable(path=["a.wav", "b.wav"], anomaly_score=[5.0, 0.3], p_value=[0.004, 0.4])
        >>> table.with_false_discovery_rate(0.1).decision
        array([1, 0], dtype=int8)
        """
        if np.isnan(self.p_value).all() and not np.isnan(self.anomaly_score).all():
            raise ParameterError("p_value: the table has scores but no p-values; score the recordings again")
        ranks = np.array([kind != "tail" for kind in self.calibration])
        floor = ranks / (1 + np.nan_to_num(self.calibration_clips, nan=np.inf))
        factor = np.ones(len(self)) if windows is None else np.asarray(windows, dtype=np.float64)
        discoveries = Discoveries.among(
            self.p_value,
            smallest_p=np.minimum(1.0, factor * floor),
            recordings=self.recordings(),
            rate=rate,
        )
        table = copy.copy(self)
        table.decision, table.discoveries = discoveries.decisions, discoveries
        table.threshold = np.full(len(self), np.nan)
        return table

    def most_anomalous(self, top: int) -> ScoreTable:
        """Return the rows of the recordings that sound most wrong: by p-value, then by score, the oddest first.

        Parameters
        ----------
        top
            How many, from 1; of a recording that has several rows, its windows, the oddest one is taken.

        Raises
        ------
        ParameterError
            If it is below 1.
        """
        check_top(top)
        order = np.lexsort((-self.anomaly_score, self.p_value))  # NaN last
        order = order[~np.isnan(self.anomaly_score[order])]
        first = np.sort(np.unique(self.recordings()[order], return_index=True)[1])
        rows = list(self.rows())
        table = ScoreTable.from_rows([rows[at] for at in order[first[:top]].tolist()])
        table.survey, table.drift, table.discoveries = self.survey, self.drift, self.discoveries
        table.skipped = self.skipped
        return table

    def recordings(self) -> NDArray[np.int64]:
        """Return of which recording each row is, numbered from 0: rows with `start_s` and one path are its windows.

        Examples
        --------
        >>> ScoreTable(path=["a.wav", "a.wav", "b.wav"], start_s=[0.0, 10.0, None]).recordings()
        array([0, 0, 1])
        """
        numbers: dict[object, int] = {}
        windows = zip(self._names, np.isnan(self.start_s).tolist(), strict=True)
        keys: list[object] = [row if whole else path for row, (path, whole) in enumerate(windows)]
        return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.int64)

    def rows(self) -> Iterator[dict[str, Cell]]:
        """Yield each row as plain data, None where nothing is known; the path as text."""
        names = self.columns
        for cells in zip(*map(self.cells, names), strict=True):
            yield dict(zip(names, cells, strict=True))

    def cells(self, name: str) -> Sequence[Cell]:
        """Return a column as plain data, None where nothing is known, or all of it if there is no such column."""
        if name == "path":
            return self._names
        column = getattr(self, name, None)
        if column is None:
            return [None] * len(self)
        if is_number(name):
            kind = int if name in (COUNT, RATE) else float
            return [None if value != value else kind(value) for value in column.tolist()]
        if name in MARKS:
            return [None if value < 0 else value for value in column.tolist()]
        cells: list[str | None] = column
        return cells

    @classmethod
    def from_rows(cls, rows: Sequence[dict[str, Any]]) -> ScoreTable:
        """Make a table of rows as `rows` yields them; columns may be left out of a row.

        Raises
        ------
        ArrayError
            If a row has a column that there is not, no path, or what a column must not hold.
        """
        kinds = list(map(tuple, rows))  # most have the columns of others
        known = {kind: all(name in COLUMNS or is_number(name) for name in kind) for kind in set(kinds)}
        for at, (kind, row) in enumerate(zip(kinds, rows, strict=True)):
            if not known[kind] or not row.get("path"):
                raise ArrayError(
                    f"row {at}: columns {', '.join(row)}; expected path and some of {COLUMNS[1:]}, or scores a_..."
                )
        names = dict.fromkeys(name for kind in dict.fromkeys(kinds) for name in kind)
        return _table({name: [row.get(name) for row in rows] for name in names})

    def to_csv(self) -> str:
        """Return the table as CSV text: a header, LF line ends, full precision, empty cells for what is missing."""
        return score_file.to_csv(self.columns, self.rows())

    def to_json(self) -> str:
        """Return the table as JSON text: ``{"rows": [{"path": ..., ...}, ...]}``, null for what is missing."""
        return score_file.to_json(self.columns, self.rows())

    def to_text(self) -> str:
        """Return the table for a person to read, without the columns that are empty and what p-values come from."""
        rows = list(self.rows())
        names = [
            name
            for name in self.columns
            if name not in ("calibration", COUNT, DURATION, RATE)
            and (name == "path" or any(row[name] is not None for row in rows))
        ]

        def shown(name: str, value: Cell) -> str:
            if isinstance(value, float):
                return f"{value:.1f}" if name == START else f"{value:.4g}"
            return "" if value is None else str(value)

        return text_table([names], [[shown(name, row[name]) for name in names] for row in rows])

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the table as CSV, JSON, JSON lines or Parquet by the file's ending, whole or not at all.

        Raises
        ------
        ParameterError
            If the ending is none of ``.csv``, ``.json``, ``.jsonl``, ``.parquet``.
        MissingExtraError
            If it is ``.parquet`` and pyarrow is not installed.
        OSError
            If the file cannot be written; what stood there before is then still there.
        """
        score_file.write(self.columns, [list(self.rows())], address_of(path))

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> ScoreTable:
        """Read a table from CSV, JSON or Parquet by the file's ending, or from all Parquet files of a folder.

        It may be on object storage, a URL such as ``s3://bucket/scores.parquet``. A table made elsewhere needs the
        column ``path``; others may be missing.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ParameterError
            If the ending is none of ``.csv``, ``.json``, ``.jsonl``, ``.parquet``.
        DatasetError
            If the content is no score table; the message names file, line and column.
        MissingExtraError
            If it is ``.parquet`` and pyarrow is not installed.
        """
        return _table(score_file.read(address_of(path)))


def read_scores(path: str | os.PathLike[str]) -> ScoreTable:
    """Read a table of scores, of a file, a folder or a URL: the same as `ScoreTable.read`."""
    return ScoreTable.read(path)


def _names(paths: Sequence[str | os.PathLike[str]]) -> list[str]:
    """Return paths as text, as a `Path` has it."""
    for at, path in enumerate(paths):
        if not isinstance(path, (str, os.PathLike)) or not os.fspath(path):
            raise ArrayError(f"path: {path!r} at row {at}; expected a path")
    return list(map(path_text, paths))


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


def check_top(top: int) -> None:
    """Refuse a number of recordings below 1.

    Raises
    ------
    ParameterError
        If it is.
    """
    if top < 1:
        raise ParameterError(f"top = {top}: expected at least 1 recording")


def from_csv(text: str, where: object) -> ScoreTable:
    """Read a table from CSV text; errors name `where`, line and column."""
    return _table(score_file.from_csv(text, where))


def from_json(text: str, where: object) -> ScoreTable:
    """Read a table from JSON text; errors name `where`, row and column."""
    return _table(score_file.from_json(text, where))


def _table(columns: dict[str, Any]) -> ScoreTable:
    return ScoreTable(**({"path": []} | columns))
