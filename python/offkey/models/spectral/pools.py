"""Whose scores stand for each ID where scores are standardised."""

from __future__ import annotations

import numpy as np

__all__ = ["IdPools"]

_FARTHEST_DEVIATIONS = 3.0  # of a score from the median of its pool
_NORMAL_MAD = 1.4826  # deviations in one median absolute deviation of a normal distribution
_MIN_POOL = 10  # clips; IDs with fewer share their statistics
_SMALLEST_SHARE = 1e-9  # of a pool's variance; below it only rounding is left


class IdPools:
    """Which clips' scores stand for each ID: its own, or with fewer than 10 those of all such IDs together.

    Where even those are fewer than 10, all clips stand for them.
    """

    def __init__(self, ids: np.ndarray, scored: np.ndarray, *, n_ids: int) -> None:
        counts = np.bincount(ids[scored], minlength=n_ids)
        small = counts < _MIN_POOL
        together = scored & small[ids]
        self.scored = scored
        """``(clips,)`` bool: those that have a score."""
        self.shared = tuple(int(i) for i in np.flatnonzero(small))
        """IDs that have no statistics of their own."""
        enough = np.count_nonzero(together) >= _MIN_POOL
        self.rows: list[np.ndarray] = [
            scored & (ids == i) if not small[i] else together if enough else scored for i in range(n_ids)
        ]
        """For each ID the mask of its pool."""
        self.distinct = [scored & (ids == i) for i in np.flatnonzero(~small)] + [together] * bool(enough)
        self.distinct = self.distinct or [scored]
        """The pools without repetition and without too small ones: what a criterion is the mean over."""

    def mean_and_deviation(self, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation of ``(clips,)`` scores for each ID, ``(ids,)`` each; never 0.

        Scores farther than three deviations from the median count as that far: one clip that is nothing like the rest
        would change what all others are measured by.
        """
        pools = [_winsorised(scores[rows]) for rows in self.rows]
        mean, deviation = (np.array([f(pool) for pool in pools]) for f in (np.mean, np.std))
        return mean, np.where(deviation > 0, deviation, 1.0)

    def without_recordings(self, scores: np.ndarray, units: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the same as each clip's recording leaves them, ``(clips, ids)`` each.

        What a score is compared with must not have come from it: a new clip has had no part in it either. The bounds
        that scores are drawn in to stay. Where fewer than 10 clips of a pool would stay, only the clip itself leaves
        it, and not even that where the others have no deviation.

        Parameters
        ----------
        scores
            ``(clips,)``.
        units
            ``(clips,)`` integers from 0: clips of one recording have the same.
        """
        mean, deviation = (np.tile(part, (len(scores), 1)) for part in self.mean_and_deviation(scores))
        for i, rows in enumerate(self.rows):
            values = np.zeros(len(scores))
            values[rows] = _winsorised(scores[rows]) - mean[0, i]
            staying, centre, variance = _without(values, rows, units)
            alone = _without(values, rows, np.arange(len(scores)))
            centre, variance = (
                np.where(staying >= _MIN_POOL, by_recording, by_clip)
                for by_recording, by_clip in ((centre, alone[1]), (variance, alone[2]))
            )
            known = variance > _SMALLEST_SHARE * np.mean(np.square(values[rows]))
            mean[known, i] += centre[known]
            deviation[known, i] = np.sqrt(variance[known])
        return mean, deviation


def _without(
    values: np.ndarray, rows: np.ndarray, units: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return count, mean and variance of the values at `rows` without each clip's unit, ``(clips,)`` each.

    The values are centred, and 0 elsewhere.
    """
    counts, sums, squares = (
        np.bincount(units, weights=part)[units] for part in (rows, values, np.square(values))
    )
    staying = np.count_nonzero(rows) - counts
    divisor = np.maximum(staying, 1)
    mean = -sums / divisor
    return staying, mean, (np.sum(np.square(values)) - squares) / divisor - np.square(mean)


def _winsorised(scores: np.ndarray) -> np.ndarray:
    median = np.median(scores)
    reach = _FARTHEST_DEVIATIONS * _NORMAL_MAD * np.median(np.abs(scores - median))
    return np.clip(scores, median - reach, median + reach) if reach > 0 else scores
