"""Bets on small p-values that are fair, or worse, for nearly every calibration set.

Given the calibration set of n clips, the conformal p-value of a healthy recording takes the level k / (n + 1) with
probability D_k, and is not uniform: over calibration sets (D_1, ..., D_(n+1)) is uniform on the simplex, Dirichlet(1,
..., 1), whatever the scores' distribution (Vovk 2012; Bates et al. 2023). A bet that pays f_k at level k therefore pays
sum_k D_k f_k on average, and is divided by the upper quantile of that sum, which is found exactly.
"""

from __future__ import annotations

import cmath
import dataclasses
import functools
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = ["POWERS", "Bets", "bets_on", "upper_quantile"]

POWERS = (0.25, 0.5, 1.0, 2.0)
"""A bet pays p ** -power for each: small powers win on faults that are slight, large ones on faults that are plain."""

_SINGLE_LEVELS = 16
_BLOCKS = 64
_LOG_DISTANCES = np.linspace(-18.0, 6.0, 160)
_DIRECTION = cmath.exp(1j * math.pi / 3)
_HALVINGS = 40


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Bets:
    """What each bet pays for a stake of 1, by the p-value's level among n + 1."""

    clips: int
    starts: NDArray[np.int64]
    """``(blocks,)``: the level that each block of levels begins with; the first is 1."""
    payoffs: NDArray[np.float64]
    """``(bets, blocks)``, above 0, falling along the blocks."""

    def paid(self, p_values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what each bet pays.

        Parameters
        ----------
        p_values
            ``(recordings,)`` in (0, 1]. Between levels the next higher one counts, and below all of them the first.

        Returns
        -------
        numpy.ndarray
            ``(bets, recordings)`` float64.
        """
        levels = np.ceil(
            p_values * (self.clips + 1) - 1e-6
        )  # a multiple of 1 / (n + 1) is itself, but for rounding
        blocks = np.searchsorted(self.starts, np.maximum(levels, 1), side="right") - 1
        paid: NDArray[np.float64] = self.payoffs[:, blocks]
        return paid


@functools.lru_cache(maxsize=64)
def bets_on(clips: int, delta: float) -> Bets:
    """Return the bets for p-values from a number of calibration clips.

    Parameters
    ----------
    clips
        At least 1.
    delta
        In (0, 1): for at least a part 1 - delta of calibration sets, no bet pays more than its stake on average while
        the machine is healthy.
    """
    levels = np.geomspace(1, clips + 2, _BLOCKS).round().astype(np.int64)
    starts = np.unique(np.concatenate([np.arange(1, _SINGLE_LEVELS + 1), levels]))
    starts = starts[starts <= clips + 1]
    sizes = np.diff(starts, append=clips + 2).astype(np.float64)
    p_values = (starts + (sizes - 1) / 2) / (clips + 1)
    shapes = [p_values**-power for power in POWERS]
    payoffs = [shape / upper_quantile(shape, sizes, delta / len(POWERS)) for shape in shapes]
    return Bets(clips, starts, np.array(payoffs))


def upper_quantile(values: NDArray[np.float64], sizes: NDArray[np.float64], probability: float) -> float:
    """Return what a mean with random weights exceeds with this probability at most; never less than its expectation.

    Parameters
    ----------
    values
        ``(blocks,)``, at least 0, not all equal.
    sizes
        ``(blocks,)``, above 0: the weights of the values are Dirichlet with these parameters.
    probability
        In (0, 1).
    """
    mean, most = float(values @ sizes / np.sum(sizes)), float(values.max())
    return math.exp(
        _root(
            lambda logarithm: probability - _exceeds(values - math.exp(logarithm), sizes),
            math.log(mean),
            math.log(most),
        )
    )


def _exceeds(values: NDArray[np.float64], sizes: NDArray[np.float64]) -> float:
    """Return the probability that a sum of gamma variables of these shapes, times these values, is above 0.

    Dirichlet weights are such gamma variables over their sum. The sum's moment-generating function is known, and is
    integrated from its saddle point outwards (Rice 1980), turned to the right, where it falls fastest, by the trapezoid
    rule over the logarithm of the distance.

    Parameters
    ----------
    values
        ``(blocks,)``, some above 0, with a sum below 0 when weighted by the shapes.
    sizes
        ``(blocks,)``, above 0.
    """
    values = values / math.sqrt(float(sizes @ values**2))
    tilt = _root(lambda at: float(sizes @ (values / (1 - at * values))), 0.0, 1 / float(values.max()))
    tilted = values / (1 - tilt * values)
    distances = np.exp(_LOG_DISTANCES) / math.sqrt(float(sizes @ tilted**2))
    logarithm = -np.log(1 - distances[:, None] * _DIRECTION * tilted) @ sizes
    integrand = (np.exp(logarithm) * _DIRECTION / (tilt + distances * _DIRECTION)).imag * distances
    area = float(np.sum(integrand)) * float(_LOG_DISTANCES[1] - _LOG_DISTANCES[0])
    return math.exp(-float(sizes @ np.log1p(-tilt * values))) * area / math.pi


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    """Return where a rising function passes 0 between two places, or just beyond."""
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if function(middle) < 0:
            low = middle
        else:
            high = middle
    return high
