"""Scores in units of the deviation of normal clips, for each machine ID."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from offkey._util.arrays import finite_vector
from offkey.errors import ArrayError, DetectorFileError, ParameterError
from offkey.scoring._checks import positions, restored_ids, restored_vector, sorted_ids

__all__ = ["Standardizer"]


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Standardizer:
    """Mean and standard deviation of each ID's scores; made by `Standardizer.fit`."""

    ids: tuple[str, ...]
    """The machine IDs, sorted: the columns of `transform`."""
    means: NDArray[np.float64]
    """``(ids,)``."""
    deviations: NDArray[np.float64]
    """``(ids,)``, above 0."""

    @classmethod
    def fit(
        cls,
        scores: ArrayLike,
        ids: Sequence[str],
        *,
        min_clips: int = 10,
        machine_ids: Sequence[str] | None = None,
    ) -> Standardizer:
        """Take mean and standard deviation (divided by n) of the scores of normal clips, for each ID.

        Parameters
        ----------
        scores
            ``(n,)`` finite numbers: of each clip, against its own ID. They should be of clips that the model did
            not see (held out, or out of fold): on scores of training clips, other normals lie far above 0.
        ids
            The machine ID of each score.
        min_clips
            An ID with fewer scores has the mean and deviation of the scores of all IDs together.
        machine_ids
            All IDs; by default those that occur in `ids`. One without any score counts as having fewer.

        Raises
        ------
        ArrayError
            If there is no score, a score is not finite, or lengths differ.
        ParameterError
            If `min_clips` is below 2, or an ID is not among `machine_ids`.

        Notes
        -----
        Scores that are all equal have no deviation: theirs counts as 1.
        """
        if min_clips < 2:
            raise ParameterError(f"min_clips = {min_clips}: expected at least 2, a deviation needs as many")
        values = finite_vector(scores, "scores", len(ids))
        if not len(values):
            raise ArrayError("scores: none given; expected at least one score of a normal clip")
        names = sorted_ids(ids, machine_ids)
        groups = [values[rows] for rows in _groups(ids, names, min_clips)]
        means = np.array([group.mean() for group in groups])
        return cls(names, means, np.array([_deviation(group) for group in groups]))

    @staticmethod
    def leave_one_out(scores: ArrayLike, ids: Sequence[str], *, min_clips: int = 10) -> NDArray[np.float64]:
        """Return each score standardised by the others that `fit` would take it with, ``(n,)``.

        A score has a part in the mean and the deviation of its own ID, and so lies nearer to 0 than one of a new clip;
        standardised without itself it is like a new one. Of two scores or fewer that would leave nothing; they are
        standardised as `fit` does.

        Raises
        ------
        ArrayError, ParameterError
            As `fit`.
        """
        whole = Standardizer.fit(scores, ids, min_clips=min_clips)
        result = whole.transform_own(scores, ids)
        values = finite_vector(scores, "scores", len(ids))
        index = positions(ids, whole.ids)
        for at, group in enumerate(_groups(ids, whole.ids, min_clips)):
            rows, n = np.flatnonzero(index == at), int(np.count_nonzero(group))
            if n < 3 or not len(rows):
                continue
            centred = values[rows] - whole.means[at]
            variance = np.mean(np.square(values[group] - whole.means[at]))
            # The mean moves by centred / (n - 1), the sum of squares falls by centred^2 n / (n - 1).
            left = (n * variance - centred**2 * (n / (n - 1))) / (n - 1)
            deviation = np.sqrt(np.maximum(left, 0.0))
            sound = deviation > 1e-9 * whole.deviations[at]
            result[rows] = np.where(
                sound, centred * (n / (n - 1)) / np.where(sound, deviation, 1.0), result[rows]
            )
        return result

    def transform(self, scores: ArrayLike) -> NDArray[np.float64]:
        """Return ``(scores - mean) / deviation`` of scores against every ID, ``(n, ids)``.

        Raises
        ------
        ArrayError
            If `scores` is not ``(n, ids)``.
        """
        values = np.asarray(scores, dtype=np.float64)
        if values.ndim != 2 or values.shape[1] != len(self.ids):
            raise ArrayError(
                f"scores: shape {values.shape}; expected (n, {len(self.ids)}), a column for each ID"
            )
        result: NDArray[np.float64] = (values - self.means) / self.deviations
        return result

    def transform_own(self, scores: ArrayLike, ids: Sequence[str]) -> NDArray[np.float64]:
        """Return ``(scores - mean) / deviation`` of scores against the ID given for each, ``(n,)``.

        Raises
        ------
        ArrayError
            If lengths differ or a score is not finite.
        ParameterError
            If an ID is not known.
        """
        index = positions(ids, self.ids)
        values = finite_vector(scores, "scores", len(ids))
        result: NDArray[np.float64] = (values - self.means[index]) / self.deviations[index]
        return result

    def state(self) -> dict[str, Any]:
        """Return plain data for JSON: all that `from_state` needs."""
        return {
            "ids": list(self.ids),
            "means": self.means.tolist(),
            "deviations": self.deviations.tolist(),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Standardizer:
        """Restore what `state` gave.

        Raises
        ------
        DetectorFileError
            If a part is missing, of another length, or has impossible values.
        """
        ids = restored_ids(state, "standardizer")
        means = restored_vector(state, "means", len(ids), "standardizer")
        deviations = restored_vector(state, "deviations", len(ids), "standardizer")
        if not (deviations > 0).all():
            raise DetectorFileError(f"standardizer: deviations {deviations}; expected numbers above 0")
        return cls(ids, means, deviations)


def _groups(ids: Sequence[str], names: tuple[str, ...], min_clips: int) -> list[NDArray[np.bool_]]:
    """Return for each ID the mask of the scores that stand for it: its own, or all where these are too few."""
    index = positions(ids, names)
    groups = [index == at for at in range(len(names))]
    return [g if np.count_nonzero(g) >= min_clips else np.ones(len(ids), dtype=bool) for g in groups]


def _deviation(values: NDArray[np.float64]) -> float:
    """Return the standard deviation, or 1 where the values differ by rounding only."""
    deviation = float(values.std())
    return deviation if deviation > 1e-14 * float(np.abs(values).max()) else 1.0
