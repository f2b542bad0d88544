"""Recordings as they stand in a table of the page: what to call them, and what is said of each."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from offkey.report.page.machines import score_name
from offkey.report.page.words import VERDICTS, duration, rarity, shortened
from offkey.score_file import ANOMALY_SCORE
from offkey.scores import ScoreTable

__all__ = ["Names", "Row", "Rows"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A recording in a table."""

    name: str
    at: str
    """Where in a long recording the scores are of."""
    verdict: str
    called: bool
    label: str
    score: float
    threshold: float | None
    p_value: float | None
    rarity: str
    duration: str
    warning: str
    source: Path
    machine_id: str | None
    start_s: float | None
    anchor: str = ""
    """Where on the page the recording is shown, if it is."""


class Names:
    """Names of recordings: their paths below the folder that all have in common.

    Parameters
    ----------
    paths
        Of all recordings.
    """

    def __init__(self, paths: Iterable[str]) -> None:
        folders = {path.rpartition(os.sep)[0] for path in paths}
        # Letter by letter, to the last separator: `commonpath` would take a URL for a path.
        whole = os.path.commonprefix([folder + os.sep if folder else "" for folder in folders])  # noqa: RUF071
        self.folder = whole.rpartition(os.sep)[0]

    def __call__(self, path: str) -> str:
        """Return what to call a recording."""
        return shortened(path[len(self.folder) + 1 :] if self.folder else path, end=True)


class Rows:
    """Rows of a table as they are shown."""

    def __init__(self, table: ScoreTable) -> None:
        self.table = table
        self.score = score_name(table) or ANOMALY_SCORE
        self.paths = [str(path) for path in table.cells("path")]
        self.names = Names(self.paths)

    def cells(self, row: int) -> Mapping[str, Any]:
        """Return what words are made of."""
        table = self.table
        return {
            "name": self.names(self.paths[row]),
            "p_value": _known(table.p_value[row]),
            "calibration": table.calibration[row],
            "calibration_clips": _known(table.calibration_clips[row]),
        }

    def row(self, row: int) -> Row:
        """Return a row that has a score."""
        table = self.table
        decision, label, start = int(table.decision[row]), int(table.label[row]), _known(table.start_s[row])
        length = _known(table.duration_s[row])
        return Row(
            name=self.names(self.paths[row]),
            at="" if start is None else duration(start),
            verdict=VERDICTS[decision if decision >= 0 else None],
            called=decision == 1,
            label={0: "normal", 1: "anomalous"}.get(label, ""),
            score=float(table.scores(self.score)[row]),
            threshold=_known(table.threshold[row]),
            p_value=_known(table.p_value[row]),
            rarity=rarity(self.cells(row)),
            duration="" if length is None else duration(length),
            warning=shortened(table.warning[row] or ""),
            source=Path(self.paths[row]),
            machine_id=table.scored_as[row] or table.machine_id[row],
            start_s=start,
        )


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
