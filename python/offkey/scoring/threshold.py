"""Thresholds above which a clip is called anomalous, from scores of normal clips alone."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from offkey._util.arrays import finite_vector
from offkey.errors import ArrayError, ParameterError
from offkey.scoring._checks import positions, restored_ids, restored_vector, sorted_ids

__all__ = ["MIN_CLIPS", "Thresholds", "beyond"]

_TAIL = 0.1
_MIN_TAIL = 5  # scores
MIN_CLIPS = 10
"""An ID with fewer scores has, unless told otherwise, the quantile of the scores of all IDs together."""


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Thresholds:
    """One threshold for each machine ID, and one for clips of unknown ID; made by `Thresholds.fit`."""

    ids: tuple[str, ...]
    """The machine IDs, sorted."""
    values: NDArray[np.float64]
    """``(ids,)``."""
    fallback: float
    """Threshold of clips whose ID is unknown: the quantile over all IDs together."""

    @classmethod
    def fit(
        cls,
        scores: ArrayLike,
        ids: Sequence[str],
        *,
        quantile: float = 0.95,
        min_clips: int = MIN_CLIPS,
        machine_ids: Sequence[str] | None = None,
        windows: int = 1,
    ) -> Thresholds:
        """Take a quantile of the scores of normal clips, for each ID.

        Parameters
        ----------
        scores
            ``(n,)`` finite numbers, of clips that the model did not see: the quantile of scores of training clips
            lies too low, and raises false alarms.
        ids
            The machine ID of each score.
        quantile
            In (0, 1). The threshold is the smallest score that at least this part of the scores does not exceed;
            so at most ``1 - quantile`` of these clips are called anomalous.
        min_clips
            An ID with fewer scores has the quantile of the scores of all IDs together.
        machine_ids
            All IDs; by default those that occur in `ids`.
        windows
            Of how many scores the largest is compared with the threshold, as that of a long recording is: the threshold
            is then the quantile ``quantile ** (1 / windows)``. Were the windows independent, at most ``1 - quantile``
            of such maxima of normal recordings would exceed it; windows of one recording are alike, so that fewer do.
            Where that lies beyond the scores (see `beyond`), their largest tenth is extended by an exponential tail.

        Raises
        ------
        ArrayError
            If there is no score, a score is not finite, or lengths differ.
        ParameterError
            If `quantile` is outside (0, 1), `min_clips` or `windows` below 1, or an ID not among `machine_ids`.
        """
        if not 0.0 < quantile < 1.0:
            raise ParameterError(f"quantile = {quantile}: expected a number above 0 and below 1")
        if min_clips < 1:
            raise ParameterError(f"min_clips = {min_clips}: expected at least 1")
        if windows < 1:
            raise ParameterError(f"windows = {windows}: expected at least 1")
        values = finite_vector(scores, "scores", len(ids))
        if not len(values):
            raise ArrayError("scores: none given; expected at least one score of a normal clip")
        names = sorted_ids(ids, machine_ids)
        index = positions(ids, names)
        groups = [values[index == at] for at in range(len(names))]
        chosen = [group if len(group) >= min_clips else values for group in groups]
        limits = np.array([_limit(group, quantile, windows) for group in chosen], dtype=np.float64)
        return cls(names, limits, _limit(values, quantile, windows))

    def of(self, ids: Sequence[str | None]) -> NDArray[np.float64]:
        """Return the threshold for each ID given, ``(n,)``; None and IDs not known have the `fallback`."""
        place = dict(zip(self.ids, self.values.tolist(), strict=True))
        return np.array([self.fallback if i is None else place.get(i, self.fallback) for i in ids])

    def decide(self, scores: ArrayLike, ids: Sequence[str | None]) -> NDArray[np.int8]:
        """Return 1 where a score exceeds its ID's threshold, 0 elsewhere, -1 where the score is NaN (missing).

        Raises
        ------
        ArrayError
            If lengths differ.
        """
        values = np.asarray(scores, dtype=np.float64)
        if values.shape != (len(ids),):
            raise ArrayError(f"scores: shape {values.shape}; expected ({len(ids)},), one for each ID given")
        decided = (values > self.of(ids)).astype(np.int8)
        return np.where(np.isnan(values), np.int8(-1), decided)

    def state(self) -> dict[str, Any]:
        """Return plain data for JSON: all that `from_state` needs."""
        return {"ids": list(self.ids), "values": self.values.tolist(), "fallback": self.fallback}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Thresholds:
        """Restore what `state` gave.

        Raises
        ------
        DetectorFileError
            If a part is missing, of another length, or has impossible values.
        """
        ids = restored_ids(state, "thresholds")
        values = restored_vector(state, "values", len(ids), "thresholds")
        fallback = restored_vector({"fallback": [state.get("fallback")]}, "fallback", 1, "thresholds")
        return cls(ids, values, float(fallback[0]))


def beyond(scores: int, quantile: float, windows: int) -> bool:
    """Say whether the threshold of the maximum of so many windows lies beyond so many scores of normal clips."""
    return windows > 1 and scores * (1 - quantile ** (1 / windows)) < 1


def _limit(scores: NDArray[np.float64], quantile: float, windows: int) -> float:
    """Return the threshold of the maximum of some windows by scores of single ones."""
    level = quantile ** (1 / windows)
    if not beyond(len(scores), quantile, windows):
        return float(np.quantile(scores, level, method="inverted_cdf"))
    count = min(max(_MIN_TAIL, round(_TAIL * len(scores))), len(scores) - 1)
    if count < 1:
        return float(scores.max())
    *_, base = tail = np.sort(scores)[-count - 1 :][::-1]
    mean_excess = float((tail[:-1] - base).mean())
    extended = float(base) + mean_excess * math.log(count / len(scores) / (1 - level))
    return max(float(tail[0]), extended)
