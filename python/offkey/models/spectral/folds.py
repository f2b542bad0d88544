"""Folds for cross-validation: stratified by machine ID, clips of one recording never split."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from offkey.errors import DatasetError

__all__ = ["Folds", "make_folds", "units_of"]

_MIN_FREEDOM = 4  # clips less IDs; with fewer no fold would leave a covariance to estimate


class Folds(NamedTuple):
    """Which fold holds out each clip."""

    fold: np.ndarray
    """``(clips,)`` int64 from 0."""
    units: np.ndarray
    """``(clips,)`` int64 from 0: clips with the same one are held out together."""
    notes: tuple[str, ...]
    """What a user should know: fewer folds than asked for, recordings that had to be split."""


def make_folds(
    ids: np.ndarray, groups: Sequence[str], *, names: Sequence[str], count: int, seed: int
) -> Folds:
    """Divide clips into folds of like size and like shares of each ID.

    An ID whose clips all come from one recording would vanish from the training part of one fold: its clips
    are divided one by one, and a note says so. Fewer recordings than folds make fewer folds.

    Parameters
    ----------
    ids
        ``(clips,)`` positions in `names`.
    groups
        The recording of each clip.
    names
        Machine IDs, for messages.
    count
        Folds asked for, at least 2.
    seed
        Orders the recordings; the same seed gives the same folds.

    Raises
    ------
    DatasetError
        If there are too few clips to hold any out.
    """
    present = np.unique(ids)
    if len(ids) - len(present) < _MIN_FREEDOM:
        raise DatasetError(
            f"{len(ids)} normal training clips of {len(present)} machine ID(s): expected at least "
            f"{len(present) + _MIN_FREEDOM}, that is {_MIN_FREEDOM} more than there are IDs; some dozens for "
            "each ID are advised"
        )
    units, divided = units_of(ids, groups)
    notes = []
    if divided:
        listed = ", ".join(names[i] for i in divided)
        notes.append(
            f"ID {listed}: all clips come from one recording, which had to be divided between folds: "
            "thresholds and p-values may be too optimistic"
        )
    fold = _assign(ids, units, count=count, seed=seed)
    if not _every_fold_can_be_fitted(ids, fold):
        units = np.arange(len(ids))
        fold = _assign(ids, units, count=count, seed=seed)
        notes.append(
            "too few recordings to hold whole ones out: clips of one recording were divided between folds, "
            "thresholds and p-values may be too optimistic"
        )
    if not _every_fold_can_be_fitted(ids, fold):
        raise DatasetError(
            f"{len(ids)} normal training clips of {len(present)} machine ID(s): too few of any one ID to "
            f"hold some out in {fold.max() + 1} folds; record more of each ID"
        )
    used = int(fold.max()) + 1
    if used < count:
        notes.append(f"{used} folds instead of {count}: there are no more recordings to hold out")
    return Folds(fold, units, tuple(notes))


def units_of(ids: np.ndarray, groups: Sequence[str]) -> tuple[np.ndarray, list[int]]:
    """Return what is held out as one, ``(clips,)`` int64 from 0, and the IDs whose one recording is divided.

    Parameters
    ----------
    ids
        ``(clips,)`` positions of machine IDs.
    groups
        The recording of each clip.
    """
    _, units = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    divided = []
    fresh = int(units.max()) + 1
    for i in np.unique(ids):
        rows = np.flatnonzero(ids == i)
        if len(rows) > 1 and len(np.unique(units[rows])) == 1:
            units[rows] = fresh + np.arange(len(rows))
            fresh += len(rows)
            divided.append(int(i))
    return np.unique(units, return_inverse=True)[1], divided


def _assign(ids: np.ndarray, units: np.ndarray, *, count: int, seed: int) -> np.ndarray:
    """Give each unit, the largest first, to the fold with the fewest clips of its IDs, then of all."""
    n_units = int(units.max()) + 1
    count = min(count, n_units)
    members = np.zeros((n_units, int(ids.max()) + 1), dtype=np.int64)
    np.add.at(members, (units, ids), 1)
    shuffled = np.argsort(np.random.default_rng(seed).random(n_units))
    order = shuffled[np.argsort(-members.sum(axis=1)[shuffled], kind="stable")]
    counts = np.zeros((count, members.shape[1]), dtype=np.int64)
    fold_of = np.zeros(n_units, dtype=np.int64)
    for unit in order:
        fold_of[unit] = np.lexsort((counts.sum(axis=1), counts @ members[unit]))[0]
        counts[fold_of[unit]] += members[unit]
    assigned: np.ndarray = fold_of[units]
    return assigned


def _every_fold_can_be_fitted(ids: np.ndarray, fold: np.ndarray) -> bool:
    if fold.max() == 0:
        return False
    return all(
        np.count_nonzero(fold != k) - len(np.unique(ids[fold != k])) >= 1 for k in range(int(fold.max()) + 1)
    )
