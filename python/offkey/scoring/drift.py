"""Whether recordings of a machine score as its calibration clips did: the normal state changes, or the microphone."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from offkey._util.arrays import finite_vector
from offkey.errors import ArrayError

__all__ = ["LEVEL", "MIN_RECORDINGS", "TOLERATED", "Drift", "below_probabilities"]

LEVEL = 0.01
"""Drift is said where the p-value of an ID, times the number of IDs, is at most this."""
MIN_RECORDINGS = 12
"""Of fewer recordings of an ID nothing is said."""
TOLERATED = 0.1
"""The part of a batch that may score higher for whatever reason: faults are no drift."""
_SHARES = (0.1, 0.25, 0.5, 0.75, 0.9)
"""Where the two distributions are compared, as parts of the calibration clips that score lower."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """How the scores of a batch of recordings of one machine ID lie among those of its calibration clips.

    At five scores, which 10, 25, 50, 75 and 90% of the calibration clips do not exceed, the recordings that do not
    exceed them either are counted. Were the recordings drawn as the clips were, the count at the k-th lowest of n clips
    would be beta-binomial, whatever the distribution of scores: so the test is exact for any number of clips and
    recordings, and with ties it errs on the safe side. Too few mean higher scores; a tenth of the recordings is left
    out of this, since they may be faulty and score as they like. Too many mean lower scores.
    """

    machine_id: str | None
    """The ID; None: recordings whose ID is not known."""
    recordings: int
    """How many were compared."""
    calibration_clips: int
    """With how many clips."""
    p_value: float
    """How often at most a difference as clear as this one is seen where there is none, for the clearest of the five
    scores in both directions (Bonferroni: ten times the smallest p-value)."""
    share: float
    """The part of the calibration clips that lies at or below the score at which the difference is clearest."""
    below: int
    """How many of the recordings lie there."""
    higher: bool
    """Whether these are too few, so that the recordings score higher; else they are too many."""

    @classmethod
    def between(cls, scores: ArrayLike, calibration: ArrayLike, *, machine_id: str | None = None) -> Self:
        """Compare scores of recordings with those of calibration clips.

        Parameters
        ----------
        scores
            ``(m,)`` finite numbers: of recordings of one clip each.
        calibration
            ``(n,)`` finite numbers: of normal clips, from the same model, which had not seen them.
        machine_id
            Whose they are.

        Raises
        ------
        ArrayError
            If there are no scores or no clips, or a score is not finite.

        Examples
        --------
        >>> import numpy as np
        >>> Drift.between(np.arange(20) + 15.5, np.arange(40)).higher
        True
        """
        batch = np.sort(finite_vector(scores, "scores"))
        clips = np.sort(finite_vector(calibration, "calibration"))
        if not len(batch) or not len(clips):
            raise ArrayError(f"{len(batch)} scores, {len(clips)} calibration clips; expected some of both")
        n, m = len(clips), len(batch)
        healthy = m - math.floor(TOLERATED * m)
        candidates = []
        for share in _SHARES:
            k = min(max(round(share * (n + 1)), 1), n)
            below = int(np.searchsorted(batch, clips[k - 1], side="left"))
            not_above = int(np.searchsorted(batch, clips[k - 1], side="right"))
            too_few = below_probabilities(healthy, k, n)[: not_above + 1].sum()
            too_many = below_probabilities(m, k, n)[below:].sum()
            candidates.append((float(too_few), k / n, not_above, True))
            candidates.append((float(too_many), k / n, below, False))
        p_value, share, count, higher = min(candidates)
        return cls(
            machine_id=machine_id,
            recordings=m,
            calibration_clips=n,
            p_value=min(1.0, len(candidates) * p_value),
            share=share,
            below=count,
            higher=higher,
        )


@functools.lru_cache(maxsize=64)
def below_probabilities(recordings: int, k: int, clips: int) -> NDArray[np.float64]:
    """Return how likely each number of recordings is to score below the k-th lowest of the clips, if all are alike.

    Parameters
    ----------
    recordings
        m, how many there are.
    k
        From 1 to `clips`.
    clips
        n, how many there are.

    Returns
    -------
    numpy.ndarray
        ``(m + 1,)`` float64 that sum to 1, for 0 to m recordings: beta-binomial, of m draws with a probability that
        itself is distributed as Beta(k, n + 1 - k).
    """
    below = np.arange(recordings + 1)
    above = recordings - below
    log = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, recordings + clips + 1)))])  # of factorials

    def ways(total: NDArray[np.int64] | int, part: NDArray[np.int64] | int) -> NDArray[np.float64]:
        result: NDArray[np.float64] = log[total] - log[part] - log[np.subtract(total, part)]
        return result

    probabilities: NDArray[np.float64] = np.exp(
        ways(below + k - 1, below) + ways(above + clips - k, above) - ways(recordings + clips, recordings)
    )
    probabilities.flags.writeable = False
    return probabilities
