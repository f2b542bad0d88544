"""What there is in a result, however many rows it has."""

from __future__ import annotations

import dataclasses
import heapq
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from offkey.datasets.survey import Survey
from offkey.score_file import ANOMALY_SCORE, START, Cell
from offkey.scoring.false_discovery import Discoveries

__all__ = ["MOST_ERRORS", "ODDEST", "Totals"]

ODDEST = 10
MOST_ERRORS = 1000
_MOST_KINDS = 100
_HOW_MUCH = re.compile(r"\b[\d.,]+ dB | \(.*?\)| in \d+ of \d+ windows")
"""Of a warning: by how much, and where."""


@dataclasses.dataclass(slots=True)
class Totals:
    """How many recordings there are, how many sound wrong, and which are the oddest."""

    each: bool = False
    """Whether a recording that was cut has a row for each of its windows."""
    most: int = ODDEST
    """How many of the oddest rows are kept."""
    rows: int = 0
    recordings: int = 0
    by_windows: int = 0
    """Rows that are of windows and have scores."""
    failed: int = 0
    """Rows without scores."""
    skipped: int = 0
    """Recordings that have no row, as they have no score."""
    anomalous: int = 0
    """Rows that are called anomalous."""
    errors: list[str] = dataclasses.field(default_factory=list)
    """Why rows have no scores, or recordings no rows, of the first `MOST_ERRORS`."""
    oddest: list[Mapping[str, Cell]] = dataclasses.field(default_factory=list)
    """A row of each of the `most` oddest recordings, the oddest first."""
    warnings: Counter[str] = dataclasses.field(default_factory=Counter)
    """Kind of warning, such as ``clipped`` -> rows that have it."""
    resumed: int = 0
    """How many recordings had been scored before, by a run that was stopped."""
    discoveries: Discoveries | None = dataclasses.field(default=None, compare=False)
    """What a false discovery rate has called, and what it could have; None: each row was decided on by itself."""
    survey: Survey | None = None
    """What was seen by the call that scored: rates, channels and lengths, and what was passed over."""

    @property
    def scored(self) -> int:
        """Rows that have scores."""
        return self.rows - self.failed

    def add(self, rows: Iterable[Mapping[str, Cell]]) -> None:
        """Enter rows."""
        scored = []
        for row in rows:
            start, error, warning = row.get(START), row["error"], row["warning"]
            self.rows += 1
            self.recordings += not self.each or not start
            if warning is not None:
                self._count_warning(str(warning))
            if error is not None:
                self.failed += 1
                self._add_error(str(error))
            else:
                scored.append(row)
                self.by_windows += start is not None
                self.anomalous += row["decision"] == 1
        self.oddest = _oddest([*self.oddest, *scored], self.most, each=self.each)

    def add_skipped(self, skipped: Iterable[Sequence[str]]) -> None:
        """Enter recordings that have no row: name and error of each."""
        for _, error in skipped:
            self.skipped += 1
            self._add_error(error)

    def _add_error(self, error: str) -> None:
        if len(self.errors) < MOST_ERRORS:
            self.errors.append(error)

    def _count_warning(self, warning: str) -> None:
        for text in warning.split("; "):
            kind = _HOW_MUCH.sub("", text)
            if kind in self.warnings or len(self.warnings) < _MOST_KINDS:
                self.warnings[kind] += 1


def _oddest(rows: list[Mapping[str, Cell]], most: int, *, each: bool) -> list[Mapping[str, Cell]]:
    """Return the oddest rows, of a recording's windows the oddest alone."""
    if not each:
        return heapq.nsmallest(most, rows, key=_oddness)
    recordings: dict[object, Mapping[str, Cell]] = {}
    for row in sorted(rows, key=_oddness):
        recordings.setdefault(id(row) if row.get(START) is None else row["path"], row)
    return list(recordings.values())[:most]


def _oddness(row: Mapping[str, Cell]) -> tuple[float, float]:
    p_value, score = row["p_value"], row[ANOMALY_SCORE]
    assert isinstance(score, float)  # of a row without an error
    return (p_value if isinstance(p_value, float | int) else math.inf), -score
