"""Whose scores stand for each ID where scores are standardised."""

from __future__ import annotations

import numpy as np

__all__ = ["IdPools"]

_FARTHEST_DEVIATIONS = 3.0  # of a score from the median of its pool
_NORMAL_MAD = 1.4826  # deviations in one median absolute deviation of a normal distribution
_MIN_POOL = 10  # clips; IDs with fewer share their statistics


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


def _winsorised(scores: np.ndarray) -> np.ndarray:
    median = np.median(scores)
    reach = _FARTHEST_DEVIATIONS * _NORMAL_MAD * np.median(np.abs(scores - median))
    return np.clip(scores, median - reach, median + reach) if reach > 0 else scores
