"""What each normal clip counts in a fit: those that sound unlike the rest count less, or not at all.

A mean and a covariance of some dozens of clips are at the mercy of a few that something else was recorded with: talk, a
hand on the microphone, a compressed copy. Such clips lie far off in directions in which the others hardly vary, and
that is where faults show. The rule grows a core of clips that are alike, as the minimum covariance determinant does
(Rousseeuw and Van Driessen 1999). Its first half is found in the manner of PCOut (Filzmoser, Maronna and Werner 2008):
principal components of spatial signs, which a few clips cannot turn. Clips are then measured by the core's covariance,
those of the core by what it is without them: a few that are odd in the same way cannot hide behind each other. At last
the model itself, fitted with these weights, scores each clip without that clip: what it would call plainly anomalous,
such as noise that hides in the quiet bins, is unlike the rest too.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from functools import partial

import numpy as np

from offkey.errors import DatasetError
from offkey.models.spectral.feature_sets import StatisticsTable
from offkey.models.spectral.leave_one_out import log_scores_left_out
from offkey.models.spectral.likelihood_ratio import Moments

__all__ = ["ODD", "clip_weights"]

ODD = 0.5
"""A clip with a smaller weight is unlike the rest."""

_FEWEST_CLIPS = 20  # in all; of fewer nobody can say what the rest are
_FEWEST_OF_AN_ID = 8  # an ID with fewer borrows the deviations of all clips, and keeps every clip
_SMALLEST_DEVIATIONS = {
    "mean": 0.05,
    "ldstd": 0.01,
    "p5": 0.05,
}  # dB, or logarithms: below them all are alike
_FARTHEST = 10.0  # deviations; farther ones count as this far
_CLIPS_FOR_A_COMPONENT = 4  # with fewer each clip would have a component of its own
_POWER = 4  # of the mean over components: one in which a clip stands out tells more than many in which it hardly does
_CORE_SHARES = (0.5, 0.7, 0.9)  # of each ID's clips: as the core grows
_RIDGE = 0.1  # of the core's covariance, which has hardly more clips than dimensions
_FULL_WEIGHT, _NO_WEIGHT = 4.5, 5.5  # deviations of a clip's distance from the median of distances
_FULL_WEIGHT_OF_SCORE, _NO_WEIGHT_OF_SCORE = 5.0, 6.0  # likewise of its log score
_SCORED_BY = ("M", "P")
_TAU = 0.01
_LEAST_WEIGHT = 1e-6  # so that an ID of which nothing else is in a fold still has a mean
_MOST_OF_AN_ID = 0.1  # of its clips; more are one of the ways in which the machine sounds when it is healthy
_NORMAL_MAD = 1.4826  # deviations in one median absolute deviation of a normal distribution


def clip_weights(table: StatisticsTable, ids: np.ndarray) -> np.ndarray:
    """Return what each clip counts in a fit.

    Parameters
    ----------
    table
        Statistics of normal clips.
    ids
        ``(clips,)`` positions of their machine IDs.

    Returns
    -------
    numpy.ndarray
        ``(clips,)`` float64: 1 for a clip like the rest, falling to 0 for one that is nothing like them. All are 1
        where there are fewer than 20 clips in all or 8 of an ID, and those of an ID of which more than a tenth would
        count less than half.
    """
    if len(table) < _FEWEST_CLIPS:
        return np.ones(len(table))
    by_components = farthest = _farthest(table, ids, _distances_by_components)
    for share in _CORE_SHARES:
        core = _nearest(farthest, ids, share)
        farthest = _farthest(table, ids, partial(_distances_from_core, core=core))
    farthest = np.maximum(by_components, farthest)
    weights = _falling(farthest, _FULL_WEIGHT, _NO_WEIGHT, ids, otherwise=np.ones(len(ids)))
    scores = _scores_left_out(table, ids, weights)
    by_scores = _falling(scores, _FULL_WEIGHT_OF_SCORE, _NO_WEIGHT_OF_SCORE, ids, otherwise=weights)
    smallest: np.ndarray = np.minimum(weights, by_scores)
    return smallest


def _falling(
    values: np.ndarray, full: float, none: float, ids: np.ndarray, otherwise: np.ndarray
) -> np.ndarray:
    """Return weights that fall from one value to the other; those of `otherwise` for IDs with too many odd clips."""
    weights: np.ndarray = np.clip((none - values) / (none - full), _LEAST_WEIGHT, 1.0)
    for i in np.unique(ids):
        rows = ids == i
        count, odd = np.count_nonzero(rows), np.count_nonzero(weights[rows] < ODD)
        if count < _FEWEST_OF_AN_ID or odd > max(1.0, _MOST_OF_AN_ID * count):
            weights[rows] = otherwise[rows]
    return weights


def _scores_left_out(table: StatisticsTable, ids: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return each clip's log score by a model without it, in deviations from the ID's median, by the worse of two sets.

    Scores that cannot be taken, of an ID's only clip or where nothing varies, count as no deviation.
    """
    largest = np.zeros(len(ids))
    for feature_set in _SCORED_BY:
        with contextlib.suppress(DatasetError):
            scores = _log_scores(table.features(feature_set), ids, weights, feature_set=feature_set)
            scored = np.isfinite(scores)
            for i in np.unique(ids[scored]):
                scores[scored & (ids == i)] -= np.median(scores[scored & (ids == i)])
            deviation = _NORMAL_MAD * np.quantile(scores[scored], 0.75) if scored.any() else 0.0
            if deviation > 1e-9:
                largest[scored] = np.maximum(largest[scored], scores[scored] / deviation)
    return largest


