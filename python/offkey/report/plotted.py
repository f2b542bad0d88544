"""What is plotted, in pictures and on the page alike."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from offkey.errors import ArrayError, MissingExtraError

__all__ = ["Calibration", "bin_count", "calibration", "tsne"]

_MOST_BINS, _FEWEST_BINS = 44, 8
_POINTS = 201


class Calibration(NamedTuple):
    """Which rate of false alarms is raised where one is asked for."""

    asked: NDArray[np.float64]
    """``(points,)`` from 0 to 1."""
    raised: NDArray[np.float64]
    """``(points,)``: the share of normal recordings whose p-value is at most that."""
    reach: float
    """Were the p-values right, at least 95% of such curves would lie nowhere farther from ``raised = asked``."""


def calibration(p_values: ArrayLike) -> Calibration:
    """Return the rates of false alarms that p-values of normal recordings raise.

    `Calibration.reach` is the bound of Dvoretzky, Kiefer and Wolfowitz with Massart's (1990) constant.

    Parameters
    ----------
    p_values
        ``(recordings,)`` in (0, 1], at least one.

    Raises
    ------
    ArrayError
        If there is none, or one is outside.

    Examples
    --------
    >>> calibration([0.25, 0.5, 0.75, 1.0]).raised[[0, 50, 100, 200]].tolist()
    [0.0, 0.25, 0.5, 1.0]
    """
    ranked = np.sort(np.asarray(p_values, dtype=np.float64).ravel())
    if not len(ranked) or not ((ranked > 0) & (ranked <= 1)).all():
        raise ArrayError(
            f"p_values: {ranked[:3].tolist()}; expected at least one, each above 0 and at most 1"
        )
    asked = np.linspace(0, 1, _POINTS)
    raised = np.searchsorted(ranked, asked, side="right") / len(ranked)
    return Calibration(asked, raised, math.sqrt(math.log(2 / 0.05) / (2 * len(ranked))))


def bin_count(scores: int) -> int:
    """Return how many bins a histogram of so many scores has: twice Rice's rule, as healthy and odd are two groups."""
    return min(max(math.ceil(4 * math.cbrt(scores)), _FEWEST_BINS), _MOST_BINS)


def tsne(vectors: ArrayLike) -> NDArray[np.float64]:
    """Return places in the plane for vectors, ``(vectors, 2)``, the near ones near each other (van der Maaten 2008).

    The same vectors have the same places. At least 2 are needed.

    Parameters
    ----------
    vectors
        ``(vectors, dim)`` finite numbers.

    Raises
    ------
    ArrayError
        If they are none.
    MissingExtraError
        If scikit-learn is not installed.
    """
    try:
        from sklearn.manifold import TSNE
    except ImportError as error:
        raise MissingExtraError(f"{error}: the map needs the extra: pip install 'offkey[report]'") from None
    array = np.asarray(vectors, dtype=np.float64)
    if array.ndim != 2 or min(array.shape) < 2 or not np.isfinite(array).all():
        raise ArrayError(
            f"vectors: shape {array.shape}; expected at least 2 of at least 2 finite numbers each"
        )
    perplexity = min(30.0, max(1.0, (len(array) - 1) / 3))
    places: NDArray[np.float64] = TSNE(perplexity=perplexity, init="pca", random_state=0).fit_transform(array)
    return places
