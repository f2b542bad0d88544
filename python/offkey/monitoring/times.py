"""When recordings were made: by their names, by a column, or by the times of the files."""

from __future__ import annotations

import dataclasses
import datetime
import re
from collections.abc import Callable, Iterable, Sequence
from os import PathLike
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from offkey.errors import DatasetError
from offkey.monitoring.time_pattern import TimePattern

__all__ = ["Times", "times_of_cells", "times_of_files", "times_of_names"]

Cell = TypeVar("Cell")
Moment = tuple[datetime.datetime, bool]
"""A time, and whether it has a time of day."""

_ISO = "2024-05-01T12-30-00, 20240501_123000 or 2024-05-01_12-30"
_NAMED = re.compile(
    r"(?<!\d)(?P<year>(?:19|20)\d\d)(?P<of_date>[-_.]?)(?P<month>\d\d)(?P=of_date)(?P<day>\d\d)"
    r"(?:[Tt_ .@-]*(?P<hour>\d\d)(?P<of_time>[-_:.h]?)(?P<minute>\d\d)(?:(?P=of_time)(?P<second>\d\d))?)?(?!\d)"
)


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Times:
    """When each recording was made, and what says so."""

    values: NDArray[np.datetime64]
    """``(recordings,)`` datetime64[us]; of times with an offset from UTC, that in UTC."""
    source: str
    """Such as ``file names``."""


def times_of_names(
    paths: Iterable[str | PathLike[str]], *, pattern: str | None = None, rows: Sequence[str] | None = None
) -> Times:
    """Read times from the names of files.

    Parameters
    ----------
    paths
        The recordings.
    pattern
        How a time is written, as for `datetime.datetime.strptime`: ``%Y%m%d_%H%M%S``. It may stand anywhere in the
        name; with a ``/`` in it, anywhere in the path. By default a year, month and day, with or without hour, minute
        and second behind them, as in ``2024-05-01T12-30-00``, ``20240501_123000`` or ``2024-05-01_12-30``.
    rows
        What errors call each recording; ``row 0`` and so on by default.

    Raises
    ------
    DatasetError
        If a name has no time or several, or some have a time of day and others have none.
    ParameterError
        If the pattern is none.
    """
    files = [Path(path) for path in paths]
    if pattern is None:
        found: Callable[[Path], list[Moment]] = _found
        expected = (
            f"a date and time such as {_ISO}; say with `time_pattern` how it is written, as '%d.%m.%Y %H-%M'"
        )
    else:
        form = TimePattern(pattern)
        found, expected = form.found, f"time_pattern = {pattern!r} once"
    told = f"file names, {'as ' + pattern if pattern else 'as dates and times'}"

    def read(path: Path) -> Moment:
        moments = list(dict.fromkeys(found(path)))
        if len(moments) == 1:
            return moments[0]
        several = " and ".join(str(moment) for moment, _ in moments)
        raise ValueError(f"{path}: {several or 'no time in the name'}; expected {expected}")

    return _times(files, read, rows, told)


def times_of_files(paths: Iterable[str | PathLike[str]], *, rows: Sequence[str] | None = None) -> Times:
    """Take the times at which files were last written, in UTC.

    Raises
    ------
    DatasetError
        If a file is not there.
    """

    def read(path: Path) -> Moment:
        try:
            written = path.stat().st_mtime
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise ValueError(
                f"{path}: no time of the file: {why}; is it relative to another folder?"
            ) from None
        return datetime.datetime.fromtimestamp(written, datetime.UTC), True

    return _times([Path(path) for path in paths], read, rows, "when the files were last written")


def times_of_cells(cells: Iterable[object], *, column: str, rows: Sequence[str] | None = None) -> Times:
    """Read times from the cells of a column.

    Parameters
    ----------
    cells
        Text of a date and time in ISO 8601, as `datetime.datetime.fromisoformat` reads it, or dates and times.
    column
        Its name.
    rows
        What errors call each recording; ``row 0`` and so on by default.

    Raises
    ------
    DatasetError
        If a cell is none.
    """

    def read(cell: object) -> Moment:
        if isinstance(cell, datetime.datetime):
            return cell, True
        if isinstance(cell, datetime.date):
            return datetime.datetime.combine(cell, datetime.time()), False
        try:
            text = cell.strip() if isinstance(cell, str) else ""
            return datetime.datetime.fromisoformat(text), len(text) > len("2024-05-01")
        except ValueError:
            raise ValueError(
                f"column {column!r}: {cell!r}; expected a date and time such as 2024-05-01T12:30:00"
            ) from None

    return _times(list(cells), read, rows, f"column {column!r}")


def _found(path: Path) -> list[Moment]:
    """Return the times in a name that are there in the common forms."""
    moments = []
    for match in _NAMED.finditer(path.name):
        parts = [int(match[name] or 0) for name in ("year", "month", "day", "hour", "minute", "second")]
        try:
            moments.append((datetime.datetime(*parts), match["hour"] is not None))  # type: ignore[arg-type]
        except ValueError:
            continue  # such as a month 13: digits of something else
    return moments


def _times(
    items: list[Cell], read: Callable[[Cell], Moment], rows: Sequence[str] | None, source: str
) -> Times:
    rows = [f"row {row}" for row in range(len(items))] if rows is None else rows
    values, zoned, of_day = [], [], []
    for row, item in zip(rows, items, strict=True):
        try:
            moment, has_time = read(item)
            values.append(_without_zone(moment))
        except (ValueError, OverflowError) as error:
            raise DatasetError(f"{row}: {error}") from None
        zoned.append(moment.tzinfo is not None)
        of_day.append(has_time)
    _check_alike(of_day, rows, "a time of day", "only a date")
    _check_alike(zoned, rows, "an offset from UTC", "none")
    source += " (UTC)" * any(zoned) + " (dates alone)" * (len(items) > 0 and not any(of_day))
    return Times(np.array(values, dtype="datetime64[us]"), source)


def _check_alike(flags: list[bool], rows: Sequence[str], this: str, other: str) -> None:
    """Refuse times of which some have something that others lack."""
    if len(set(flags)) > 1:
        raise DatasetError(
            f"{rows[flags.index(True)]}: {this}, but {rows[flags.index(False)]}: {other}; expected all alike, or their "
            "order would be a guess"
        )


def _without_zone(moment: datetime.datetime) -> datetime.datetime:
    return moment if moment.tzinfo is None else moment.astimezone(datetime.UTC).replace(tzinfo=None)
