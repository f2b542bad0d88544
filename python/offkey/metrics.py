"""ROC curve, AUC and partial AUC, exact with ties.

Two scores are equal only if their float64 values are: nothing is rounded, and no sigmoid is applied.
Ties between normal and anomalous clips count half, as in scikit-learn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from offkey import _native
from offkey.errors import ArrayError, ParameterError

__all__ = [
    "RocCurve",
    "area_under",
    "auc",
    "check_max_fpr",
    "interval",
    "pauc",
    "resampled_areas",
    "roc_curve",
]


class RocCurve(NamedTuple):
    """False and true positive rates at every distinct score taken as threshold, from (0, 0) to (1, 1)."""

    false_positive_rate: NDArray[np.float64]
    """``(points,)``, rising from 0 to 1: the part of normal clips at or above the threshold."""
    true_positive_rate: NDArray[np.float64]
    """``(points,)``, rising from 0 to 1: the part of anomalies at or above the threshold."""
    thresholds: NDArray[np.float64]
    """``(points,)``, falling; the first is infinity, where nothing is called anomalous."""


def roc_curve(labels: ArrayLike, scores: ArrayLike) -> RocCurve:
    """Return the ROC curve.

    Parameters
    ----------
    labels
        ``(clips,)``: 1 anomaly, 0 normal.
    scores
        ``(clips,)`` finite numbers, higher = more anomalous.

    Raises
    ------
    ArrayError
        If lengths differ, a label is neither 0 nor 1, a score is not finite, or one class has no clip.

    Examples
    --------
    >>> curve = roc_curve([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    >>> curve.true_positive_rate.tolist()
    [0.0, 0.5, 0.5, 1.0, 1.0]
    """
    normals, anomalies = _split(labels, scores)
    thresholds, false, true = _counts(normals, anomalies)
    return RocCurve(
        np.concatenate([[0.0], false / len(normals)]),
        np.concatenate([[0.0], true / len(anomalies)]),
        np.concatenate([[np.inf], thresholds]),
    )


def auc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Return the area under the ROC curve, in [0, 1]: how probably an anomaly scores above a normal clip.

    Parameters and errors as for `roc_curve`.

    Examples
    --------
    >>> auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.75
    """
    normals, anomalies = _split(labels, scores)
    # Each normal clip is beaten by the anomalies above it, and half by those of the same score.
    return _native.wins(normals, anomalies) / (2 * len(normals) * len(anomalies))


def pauc(labels: ArrayLike, scores: ArrayLike, *, max_fpr: float = 0.1) -> float:
    """Return the area under the ROC curve up to a false positive rate, standardised so that chance is 0.5.

    The standardisation is McClish's (1989): ``(1 + (A - A_min) / (A_max - A_min)) / 2`` with
    ``A_min = max_fpr^2 / 2`` and ``A_max = max_fpr``, as in scikit-learn's ``roc_auc_score(max_fpr=...)``
    and DCASE 2020 Task 2.

    Parameters and errors as for `roc_curve`, and:

    Parameters
    ----------
    max_fpr
        In (0, 1].

    Raises
    ------
    ParameterError
        If `max_fpr` is outside its range.
    """
    check_max_fpr(max_fpr)
    normals, anomalies = _split(labels, scores)
    # Scores below the normal that stands at the limit do not matter, and need no sorting.
    all_normals = len(normals)
    place = max(0, all_normals - 1 - int(np.ceil(max_fpr * all_normals)))
    limit = np.partition(normals, place)[place]
    normals = np.sort(normals[normals >= limit])
    highest = np.sort(anomalies[anomalies >= limit])
    # The curve moves to the right at the scores of normals only: two corners for each distinct one.
    distinct = normals[np.concatenate([[True], normals[1:] > normals[:-1]])]
    false = np.stack(_native.counts_from(normals, distinct))
    true = np.stack(_native.counts_from(highest, distinct))
    false, true = (counts[::-1, ::-1].T.ravel() for counts in (false, true))  # scores falling; above, then at
    return float(area_under(false, true, all_normals, len(anomalies), max_fpr=max_fpr))


def area_under(
    false: NDArray[np.int64],
    true: NDArray[np.int64],
    normals: int | NDArray[np.int64],
    anomalies: int | NDArray[np.int64],
    *,
    max_fpr: float = 1.0,
) -> NDArray[np.float64]:
    """Return the area under ROC curves given as counts, standardised as in `pauc` if `max_fpr` is below 1.

    Parameters
    ----------
    false, true
        ``(..., points)``: normal clips and anomalies at or above each distinct score, scores falling.
    normals, anomalies
        How many there are in all; of several curves one number or ``(..., 1)``.
    max_fpr
        In (0, 1].

    Returns
    -------
    ``(...,)`` float64.
    """
    x1, y1 = false / normals, true / anomalies
    x0 = np.concatenate([np.zeros_like(x1[..., :1]), x1[..., :-1]], axis=-1)
    y0 = np.concatenate([np.zeros_like(y1[..., :1]), y1[..., :-1]], axis=-1)
    width = np.clip(np.minimum(x1, max_fpr) - x0, 0.0, None)
    step = x1 - x0
    slope = np.divide(y1 - y0, step, out=np.zeros_like(step), where=step > 0)
    area: NDArray[np.float64] = np.sum(width * (y0 + 0.5 * slope * width), axis=-1)
    if max_fpr == 1.0:
        return area
    least = 0.5 * max_fpr**2
    return 0.5 * (1.0 + (area - least) / (max_fpr - least))


def _counts(
    normals: NDArray[np.float64], anomalies: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Distinct scores, falling, and how many normals and anomalies are at or above each."""
    normals, anomalies = np.sort(normals), np.sort(anomalies)
    thresholds = np.unique(np.concatenate([normals, anomalies]))[::-1]
    false = len(normals) - np.searchsorted(normals, thresholds, side="left")
    true = len(anomalies) - np.searchsorted(anomalies, thresholds, side="left")
    return thresholds, false, true


def check_max_fpr(max_fpr: float) -> None:
    """Refuse a limit of the false positive rate outside (0, 1]."""
    if not 0.0 < max_fpr <= 1.0:
        raise ParameterError(f"max_fpr = {max_fpr}: expected a false positive rate above 0 and at most 1")


def _split(labels: ArrayLike, scores: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the scores of the normals and of the anomalies."""
    marks, values = np.asarray(labels), np.asarray(scores)
    if values.ndim != 1 or values.dtype.kind not in "fiu":
        raise ArrayError(
            f"scores: dtype {values.dtype}, shape {values.shape}; expected real numbers of shape (clips,)"
        )
    if marks.shape != values.shape or marks.dtype.kind not in "fiub":
        raise ArrayError(
            f"labels: dtype {marks.dtype}, shape {marks.shape}; expected 0 and 1 in shape {values.shape}"
        )
    values = values.astype(np.float64, copy=False)
    _refuse(np.isfinite(values), values, "scores", "finite numbers only")
    normal, anomalous = marks == 0, marks == 1
    _refuse(normal | anomalous, marks, "labels", "0 (normal) or 1 (anomaly)")
    normals, anomalies = values[normal], values[anomalous]
    if not len(normals) or not len(anomalies):
        raise ArrayError(
            f"labels: {len(normals)} normal clips, {len(anomalies)} anomalies; expected at least one of each"
        )
    return normals, anomalies


def _refuse(good: NDArray[np.bool_], values: NDArray[Any], name: str, expected: str) -> None:
    if not good.all():
        at = int(np.argmin(good))
        raise ArrayError(f"{name}: {values[at]} at position {at}; expected {expected}")


_CELLS = 2_000_000  # numbers in memory at a time


def resampled_areas(
    normals: NDArray[np.float64],
    anomalies: NDArray[np.float64],
    *,
    resamples: int,
    key: Sequence[int],
    max_fpr: float,
    recordings: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None,
) -> NDArray[np.float64]:
    """Return AUC and partial AUC of bootstrap samples of the clips.

    Normals and anomalies are each drawn with replacement, as many as there are (Efron and Tibshirani 1993, chapter
    8). Clips that were cut from one recording are not independent: with `recordings` these are drawn, each with all of
    its clips of the class.

    Parameters
    ----------
    normals, anomalies
        ``(n,)`` and ``(m,)`` finite scores, neither empty.
    resamples
        How many samples.
    key
        Non-negative integers that the draws are a function of.
    max_fpr
        In (0, 1].
    recordings
        Which recording each normal, ``(n,)``, and each anomaly, ``(m,)``, is of: any integers. None: each of its own.

    Returns
    -------
    ``(2, resamples)`` float64: AUC, partial AUC.

    Raises
    ------
    ParameterError
        If `resamples` is negative.
    """
    if resamples < 0:
        raise ParameterError(f"resamples = {resamples}: expected at least 0")
    rng = np.random.default_rng(list(key))
    distinct = np.unique(np.concatenate([normals, anomalies]))
    # Places count from the highest score down, as the points of a ROC curve do.
    places = [len(distinct) - 1 - np.searchsorted(distinct, scores) for scores in (normals, anomalies)]
    if recordings is None:
        recordings = np.arange(len(normals)), np.arange(len(anomalies))
    owners = [np.unique(of_class, return_inverse=True)[1] for of_class in recordings]
    result = np.empty((2, resamples))
    chunk = max(1, _CELLS // (len(distinct) + len(normals) + len(anomalies)))
    for start in range(0, resamples, chunk):
        count = min(chunk, resamples - start)
        false, true = (
            _cumulative_counts(rng, place, owner, count, len(distinct))
            for place, owner in zip(places, owners, strict=True)
        )
        for row, limit in zip(result, (1.0, max_fpr), strict=True):
            row[start : start + count] = area_under(false, true, false[:, -1:], true[:, -1:], max_fpr=limit)
    return result


def interval(values: NDArray[np.float64], confidence: float) -> tuple[float, float] | None:
    """Return the percentile interval of bootstrap values; None if there are none.

    Raises
    ------
    ParameterError
        If `confidence` is outside (0, 1).
    """
    if not 0.0 < confidence < 1.0:
        raise ParameterError(
            f"confidence = {confidence}: expected a number above 0 and below 1, such as 0.95"
        )
    if not len(values):
        return None
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _cumulative_counts(
    rng: np.random.Generator,
    places: NDArray[np.int64],
    owners: NDArray[np.int64],
    samples: int,
    points: int,
) -> NDArray[np.int64]:
    """Return for each sample how many drawn clips are at or above each distinct score, ``(samples, points)``."""
    recordings, sample = int(owners.max()) + 1, np.arange(samples)[:, None]
    drawn = rng.integers(0, recordings, size=(samples, recordings))
    times = np.bincount((drawn + recordings * sample).ravel(), minlength=samples * recordings)
    of_clips = times.reshape(samples, recordings)[:, owners]
    counts = np.bincount((places + points * sample).ravel(), of_clips.ravel(), minlength=samples * points)
    result: NDArray[np.int64] = np.cumsum(counts.reshape(samples, points).astype(np.int64), axis=1)
    return result