def _log_scores(
    features: np.ndarray, ids: np.ndarray, weights: np.ndarray, *, feature_set: str
) -> np.ndarray:
    """Return each clip's log score at its own ID by a model without it, ``(clips,)``; NaN where there is none."""
    n_ids = int(ids.max()) + 1
    moments = Moments.fit(features, ids, weights, feature_set=feature_set, n_ids=n_ids, own_ids=())
    whitenings = moments.whitenings(own_covariance=False, ridge=_RIDGE, tau=_TAU)
    against_all = log_scores_left_out(
        moments, whitenings, features=features, ids=ids, weights=weights, units=np.arange(len(ids))
    )
    scores: np.ndarray = against_all[np.arange(len(ids)), ids]
    return scores


def _farthest(table: StatisticsTable, ids: np.ndarray, distances: Callable[..., np.ndarray]) -> np.ndarray:
    """Return each clip's distance from the rest in the statistic in which it is farthest."""
    farthest: np.ndarray = np.max(
        [distances(table.columns[name], name, ids) for name in _SMALLEST_DEVIATIONS], axis=0
    )
    return farthest


def _nearest(distances: np.ndarray, ids: np.ndarray, share: float) -> np.ndarray:
    """Return the mask of the share of each ID's clips that are nearest to the rest."""
    nearest = np.zeros(len(ids), dtype=bool)
    for i in np.unique(ids):
        rows = np.flatnonzero(ids == i)
        nearest[rows[np.argsort(distances[rows], kind="stable")[: math.ceil(share * len(rows))]]] = True
    return nearest


def _distances_from_core(
    statistic: np.ndarray, name: str, ids: np.ndarray, *, core: np.ndarray
) -> np.ndarray:
    """Return how far each clip is from the core in one statistic, in deviations of all clips' distances.

    The distance is the logarithm of Mahalanobis' squared.
    """
    smallest = _SMALLEST_DEVIATIONS[name]
    logarithms = np.log(_squared_distances(statistic, ids, core, smallest=smallest) + 1e-12)
    above = logarithms - np.median(logarithms)
    # By the upper quartile: distances are skewed, and only those far above the median are odd.
    deviation = _NORMAL_MAD * np.quantile(above, 0.75)
    in_deviations: np.ndarray = above / (deviation if deviation > 1e-9 else np.inf)
    return in_deviations


