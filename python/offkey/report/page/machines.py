"""Scores machine by machine: how many recordings, how many called, the oddest."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from offkey.errors import DatasetError
from offkey.monitoring.times import times_of_names
from offkey.score_file import ANOMALY_SCORE
from offkey.scores import ScoreTable

__all__ = ["MOST_ODD", "Columns", "Machine", "Tally", "machines_of", "score_name"]

MOST_ODD = 20
"""Recordings of a machine that are listed."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How many recordings there are of each sort; of one with several rows, its windows, any counts."""

    recordings: int
    scored: int
    failed: int
    """With a row that has an error."""
    decided: int
    called: int
    """Called anomalous."""
    warned: int
    normals: int
    """With a label and a decision, as `anomalies`."""
    anomalies: int
    false_alarms: int
    """Normals that are called anomalous."""
    detections: int
    """Anomalies that are."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Machine:
    """The rows of one machine."""

    machine_type: str | None
    machine_id: str | None
    rows: NDArray[np.int64]
    """Of the table, in the order of time where that is known, else of the table."""
    times: NDArray[np.datetime64] | None
    """``(rows,)`` datetime64[us], as the names of the recordings say."""
    tally: Tally
    oddest: NDArray[np.int64]
    """Rows of the table: the oddest of each of at most `MOST_ODD` recordings, the oddest first."""

    @property
    def name(self) -> str:
        """What to call it."""
        if self.machine_id is None:
            return (
                f"{self.machine_type}, ID not known"
                if self.machine_type
                else "recordings of no known machine"
            )
        return f"{self.machine_type} {self.machine_id}" if self.machine_type else f"machine {self.machine_id}"


def score_name(table: ScoreTable) -> str | None:
    """Return the score that is shown: the anomaly score, else the first there is; None without any."""
    names = table.score_names
    return ANOMALY_SCORE if ANOMALY_SCORE in names else names[0] if names else None


class Columns:
    """Columns of a table as arrays, and each recording's sorts marked in one of its rows."""

    def __init__(self, table: ScoreTable) -> None:
        name = score_name(table)
        self.paths = [str(path) for path in table.cells("path")]
        self.scores = np.full(len(table), np.nan) if name is None else table.scores(name)
        self.recordings = table.recordings()
        """``(rows,)``: of which recording each is."""
        order = np.lexsort((-self.scores, table.p_value))
        self.ranks = np.empty(len(table), dtype=np.int64)
        """``(rows,)``: 0 for the oddest, by p-value, then by score; rows without a score have the number of rows."""
        self.ranks[order] = np.arange(len(table))
        self.ranks[np.isnan(self.scores)] = len(table)
        judged, called = table.decision >= 0, table.decision == 1
        self._sorts = {
            name: self._once(mask)
            for name, mask in (
                ("recordings", np.ones(len(table), dtype=np.bool_)),
                ("scored", ~np.isnan(self.scores)),
                ("failed", _is_there(table.error)),
                ("decided", judged),
                ("called", called),
                ("warned", _is_there(table.warning)),
                ("normals", judged & (table.label == 0)),
                ("anomalies", judged & (table.label == 1)),
                ("false_alarms", called & (table.label == 0)),
                ("detections", called & (table.label == 1)),
            )
        }

    def _once(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return a mask with the first row alone of each recording."""
        rows = np.flatnonzero(mask)
        first = np.zeros(len(mask), dtype=np.bool_)
        first[rows[np.unique(self.recordings[rows], return_index=True)[1]]] = True
        return first

    def tally(self, rows: NDArray[np.int64] | slice) -> Tally:
        """Count the recordings of rows."""
        return Tally(**{name: int(np.count_nonzero(mask[rows])) for name, mask in self._sorts.items()})


def machines_of(table: ScoreTable, columns: Columns, time_pattern: str | None = None) -> list[Machine]:
    """Return each machine that a table has, sorted by type and ID, unknown ones last.

    Raises
    ------
    DatasetError, ParameterError
        If `time_pattern` is none, or a name does not follow it.
    """
    rows: dict[tuple[str | None, str | None], list[int]] = {}
    for row, key in enumerate(zip(table.machine_type, table.machine_id, strict=True)):
        rows.setdefault(key, []).append(row)
    return [
        _machine(columns, kind, name, np.array(rows[kind, name]), time_pattern)
        for kind, name in sorted(rows, key=lambda pair: [(part is None, part or "") for part in pair])
    ]


def _machine(
    columns: Columns,
    machine_type: str | None,
    machine_id: str | None,
    rows: NDArray[np.int64],
    time_pattern: str | None,
) -> Machine:
    times = _times([columns.paths[row] for row in rows.tolist()], rows, time_pattern)
    if times is not None:
        order = np.argsort(times, kind="stable")
        rows, times = rows[order], times[order]
    ranks = columns.ranks[rows]
    by_rank = rows[np.argsort(ranks, kind="stable")][: np.count_nonzero(ranks < len(columns.ranks))]
    first = np.sort(np.unique(columns.recordings[by_rank], return_index=True)[1])
    return Machine(
        machine_type=machine_type,
        machine_id=machine_id,
        rows=rows,
        times=times,
        tally=columns.tally(rows),
        oddest=by_rank[first[:MOST_ODD]],
    )


def _times(
    paths: Sequence[str], rows: NDArray[np.int64], pattern: str | None
) -> NDArray[np.datetime64] | None:
    """Return when recordings were made, where all their names say it and not all say the same."""
    try:
        times = times_of_names(paths, pattern=pattern, rows=[f"row {row}" for row in rows.tolist()]).values
    except DatasetError:
        if pattern is not None:
            raise
        return None
    return times if times.min() < times.max() else None


def _is_there(texts: Sequence[str | None]) -> NDArray[np.bool_]:
    return np.fromiter((text is not None for text in texts), dtype=np.bool_, count=len(texts))
