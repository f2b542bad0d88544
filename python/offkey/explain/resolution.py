"""How finely a map can say where: amounts are spread over the cells that the model cannot tell apart."""

from __future__ import annotations

import math

import numpy as np

from offkey.recipe import Features

__all__ = ["resolved"]

_BUMP_BINS = 1.25  # mean width of the bumps that `spectral` takes anomalies for, in bins of 128
_REFERENCE_MELS = 128
_REACH = 3  # deviations of a bump, beyond which it is nothing


def resolved(values: np.ndarray, features: Features) -> np.ndarray:
    """Return a map in the resolution of what it was made of, ``(n_mels, frames)``; its sum stays.

    An anomaly is a bump over a few Mel bins, for `spectral` of 0.5 to 2 of 128 on average 1.25 wide: bins are spread by
    a Gaussian of this deviation. Frames overlap: each is spread over others by the part of its samples that they have.
    What would lie beyond an edge is reflected there.

    Parameters
    ----------
    values
        What each cell adds.
    features
        Of the log-Mel.
    """
    deviation = _BUMP_BINS * len(values) / _REFERENCE_MELS
    places = np.arange(-math.ceil(_REACH * deviation), math.ceil(_REACH * deviation) + 1)
    over_bins = _spread(values, np.exp(-np.square(places / deviation) / 2))
    window = features.win_length or features.n_fft
    reach = math.ceil(window / features.hop_length) - 1
    parts = 1 - np.abs(np.arange(-reach, reach + 1)) * features.hop_length / window
    return _spread(over_bins.T, parts).T


def _spread(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Spread each row over its neighbours by weights, an odd number of them and the same on both sides."""
    reach, count = len(weights) // 2, len(values)
    padded = np.pad(values, ((reach, reach), (0, 0)), mode="symmetric")
    spread = np.zeros(values.shape)
    for first, weight in enumerate(weights / weights.sum()):
        spread += weight * padded[first : first + count]
    return spread
