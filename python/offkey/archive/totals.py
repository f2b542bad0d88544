"""What there is in a result, however many rows it has."""

from __future__ import annotations

import dataclasses
import heapq
from collections.abc import Iterable, Mapping

from offkey.datasets.survey import Survey
from offkey.score_file import ANOMALY_SCORE, START, Cell

__all__ = ["MOST_ERRORS", "ODDEST", "Totals"]

ODDEST = 10
MOST_ERRORS = 1000


@dataclasses.dataclass(slots=True)
class Totals:
    """How many recordings there are, how many sound wrong, and which are the oddest."""

    each: bool = False
    """Whether a recording that was cut has a row for each of its windows."""
    rows: int = 0
    recordings: int = 0
    by_windows: int = 0
    """Rows that are of windows and have scores."""
    failed: int = 0
    """Rows without scores."""
    anomalous: int = 0
    """Rows that are called anomalous."""
    errors: list[str] = dataclasses.field(default_factory=list)
    """Why rows have no scores, of the first `MOST_ERRORS`."""
    oddest: list[Mapping[str, Cell]] = dataclasses.field(default_factory=list)
    """The `ODDEST` rows, the oddest first."""
    resumed: int = 0
    """How many recordings had been scored before, by a run that was stopped."""
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
            start, error = row.get(START), row["error"]
            self.rows += 1
            self.recordings += not self.each or not start
            if error is not None:
                self.failed += 1
                if len(self.errors) < MOST_ERRORS:
                    self.errors.append(str(error))
            else:
                scored.append(row)
                self.by_windows += start is not None
                self.anomalous += row["decision"] == 1
        self.oddest = heapq.nsmallest(ODDEST, [*self.oddest, *scored], key=_oddness)


def _oddness(row: Mapping[str, Cell]) -> tuple[float, float]:
    p_value, score = row["p_value"], row[ANOMALY_SCORE]
    assert isinstance(score, float)  # of a row without an error
    return (p_value if isinstance(p_value, float | int) else 1.0), -score