def _squared_distances(
    statistic: np.ndarray, ids: np.ndarray, core: np.ndarray, *, smallest: float
) -> np.ndarray:
    """Return each clip's squared Mahalanobis distance from the core's clips of its ID.

    The covariance is that of the core within IDs, in units of its deviations, with a ridge. A clip of the core is
    measured by the core without it, as those outside are: by the formula of Sherman and Morrison (1950) for the
    inverse of a matrix less one outer product. The core's deviations, the units, stay as they are with it.
    """
    centred = statistic.copy()
    for i in np.unique(ids):
        centred[ids == i] -= statistic[(ids == i) & core].mean(axis=0)
    freedom = max(2, int(np.count_nonzero(core)) - len(np.unique(ids)))
    deviations = np.sqrt(np.sum(np.square(centred[core]), axis=0) / freedom)
    centred /= np.maximum(deviations, smallest)
    scatter_share = (1 - _RIDGE) / freedom
    covariance = scatter_share * centred[core].T @ centred[core] + _RIDGE * np.eye(centred.shape[1])
    squared: np.ndarray = np.einsum("ij,ij->i", np.linalg.solve(covariance, centred.T).T, centred)
    counts = np.bincount(ids[core])[ids[core]]
    shift = counts / np.maximum(counts - 1, 1)  # how much farther the mean is once the clip is not in it
    left = 1 - scatter_share * shift * squared[core]
    squared[core] *= shift**2 / left * (freedom - 1) / freedom
    return squared


def _distances_by_components(statistic: np.ndarray, name: str, ids: np.ndarray) -> np.ndarray:
    """Return how far each clip is from the rest in one statistic, in deviations of all clips' distances.

    The distance is the logarithm of the fourth root of the mean fourth power over components of spatial signs.
    """
    components = _components(_scaled(statistic, ids, smallest=_SMALLEST_DEVIATIONS[name]))
    standing = np.abs(_standardised(components))
    logarithms = np.log(np.mean(np.minimum(standing, _FARTHEST) ** _POWER, axis=1) + 1e-12) / _POWER
    return _standardised(logarithms)


def _scaled(statistic: np.ndarray, ids: np.ndarray, *, smallest: float) -> np.ndarray:
    """Return ``(clips, n_mels)`` as deviations from the median of the ID, none of them larger than ten."""
    centred = statistic.copy()
    for i in np.unique(ids):
        centred[ids == i] -= np.median(centred[ids == i], axis=0)
    deviations = np.tile(_NORMAL_MAD * np.median(np.abs(centred), axis=0), (len(centred), 1))
    for i in np.unique(ids):
        rows = ids == i
        if np.count_nonzero(rows) >= _FEWEST_OF_AN_ID:
            deviations[rows] = _NORMAL_MAD * np.median(np.abs(centred[rows]), axis=0)
    scaled: np.ndarray = np.clip(centred / np.maximum(deviations, smallest), -_FARTHEST, _FARTHEST)
    return scaled


def _components(scaled: np.ndarray) -> np.ndarray:
    """Return the clips' principal components; each clip has the same say in what these are, however far it lies."""
    lengths = np.linalg.norm(scaled, axis=1, keepdims=True)
    signs = scaled / np.where(lengths > 0, lengths, 1.0)
    variances, vectors = np.linalg.eigh(signs.T @ signs)  # rising
    count = int(np.count_nonzero(variances > 1e-9 * max(1.0, variances[-1])))
    count = max(1, min(count, len(scaled) // _CLIPS_FOR_A_COMPONENT))
    components: np.ndarray = scaled @ vectors[:, -count:]
    return components


def _standardised(values: np.ndarray) -> np.ndarray:
    """Return deviations from the median over clips."""
    centred = values - np.median(values, axis=0)
    deviation = _NORMAL_MAD * np.median(np.abs(centred), axis=0)
    standardised: np.ndarray = centred / np.where(deviation > 1e-9, deviation, np.inf)
    return standardised
