"""Whether recordings of a machine score as its calibration clips did: the normal state changes, or the microphone."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from offkey._util.arrays import finite_vector
from offkey.errors import ArrayError

__all__ = ["LEVEL", "MIN_RECORDINGS", "TOLERATED", "Drift", "below_probabilities", "drifts", "note_of_drift"]

LEVEL = 0.01
"""Drift is said where a p-value is at most this: of a hundred batches that are as before, of one at most."""
MIN_RECORDINGS = 12
"""An ID of fewer recordings is not compared."""
TOLERATED = 0.1
"""The part of a batch that may score as it likes: faulty recordings are no drift, nor is a difference of no account."""
_SHARES = (0.1, 0.25, 0.5, 0.75, 0.9)
"""Where the two distributions are compared, as parts of the calibration clips that score lower."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """How the scores of a batch of recordings of one machine ID lie among those of its calibration clips.

    At five scores, which 10, 25, 50, 75 and 90% of the calibration clips do not exceed, the recordings that do not
    exceed them either are counted. Too few mean higher scores, too many lower ones. Were the recordings drawn as the
    clips were, the count at the k-th lowest of n clips would be beta-binomial, whatever the distribution of scores. A
    tenth of the recordings may score as they like, and is left out of both counts as if it lay where it serves best.
    So the test is exact for any number of clips and recordings; with ties it errs on the safe side.
    """

    machine_id: str | None
    """The ID; None: recordings whose ID is not known."""
    recordings: int
    """How many were compared."""
    calibration_clips: int
    """With how many clips."""
    p_value: float
    """How often at most a difference as clear as this one is seen where there is none: of five scores in two directions
    the smallest p-value, times ten (Bonferroni), and times the IDs that are compared together."""
    share: float
    """The part of the calibration clips that lies at or below the score at which the difference is clearest."""
    below: int
    """How many of the recordings lie there."""
    higher: bool
    """Whether these are too few, so that the recordings score higher; else they are too many."""

    def __str__(self) -> str:
        machine = "recordings without a known ID" if self.machine_id is None else f"ID {self.machine_id}"
        return (
            f"{machine}: {'higher' if self.higher else 'lower'} scores, {self.below} of {self.recordings} recordings "
            f"lie where the lowest {self.share:.0%} of {self.calibration_clips} calibration clips do "
            f"(p = {self.p_value:.1g})"
        )

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
        tolerated = math.floor(TOLERATED * m)
        candidates = []
        for share in _SHARES:
            k = min(max(round(share * (n + 1)), 1), n)
            below = int(np.searchsorted(batch, clips[k - 1], side="left"))
            not_above = int(np.searchsorted(batch, clips[k - 1], side="right"))
            chances = below_probabilities(m - tolerated, k, n)
            too_few, too_many = chances[: not_above + 1].sum(), chances[max(0, below - tolerated) :].sum()
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


def drifts(
    scores: Mapping[str | None, NDArray[np.float64]],
    calibration: Mapping[str | None, NDArray[np.float64]],
) -> tuple[Drift, ...]:
    """Compare a batch with the calibration clips, ID by ID.

    Parameters
    ----------
    scores
        For each ID, and None where that is not known, ``(recordings,)`` finite numbers: of recordings of one clip each.
    calibration
        For each ID, and None, scores of normal clips of which none is of the same recording as another. An ID that is
        not among them is not compared, nor is one of fewer than `MIN_RECORDINGS` recordings.

    Returns
    -------
    tuple of Drift
        One for each ID that was compared, whether it differs or not, None last. Their p-values are times as many as
        they are, so that `LEVEL` is how often any of them is below it where there is no drift.
    """
    compared = [
        Drift.between(scores[name], calibration[name], machine_id=name)
        for name in sorted(scores, key=lambda name: (name is None, name or ""))
        if name in calibration and len(scores[name]) >= MIN_RECORDINGS
    ]
    count = len(compared)
    return tuple(dataclasses.replace(one, p_value=min(1.0, count * one.p_value)) for one in compared)


def note_of_drift(compared: Sequence[Drift]) -> tuple[str, ...]:
    """Return what a user should know of a batch that differs from the calibration clips; of another, nothing."""
    seen = [one for one in compared if one.p_value <= LEVEL]
    if not seen:
        return ()
    causes = ["the machine's normal state has changed", "the microphone, its place or its gain has"]
    if any(one.higher for one in seen):
        causes.append(f"more than {TOLERATED:.0%} of the recordings sound wrong")
    if not all(one.higher for one in seen):
        causes.append("the detector was trained on these recordings")
    return (f"drift: {'; '.join(map(str, seen))}: {', or '.join(causes)}",)


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
