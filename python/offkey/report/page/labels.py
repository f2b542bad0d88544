"""Labels of recordings from the dataset that was scored."""

from __future__ import annotations

import copy
import os

import numpy as np

from offkey.datasets import Clips
from offkey.errors import DatasetError
from offkey.evaluation.matching import matched
from offkey.evaluation.protocols import some
from offkey.scores import ScoreTable

__all__ = ["with_labels"]


def with_labels(table: ScoreTable, clips: Clips) -> tuple[ScoreTable, list[str]]:
    """Return a table with labels, and with types and IDs where it has none, from clips; and what is to be said of it.

    Parameters
    ----------
    table
        Scores, with or without labels.
    clips
        That know labels, matched by path as in `offkey.evaluate`; other recordings stay without one.

    Raises
    ------
    DatasetError
        If no recording is among the clips that have a label, or a label is another one there.
    """
    files, note = matched(table.path, clips.paths)
    known = {os.path.realpath(clip.path): clip for clip in clips if clip.label is not None}
    found = [known.get(file) for file in files]
    if not any(found):
        raise DatasetError(
            f"labels: none of the {len(table):,} recordings is among the {len(known):,} of the data that have one"
        )
    labels = np.array([-1 if clip is None else clip.label for clip in found], dtype=np.int8)
    differs = np.flatnonzero((labels >= 0) & (table.label >= 0) & (labels != table.label))
    if differs.size:
        names = some(table.path[row] for row in differs)
        raise DatasetError(f"labels that do not match files: scores and data disagree on {names}")
    told = copy.copy(table)
    told.label = np.where(labels >= 0, labels, table.label)
    told.machine_type = [
        name if name is not None or clip is None else clip.machine_type
        for name, clip in zip(table.machine_type, found, strict=True)
    ]
    told.machine_id = [
        name if name is not None or clip is None else clip.machine_id
        for name, clip in zip(table.machine_id, found, strict=True)
    ]
    notes = [] if note is None else [note]
    without = int(np.count_nonzero(told.label < 0))
    if without:
        notes.append(f"{without:,} of {len(table):,} rows of scores have no label in the data")
    return told, notes
