"""Tables of scores from files, and when their recordings were made."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

from offkey._util.storage import Address
from offkey.errors import DatasetError, ParameterError
from offkey.monitoring.times import Times, times_of_cells, times_of_files, times_of_names
from offkey.monitoring.trends import check_scores
from offkey.score_file import read_column
from offkey.scores import ScoreTable

__all__ = ["read_scores", "read_times"]

TIME = "time"
"""The column of a file of times, by default."""


def read_scores(files: Sequence[Address], *, column: str | None = None) -> tuple[ScoreTable, list[str]]:
    """Read files of scores as one table.

    Parameters
    ----------
    files
        CSV, JSON or Parquet.
    column
        One that a table of scores has not, but that is used: no warning says that it is passed over.

    Returns
    -------
    scores
        The rows of all files.
    rows
        What to call each: its file and row.

    Raises
    ------
    FileNotFoundError, ParameterError, DatasetError, MissingExtraError
        As `ScoreTable.read`, and if no trend can be made of the scores.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        tables = [ScoreTable.read(file) for file in files]
    for warning in caught:
        if column is None or not str(warning.message).endswith(f"none of a score table: {column!r}"):
            warnings.warn(warning.message, warning.category, stacklevel=2)
    rows = [
        f"{file}, row {row}" for file, table in zip(files, tables, strict=True) for row in range(len(table))
    ]
    scores = ScoreTable.from_rows([row for table in tables for row in table.rows()])
    check_scores(scores)  # before times are looked for
    return scores, rows


def read_times(
    files: Sequence[Address],
    scores: ScoreTable,
    rows: Sequence[str],
    *,
    mtime: bool = False,
    pattern: str | None = None,
    column: str | None = None,
    times: Path | None = None,
) -> Times:
    """Find out when the recordings of files of scores were made; by default from their names.

    Parameters
    ----------
    files, scores, rows
        As of `read_scores`.
    mtime
        When the recordings were last written.
    pattern
        How names say it.
    column
        A column of the files, or of `times`.
    times
        A file with the columns ``path`` and ``time``, or `column`.

    Raises
    ------
    ParameterError
        If several ways are asked for.
    DatasetError
        If the time of a recording cannot be read.
    """
    if mtime + (pattern is not None) + (column is not None or times is not None) > 1:
        raise ParameterError("expected one of `time` mtime, `time_pattern`, and `time_column` or `time_file`")
    if mtime:
        return times_of_files(scores.path, rows=rows)
    if times is not None:
        return _of_file(times, column or TIME, scores, rows)
    if column is not None:
        cells = [cell for file in files for cell in read_column(file, column)]
        return times_of_cells(cells, column=column, rows=rows)
    return times_of_names(scores.path, pattern=pattern, rows=rows)


def _of_file(file: Path, column: str, scores: ScoreTable, rows: Sequence[str]) -> Times:
    """Take the times that a file has for the paths of recordings."""
    cells: dict[Path, object] = {}
    for row, (path, cell) in enumerate(
        zip(read_column(file, "path"), read_column(file, column), strict=True)
    ):
        if cells.setdefault(Path(str(path)), cell) != cell:
            raise DatasetError(f"{file}, row {row}: {path} for the second time, with another time")
    for where, path in zip(rows, scores.path, strict=True):
        if path not in cells:
            raise DatasetError(f"{where}: {path}: {file} has no time for it; expected the same paths in both")
    return times_of_cells([cells[path] for path in scores.path], column=column, rows=rows)
