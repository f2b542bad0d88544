"""Which label, type and ID each scored recording has."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from offkey.errors import DatasetError
from offkey.scoring.table import ScoreTable

if TYPE_CHECKING:
    from offkey.datasets.base import Clips

__all__ = ["Labelled", "labelled", "some"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """What is known of each row of a score table."""

    machine_types: Sequence[str | None]
    machine_ids: Sequence[str | None]
    labels: NDArray[np.int8]
    """``(rows,)``: 1 anomaly, 0 normal, -1 not known."""


def labelled(scores: ScoreTable, test: Clips | None) -> Labelled:
    """Take labels, types and IDs from the test clips, matched by path, or from the table itself.

    Raises
    ------
    DatasetError
        If a recording occurs twice, has no counterpart on the other side, or another label there.
    """
    where = _by_path(scores.path, "scores")
    if test is None:
        return Labelled(machine_types=scores.machine_type, machine_ids=scores.machine_id, labels=scores.label)
    clips = _by_path(test.paths, "test clips")
    _match(where, clips)
    rows = [test[clips[path]] for path in where]
    labels = np.array([-1 if clip.label is None else clip.label for clip in rows], dtype=np.int8)
    differs = np.flatnonzero((labels >= 0) & (scores.label >= 0) & (labels != scores.label))
    if differs.size:
        names = some(scores.path[row] for row in differs)
        raise DatasetError(f"labels that do not match files: scores and test clips disagree on {names}")
    return Labelled(
        machine_types=[clip.machine_type for clip in rows],
        machine_ids=[clip.machine_id for clip in rows],
        labels=labels,
    )


def some(names: Iterable[object], *, limit: int = 5) -> str:
    """Return the first few names, and how many more there are."""
    listed = [str(name) for name in names]
    more = f" and {len(listed) - limit} more" if len(listed) > limit else ""
    return ", ".join(listed[:limit]) + more


def _by_path(paths: Sequence[Path], what: str) -> dict[str, int]:
    """Return the row of each resolved path, in the order of the rows."""
    rows: dict[str, int] = {}
    for row, path in enumerate(paths):
        if rows.setdefault(os.path.realpath(path), row) != row:
            raise DatasetError(f"{what}: {path} occurs twice; expected each recording once")
    return rows


def _match(scores: dict[str, int], clips: dict[str, int]) -> None:
    without_label = [path for path in scores if path not in clips]
    without_score = [path for path in clips if path not in scores]
    problems = []
    if without_label:
        problems.append(
            f"{len(without_label)} scored files are not among the test clips: {some(without_label)}"
        )
    if without_score:
        problems.append(f"{len(without_score)} test clips have no row of scores: {some(without_score)}")
    if problems:
        raise DatasetError(f"labels that do not match files: {'; '.join(problems)}")
