"""Confidence intervals of AUC and partial AUC, by resampling clips."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from offkey.errors import ParameterError
from offkey.evaluation.roc import area_under

__all__ = ["interval", "resampled_areas"]

_CELLS = 2_000_000  # numbers in memory at a time


def resampled_areas(
    normals: NDArray[np.float64],
    anomalies: NDArray[np.float64],
    *,
    resamples: int,
    key: Sequence[int],
    max_fpr: float,
) -> NDArray[np.float64]:
    """Return AUC and partial AUC of bootstrap samples of the clips.

    Normals and anomalies are each drawn with replacement, as many as there are (Efron and Tibshirani 1993, chapter
    8), so the sizes of the classes stay. Clips of one recording count as independent, which they are not quite.

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
    result = np.empty((2, resamples))
    chunk = max(1, _CELLS // (len(distinct) + len(normals) + len(anomalies)))
    for start in range(0, resamples, chunk):
        count = min(chunk, resamples - start)
        false, true = (_cumulative_counts(rng, place, count, len(distinct)) for place in places)
        for row, limit in zip(result, (1.0, max_fpr), strict=True):
            row[start : start + count] = area_under(false, true, len(normals), len(anomalies), max_fpr=limit)
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
    rng: np.random.Generator, places: NDArray[np.int64], samples: int, points: int
) -> NDArray[np.int64]:
    """Return for each sample how many drawn clips are at or above each distinct score, ``(samples, points)``."""
    drawn = places[rng.integers(0, len(places), size=(samples, len(places)))]
    flat = drawn + points * np.arange(samples)[:, None]
    counts = np.bincount(flat.ravel(), minlength=samples * points).reshape(samples, points)
    result: NDArray[np.int64] = np.cumsum(counts, axis=1)
    return result
