"""What each training clip would score had its recording never been seen, from the one fit that has seen it.

Leaving out the clips of a recording takes a matrix of low rank from each covariance, and moves the means of their IDs.
Let r_j be the deviations of clips from their IDs' means, w_j their weights, W the weight of an ID, R that of its clips
which stay, and u the sum of w_j r_j over those which leave. The mean of those which stay is -u / R, and the scatter
loses ``sum w_j r_j r_j' + u u' / R``, which is V V' with the columns ``sqrt(w_j) (r_j + u / (R (1 + sqrt(W / R))))``.
The inverses follow by the formula of Woodbury (1950). The units of features, the weights, and the proportions of ridge
and prior to the covariance are kept as they are.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator

import numpy as np

from offkey.errors import DatasetError
from offkey.models.spectral.check import NormalClips
from offkey.models.spectral.likelihood_ratio import Moments, Whitenings, log_ratio, prior_covariance

__all__ = ["FEWEST_FOR_UPDATES", "log_scores_left_out", "log_scores_refitted"]

FEWEST_FOR_UPDATES = 50
"""With fewer clips in all, what is kept here (units, and the proportion of the ridge) makes scores too small by up to a
fifth of their deviation, and models fitted anew take about a second."""

_CHUNK = 1 << 18  # numbers in the arrays of one step: 2 MiB each


def log_scores_left_out(
    moments: Moments,
    whitenings: Whitenings,
    *,
    features: np.ndarray,
    ids: np.ndarray,
    weights: np.ndarray,
    units: np.ndarray,
    weight_of_ids: np.ndarray | None = None,
    clips_of_ids: np.ndarray | None = None,
) -> np.ndarray:
    """Score every clip against every ID by the model without its recording.

    Parameters
    ----------
    moments
        Of these clips, among others perhaps.
    whitenings
        Of these moments.
    features
        ``(clips, blocks * n_mels)``: what the moments were fitted to.
    ids
        ``(clips,)`` positions of the clips' machine IDs.
    weights
        ``(clips,)`` above 0: what each clip counts in the fit.
    units
        ``(clips,)`` integers: clips with the same one leave together. All of a unit must be given.
    weight_of_ids, clips_of_ids
        ``(ids,)`` sums of weights, and numbers, of all the clips that the moments are of; by default of those given.

    Returns
    -------
    numpy.ndarray
        ``(clips, ids)`` float64: the log ratios. NaN in the rows of clips without whose recording their own ID has no
        clip, or its covariance less than one degree of freedom. Another ID that loses all its clips keeps its mean, and
        a covariance that only other IDs' clips are left to estimate from counts as having one degree.
    """
    scaled = moments.scale.apply(features)
    n_ids = len(moments.means)
    if weight_of_ids is None:
        weight_of_ids = np.bincount(ids, weights=weights, minlength=n_ids)
    if clips_of_ids is None:
        clips_of_ids = np.bincount(ids, minlength=n_ids)
    scores = np.empty((len(ids), n_ids))
    for place, whitening in enumerate(whitenings.by_covariance):
        columns = np.flatnonzero(whitenings.which == place)
        if not len(columns):
            continue
        sources = np.ones(n_ids, dtype=bool) if place == 0 else np.arange(n_ids) == columns[0]
        model = _Covariance(
            inverse=1 / (1 + whitening.gains),
            shares=whitening.shares,
            means=moments.means @ whitening.axes,
            ids=ids,
            weights=np.where(sources[ids], weights, 0.0),
            totals=np.where(sources, weight_of_ids, 0.0),
            counts=np.where(sources, clips_of_ids, 0),
            ridge=whitenings.ridge,
        )
        coordinates = scaled @ whitening.axes
        for rows in _stacks(units, width=scaled.shape[1]):
            scores[rows[..., None], columns] = model.log_scores(coordinates[rows], rows, columns)
    scores[np.isnan(scores[np.arange(len(ids)), ids])] = np.nan
    return scores


def log_scores_refitted(
    clips: NormalClips,
    *,
    feature_set: str,
    own_covariance: bool,
    ridge: float,
    units: np.ndarray,
) -> np.ndarray:
    """Return what `log_scores_left_out` does, by a model fitted anew without each recording.

    Parameters
    ----------
    clips
        All of them.
    feature_set, own_covariance, ridge
        As the model has them.
    units
        ``(clips,)`` integers: clips with the same one leave together.
    """
    features = clips.table.features(feature_set)
    scores = np.full((len(clips.ids), clips.n_ids), np.nan)
    for unit in np.unique(units):
        leaving = units == unit
        staying = np.unique(clips.ids[~leaving])
        scored = leaving & np.isin(clips.ids, staying)
        if np.count_nonzero(~leaving) <= len(staying) or not scored.any():
            continue
        with contextlib.suppress(
            DatasetError
        ):  # of copies of one clip for each ID nothing is left to measure by
            moments = clips.moments(~leaving, feature_set=feature_set)
            prior = prior_covariance(n_mels=moments.n_mels, mask=moments.scale.varying)
            scaled = moments.scale.apply(features[scored])
            own = moments.by_id if own_covariance else {}
            shared = [i for i in range(clips.n_ids) if i not in own]
            groups = [(shared, moments.shared)] * bool(shared) + [([i], own[i]) for i in own]
            for columns, covariance in groups:
                deviations = (scaled[:, None] - moments.means[columns]).reshape(-1, scaled.shape[1])
                log_scores = _log_scores(deviations, covariance, prior, ridge=ridge, tau=clips.tau)
                scores[np.ix_(scored, columns)] = log_scores.reshape(len(scaled), -1)
    return scores


def _log_scores(
    deviations: np.ndarray, covariance: np.ndarray, prior: np.ndarray, *, ridge: float, tau: float
) -> np.ndarray:
    """Score ``(clips, p)`` deviations: ``S^-1 - (S + R)^-1`` is ``S^-1 R (S + R)^-1``, with nothing subtracted."""
    p = len(covariance)
    mean_eigenvalue = np.trace(covariance) / p
    normal = (1 - ridge) * covariance + ridge * mean_eigenvalue * np.eye(p)
    shift = tau * mean_eigenvalue * prior
    of_normal, of_both = (np.linalg.solve(matrix, deviations.T) for matrix in (normal, normal + shift))
    return log_ratio(np.maximum(np.sum(of_normal * (shift @ of_both), axis=0), 0.0))


def _stacks(units: np.ndarray, *, width: int) -> Iterator[np.ndarray]:
    """Yield the clips of some units of equal size at a time, ``(units, clips of each)`` positions."""
    order = np.argsort(units, kind="stable")
    _, firsts, sizes = np.unique(units[order], return_index=True, return_counts=True)
    for size in np.unique(sizes).tolist():
        rows = order[firsts[sizes == size][:, None] + np.arange(size)]
        step = max(1, _CHUNK // (size * width))
        for first in range(0, len(rows), step):
            yield rows[first : first + step]


@dataclasses.dataclass(frozen=True, slots=True)
class _Covariance:
    """One covariance, in the coordinates of its whitening, and what it was estimated from."""

    inverse: np.ndarray
    """``(p,)``: the inverse of the anomalies' covariance; that of the normals' is I."""
    shares: np.ndarray
    means: np.ndarray
    """``(ids, p)``."""
    ids: np.ndarray
    weights: np.ndarray
    """``(clips,)``: 0 for clips that it was not estimated from."""
    totals: np.ndarray
    """``(ids,)``: the weight of each ID's clips."""
    counts: np.ndarray
    """``(ids,)``: how many they are."""
    ridge: float

    def log_scores(self, clips: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Score the clips of some units by the covariance without their unit.

        Parameters
        ----------
        clips
            ``(units, clips of each, p)`` coordinates.
        rows
            ``(units, clips of each)``: which clips these are.
        columns
            The IDs to score them against.

        Returns
        -------
        numpy.ndarray
            ``(units, clips of each, columns)``. NaN at a clip's own ID where there is none.
        """
        ids, weights = self.ids[rows], self.weights[rows]
        vectors = clips - self.means[ids]
        staying = np.broadcast_to(self.totals, (len(rows), len(self.totals))).copy()
        shifts = {}
        for i in np.unique(ids[weights > 0]).tolist():
            at = np.flatnonzero(((ids == i) & (weights > 0)).any(axis=1))
            leaving = np.where(ids[at] == i, weights[at], 0.0)
            gone = np.count_nonzero(leaving, axis=1) == self.counts[i]
            staying[at, i] = np.where(gone, 0.0, self.totals[i] - leaving.sum(axis=1))
            rest = np.where(gone, np.inf, staying[at, i])[:, None]
            moved = np.einsum("gk,gkp->gp", leaving, vectors[at])
            shifts[i] = at, (moved / rest)[:, None]
            moved /= rest * (1 + np.sqrt(self.totals[i] / rest))
            vectors[at] += np.where(ids[at] == i, 1.0, 0.0)[..., None] * moved[:, None]
        vectors *= np.sqrt(weights)[..., None]
        if vectors.shape[1] > vectors.shape[2]:
            vectors = np.linalg.qr(vectors, mode="r")  # V V' is the same

        before = max(1.0, self.totals.sum() - np.count_nonzero(self.counts))
        freedom = staying.sum(axis=1) - np.count_nonzero(staying, axis=1)
        growth = before / np.maximum(1.0, freedom)  # of the covariance that is divided by fewer
        share = (1 - self.ridge) / before
        corrections = [_Correction(vectors, inverse, share) for inverse in (np.ones(1), self.inverse)]
        scores = np.empty((*rows.shape, len(columns)))
        for place, i in enumerate(columns.tolist()):
            deviations = clips - self.means[i]
            if i in shifts:
                at, shift = shifts[i]
                deviations[at] += shift
            normal, anomalous = (correction.of(deviations) for correction in corrections)
            ratios = np.square(deviations) @ self.shares + normal - anomalous
            scores[..., place] = log_ratio(np.maximum(ratios, 0.0) / growth[:, None])
            unknown = (staying[:, i] == 0.0) | (freedom < 1)
            scores[..., place][(ids == i) & unknown[:, None]] = np.nan
        return scores


class _Correction:
    """What the squared length of a deviation gains when vectors leave a covariance (Woodbury 1950)."""

    def __init__(self, vectors: np.ndarray, inverse: np.ndarray, share: float) -> None:
        """Take ``(units, n, p)`` vectors, the inverse of the diagonal covariance, and what a vector counts in it."""
        self._share = share
        self._scaled = vectors * inverse
        self._left = np.eye(vectors.shape[1]) - share * self._scaled @ vectors.transpose(0, 2, 1)

    def of(self, deviations: np.ndarray) -> np.ndarray:
        """Return ``(units, clips of each)`` for deviations ``(units, clips of each, p)``."""
        along = self._scaled @ deviations.transpose(0, 2, 1)
        gained: np.ndarray = self._share * np.sum(along * np.linalg.solve(self._left, along), axis=1)
        return gained
