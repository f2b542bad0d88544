"""Decisions over many recordings at once, of which a stated part of those called anomalous may be normal."""

from __future__ import annotations

import dataclasses
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from offkey.errors import ArrayError, ParameterError

__all__ = ["Discoveries", "benjamini_hochberg", "check_rate", "least_findable"]

_ROUNDING = 1 + 1e-12
"""A p-value of 1 / (n + 1) may meet its bound exactly, and must not miss it by rounding."""


def benjamini_hochberg(p_values: ArrayLike, rate: float) -> NDArray[np.int8]:
    """Decide on all tests together so that on average at most a part `rate` of those called is called wrongly.

    Of N p-values the k smallest are called, for the largest k whose k-th smallest is at most ``rate * k / N``
    (Benjamini and Hochberg 1995).

    Parameters
    ----------
    p_values
        ``(n,)`` numbers in [0, 1]; NaN: not tested.
    rate
        The false discovery rate, in (0, 1): the mean over archives of the part of normals among the tests called, which
        counts as 0 where none is called.

    Returns
    -------
    numpy.ndarray
        ``(n,)`` int8: 1 = called, 0 = not, -1 = not tested.

    Raises
    ------
    ArrayError
        If `p_values` are none.
    ParameterError
        If `rate` is outside (0, 1).

    Notes
    -----
    The rate holds where the p-values of normals are independent of each other, and also where they rise and fall
    together (positive regression dependence: Benjamini and Yekutieli 2001), as conformal p-values that share their
    calibration clips do (Bates, Candès, Lei, Romano and Sesia 2023, *Testing for outliers with conformal p-values*,
    theorem 2).

    Examples
    --------
    >>> benjamini_hochberg([0.04, 0.001, 0.9, float("nan"), 0.02], rate=0.1)
    array([ 1,  1,  0, -1,  1], dtype=int8)
    """
    p = _p_values(p_values, "p_values")
    counts = _within(p, check_rate(rate))
    bound = np.sort(p)[counts[-1] - 1] if counts.size else -1.0
    decisions = (p <= bound).astype(np.int8)
    decisions[np.isnan(p)] = -1
    return decisions


def least_findable(smallest_p: ArrayLike, rate: float) -> int | None:
    """Return the least number of tests that `benjamini_hochberg` calls, if it calls any.

    Where all tests have the same smallest p-value s, such as 1 / (n + 1) with n calibration clips, it is
    ``ceil(N * s / rate)``: of 10,000 recordings, with 240 clips and a rate of 0.1, 415 must score above all clips
    before one is called.

    Parameters
    ----------
    smallest_p
        ``(n,)`` numbers in [0, 1]: the smallest p-value that each test can have, however anomalous the recording is;
        NaN: not tested.
    rate
        The false discovery rate, in (0, 1).

    Returns
    -------
    int or None
        From 1 to the number of tests; None where none can be called.

    Raises
    ------
    ArrayError, ParameterError
        As `benjamini_hochberg`.
    """
    counts = _within(_p_values(smallest_p, "smallest_p"), check_rate(rate))
    return int(counts[0]) if counts.size else None


@dataclasses.dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Discoveries:
    """What `benjamini_hochberg` calls among recordings, of which each is one test, however many rows it has."""

    rate: float
    """The false discovery rate."""
    recordings: int
    """How many were tested."""
    called: int
    """How many of them are called anomalous."""
    least_findable: int | None
    """The least number that it could have called; None: none, whatever they sound like."""
    smallest_p: float
    """The smallest p-value that any of them could have; NaN if none was tested."""
    decisions: NDArray[np.int8]
    """``(rows,)``: 1 = called, 0 = not, -1 = not tested."""

    def summary(self) -> str:
        """Return in a line what was found, and what could have been."""
        text = f"{self.called} of {self.recordings} recordings sound wrong at a false discovery rate of {self.rate:g}"
        if self.least_findable == 1 or not self.recordings:
            return text
        least = "none can" if self.least_findable is None else f"no fewer than {self.least_findable} can"
        return f"{text}; {least} be found, since the calibration clips allow no p-value below {self.smallest_p:.2g}"

    @classmethod
    def among(
        cls, p_values: ArrayLike, *, smallest_p: ArrayLike, recordings: NDArray[np.int64], rate: float
    ) -> Self:
        """Decide on recordings of one or more rows.

        Of a recording of m rows, the windows that it was cut into, the p-value is m times the smallest of them
        (Bonferroni). Were each window a test of its own, one faulty recording of an hour would be 360 discoveries, for
        which 40 healthy ones could be called. Of a called recording those rows are called whose own m-fold p-value
        suffices.

        Parameters
        ----------
        p_values
            ``(rows,)`` numbers in [0, 1]; NaN: not tested.
        smallest_p
            ``(rows,)``: the smallest p-value that each can have.
        recordings
            ``(rows,)`` from 0: which recording each is of.
        rate
            In (0, 1).

        Raises
        ------
        ArrayError, ParameterError
            As `benjamini_hochberg`.
        """
        p, smallest = _p_values(p_values, "p_values"), _p_values(smallest_p, "smallest_p")
        tested = ~np.isnan(p)
        rows_of_each = np.bincount(recordings[tested], minlength=recordings.max(initial=-1) + 1)
        factor = np.where(tested, rows_of_each[recordings], np.nan)
        of_rows = np.minimum(1.0, factor * p)
        of_recordings = _smallest_of_each(of_rows, recordings, len(rows_of_each))
        floors = _smallest_of_each(np.minimum(1.0, factor * smallest), recordings, len(rows_of_each))
        called = benjamini_hochberg(of_recordings, rate) == 1
        bound = of_recordings[called].max(initial=-1.0)
        return cls(
            rate=rate,
            recordings=int(np.count_nonzero(rows_of_each)),
            called=int(np.count_nonzero(called)),
            least_findable=least_findable(floors, rate),
            smallest_p=float(np.fmin.reduce(floors, initial=np.nan)),
            decisions=np.where(tested, of_rows <= bound, -1).astype(np.int8),
        )


def check_rate(rate: float) -> float:
    """Return a false discovery rate if it is one.

    Raises
    ------
    ParameterError
        If it is outside (0, 1).
    """
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0.0 < rate < 1.0:
        raise ParameterError(
            f"false_discovery_rate = {rate!r}: expected a number above 0 and below 1, as 0.1"
        )
    return float(rate)


def _within(p: NDArray[np.float64], rate: float) -> NDArray[np.int64]:
    """Return every k for which the k-th smallest of N p-values is at most ``rate * k / N``, rising."""
    tested = np.sort(p[~np.isnan(p)])
    counts = np.arange(1, len(tested) + 1)
    return counts[tested * len(tested) <= rate * counts * _ROUNDING]


def _smallest_of_each(
    p: NDArray[np.float64], recordings: NDArray[np.int64], count: int
) -> NDArray[np.float64]:
    smallest = np.full(count, np.nan)
    np.fmin.at(smallest, recordings, p)
    return smallest


def _p_values(values: ArrayLike, name: str) -> NDArray[np.float64]:
    p = np.asarray(values)
    if p.ndim != 1 or (p.size and p.dtype.kind not in "fiu"):
        raise ArrayError(f"{name}: dtype {p.dtype}, shape {p.shape}; expected p-values of shape (n,)")
    p = p.astype(np.float64)
    bad = np.flatnonzero((p < 0) | (p > 1))
    if bad.size:
        raise ArrayError(f"{name}: {p[bad[0]]:g} at position {bad[0]}; expected numbers from 0 to 1, or NaN")
    return p
