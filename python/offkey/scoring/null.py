"""Null distributions: how odd healthy recordings sound to a detector, and so from where on one sounds wrong.

Scores of normal clips that no model has seen are what a new score is compared with. Were a recording healthy, its score
would be one more draw of the same kind, so that its rank among them tells how often healthy ones sound as odd: its
p-value (conformal; Vovk, Gammerman and Shafer 2005; Bates et al. 2023).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Literal, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from offkey._util.arrays import finite_vector
from offkey.errors import ArrayError, ParameterError
from offkey.scoring._checks import positions, sorted_ids

__all__ = ["Judged", "Kind", "NullDistribution", "NullDistributions", "achieved_rates", "check_rate"]

Kind: TypeAlias = Literal["own", "pooled", "tail"]
"""What a p-value comes from: ranks among the ID's own clips, among those of all IDs, or a tail fitted to the latter."""

_TAIL_SHARE = 0.1
_FEWEST_IN_TAIL = 5  # scores


def check_rate(rate: float) -> float:
    """Return a false-alarm rate if it is one.

    Raises
    ------
    ParameterError
        If it is not a number above 0 and below 1.
    """
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0.0 < rate < 1.0:
        raise ParameterError(f"false_alarm_rate = {rate!r}: expected a number above 0 and below 1, as 0.01")
    return float(rate)


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class NullDistribution:
    """Scores of normal clips that new ones are compared with."""

    kind: Kind
    scores: NDArray[np.float64]
    """``(n,)`` rising."""

    def p_values(self, scores: ArrayLike) -> NDArray[np.float64]:
        """Return how often a healthy recording scores as high.

        Parameters
        ----------
        scores
            ``(m,)`` finite numbers.

        Returns
        -------
        numpy.ndarray
            ``(m,)`` float64 in (0, 1]: (1 + the number of normal clips with at least that score) / (n + 1), which is at
            least 1 / (n + 1). Of kind `tail` it falls on beyond the largest scores (see `NullDistributions`).
        """
        values = np.asarray(scores, dtype=np.float64)
        n = len(self.scores)
        p: NDArray[np.float64] = (1 + n - np.searchsorted(self.scores, values, side="left")) / (n + 1)
        tail = _Tail.of(self.scores) if self.kind == "tail" else None
        return p if tail is None else np.where(values > tail.start, tail.p_values(values), p)

    def threshold(self, rate: float) -> float:
        """Return the score above which p-values are at most `rate`, or at most the smallest rate that there is.

        That is the ceil((n + 1)(1 - rate))-th smallest score, or lies beyond the scores where their kind is `tail`.
        """
        n = len(self.scores)
        above = math.floor((n + 1) * rate * (1 + 1e-12))  # of a rate such as 0.07 the product is a little off
        tail = _Tail.of(self.scores) if self.kind == "tail" else None
        if tail is not None and rate < tail.p_at_start:
            return tail.threshold(rate)
        return float(self.scores[n - max(1, above)])

    @property
    def smallest_rate(self) -> float:
        """The smallest p-value and false-alarm rate that can be had; 0 of a tail, which has none."""
        endless = self.kind == "tail" and _Tail.of(self.scores) is not None
        return 0.0 if endless else 1 / (len(self.scores) + 1)


@dataclasses.dataclass(frozen=True, slots=True)
class _Tail:
    """An exponential tail above one of the largest scores, as far as its k excesses tell what it is.

    A healthy recording lies above the (k + 1)-th largest of n scores with probability (k + 1) / (n + 1). Given k
    exponential excesses of sum S, another one is larger than x with probability ``(1 + x / S) ** -k``: the exact
    predictive distribution, heavier than the exponential one by what k excesses leave open.
    """

    start: float
    p_at_start: float
    excesses: int
    total: float

    @classmethod
    def of(cls, scores: NDArray[np.float64]) -> Self | None:
        """Fit rising scores; None where there are fewer than two, or the largest are all equal."""
        n = len(scores)
        count = min(max(_FEWEST_IN_TAIL, round(_TAIL_SHARE * n)), n - 1)
        if count < 1:
            return None
        start = float(scores[n - 1 - count])
        total = float(np.sum(scores[n - count :] - start))
        return cls(start, (count + 1) / (n + 1), count, total) if total > 0 else None

    def p_values(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        with np.errstate(over="ignore"):  # what is infinitely far out has the smallest p-value
            excess = np.maximum(scores - self.start, 0.0)
            p: NDArray[np.float64] = self.p_at_start * (1 + excess / self.total) ** -float(self.excesses)
        return np.maximum(p, np.finfo(np.float64).tiny)

    def threshold(self, rate: float) -> float:
        beyond = (rate / self.p_at_start) ** (-1 / self.excesses)
        return self.start + self.total * (float(beyond) - 1)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Scores of recordings, compared with those of normal clips."""

    threshold: NDArray[np.float64]
    """``(n,)``."""
    p_value: NDArray[np.float64]
    """``(n,)`` in (0, 1]."""
    decision: NDArray[np.int8]
    """``(n,)``: 1 where the score exceeds the threshold."""
    calibration: tuple[Kind, ...]
    """What each p-value comes from."""
    clips: NDArray[np.int64]
    """``(n,)``: how many normal clips' scores those are."""


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class NullDistributions:
    """The null distribution of each machine ID; made by `fit`.

    Which scores an ID is judged by follows from the false-alarm rate that is asked for. A rank among n scores can be no
    rarer than 1 in n + 1. An ID with ``n + 1 >= 1 / rate`` clips is judged by its `own`; one with fewer by those of
    all IDs together (`pooled`), which are standardised and so much alike; and where these are too few as well, by
    their largest tenth, at least five, extended as an exponential `tail`. Rates of a tail are estimates, ranks are not.
    """

    ids: tuple[str, ...]
    """The machine IDs, sorted."""
    own: tuple[NDArray[np.float64], ...]
    """The scores of each ID's clips, rising."""
    pooled: NDArray[np.float64]
    """Those of all together, rising."""
    nearest: NDArray[np.float64]
    """Rising scores of clips as if their IDs were not known: of each the smallest over IDs, where models tell that.
    Recordings without a known ID are judged by them."""

    @classmethod
    def fit(
        cls,
        scores: ArrayLike,
        ids: Sequence[str],
        *,
        machine_ids: Sequence[str] | None = None,
        as_new: ArrayLike | None = None,
        nearest: ArrayLike | None = None,
    ) -> Self:
        """Keep the scores of normal clips.

        Parameters
        ----------
        scores
            ``(n,)`` finite numbers, standardised for each ID: of clips that no model has seen. Those of training clips
            lie too low, and raise false alarms.
        ids
            The machine ID of each.
        machine_ids
            All IDs; by default those that occur in `ids`.
        as_new
            ``(n,)`` the same scores standardised without the clip itself (`Standardizer.leave_one_out`), for the ranks
            among all IDs: each ID's mean and deviation are a little off, for new clips and not for those that they were
            taken from. Among an ID's own clips the rank is exact without. By default `scores`.
        nearest
            ``(n,)`` the scores of the same clips scored as the ID that each is nearest to; by default `as_new`.

        Raises
        ------
        ArrayError
            If there is no score, a score is not finite, or lengths differ.
        ParameterError
            If an ID is not among `machine_ids`.
        """
        values = finite_vector(scores, "scores", len(ids))
        if not len(values):
            raise ArrayError("scores: none given; expected at least one score of a normal clip")
        names = sorted_ids(ids, machine_ids)
        index = positions(ids, names)
        own = tuple(np.sort(values[index == at]) for at in range(len(names)))
        if as_new is not None and len(names) > 1:
            values = finite_vector(as_new, "as_new", len(ids))
        smallest = values if nearest is None else finite_vector(nearest, "nearest", len(ids))
        return cls(names, own, np.sort(values), np.sort(smallest))

    def of(self, machine_id: str | None, *, rate: float) -> NullDistribution:
        """Return what recordings of an ID are judged by at a false-alarm rate; None and unknown IDs by `nearest`.

        Raises
        ------
        ParameterError
            If the rate is not above 0 and below 1.
        """
        check_rate(rate)
        own = self.own[self.ids.index(machine_id)] if machine_id in self.ids else self.nearest
        if _enough(own, rate):
            return NullDistribution("own" if machine_id in self.ids else "pooled", own)
        pooled = self.pooled if machine_id in self.ids else self.nearest
        return NullDistribution("pooled" if _enough(pooled, rate) else "tail", pooled)

    def thresholds(self, rate: float) -> dict[str | None, float]:
        """Return the threshold of each ID, and under None that of recordings whose ID is not known."""
        return {name: self.of(name, rate=rate).threshold(rate) for name in (*self.ids, None)}

    def judge(
        self, scores: ArrayLike, ids: Sequence[str | None], *, rate: float, windows: ArrayLike = 1
    ) -> Judged:
        """Compare scores of recordings with those of normal clips.

        Parameters
        ----------
        scores
            ``(n,)`` finite numbers, standardised as those of `fit`.
        ids
            The machine ID of each; None or another where it is not known.
        rate
            The share of healthy recordings that may be called anomalous.
        windows
            Of how many clips of the recording the score is the largest, one number or ``(n,)``: of m, its p-value is m
            times that of a single clip, at most 1, and its threshold that of ``rate / m`` (Bonferroni). However alike
            the windows are, at most `rate` of healthy recordings are then called anomalous; the more alike, the fewer.

        Raises
        ------
        ParameterError
            If `rate` is not above 0 and below 1, or `windows` below 1.
        ArrayError
            If lengths differ or a score is not finite.
        """
        values = finite_vector(scores, "scores", len(ids))
        counts = np.broadcast_to(np.asarray(windows, dtype=np.int64), values.shape)
        if (counts < 1).any():
            raise ParameterError(f"windows = {int(counts.min())}: expected at least 1")
        threshold, p_value = np.empty(len(values)), np.empty(len(values))
        clips = np.empty(len(values), dtype=np.int64)
        calibration: list[Kind] = ["own"] * len(values)
        rows: dict[tuple[str | None, int], list[int]] = {}
        for row, (name, count) in enumerate(zip(ids, counts.tolist(), strict=True)):
            rows.setdefault((name if name in self.ids else None, count), []).append(row)
        for (name, count), at in rows.items():
            null = self.of(name, rate=rate / count)
            threshold[at] = null.threshold(rate / count)
            p_value[at] = np.minimum(1.0, count * null.p_values(values[at]))
            clips[at] = len(null.scores)
            for row in at:
                calibration[row] = null.kind
        return Judged(
            threshold=threshold,
            p_value=p_value,
            decision=(values > threshold).astype(np.int8),
            calibration=tuple(calibration),
            clips=clips,
        )

    def notes(self, rate: float, *, windows: int = 1) -> tuple[str, ...]:
        """Say which IDs have too few clips of their own for a rate, and what they are judged by."""
        needed = math.ceil(windows / rate * (1 - 1e-12)) - 1
        of_worst = f" for the worst of {windows} windows" if windows > 1 else ""
        groups: dict[Kind, list[str]] = {}
        for name, own in zip(self.ids, self.own, strict=True):
            kind = self.of(name, rate=rate / windows).kind
            groups.setdefault(kind, []).append(f"{name} ({len(own)})")
        texts = []
        for kind, how in (
            ("pooled", f"by the ranks among the {len(self.pooled)} clips of all IDs"),
            ("tail", f"by an exponential tail of the scores of all {len(self.pooled)} clips: an estimate"),
        ):
            if few := groups.get(kind):
                texts.append(
                    f"false alarms: a rate of {rate:.3g}{of_worst} takes {needed} calibration clips of a machine; "
                    f"ID {', '.join(few)}: {self._stated(how, kind, rate / windows)}"
                )
        return (*texts, *self._spread_notes(rate)) if windows == 1 else tuple(texts)

    def _spread_notes(self, rate: float) -> tuple[str, ...]:
        """Say which IDs are judged by so few clips of their own that the rate may well be twice what was asked for."""
        counts = {name: len(own) for name, own in zip(self.ids, self.own, strict=True) if _enough(own, rate)}
        few = {name: n for name, n in counts.items() if achieved_rates(n, rate)[1] > 2 * rate}
        if not few:
            return ()
        low, high = achieved_rates(min(few.values()), rate)
        listed = ", ".join(f"{name} ({n})" for name, n in few.items())
        return (
            f"false alarms: ID {listed}: too few calibration clips to be sure of a rate of {rate:.3g}, which holds in "
            f"the mean over such sets; with {min(few.values())}, nine sets in ten give {low:.2g} to {high:.2g}",
        )

    def _stated(self, how: str, kind: Kind, rate: float) -> str:
        null = NullDistribution(kind, self.pooled)
        if rate >= null.smallest_rate:
            return how
        return f"the smallest rate that {len(self.pooled)} such clips give is {null.smallest_rate:.2g}, which is used"


def achieved_rates(clips: int, rate: float, *, share: float = 0.9) -> tuple[float, float]:
    """Return between which false-alarm rates a share of calibration sets lies, where `rate` is asked for.

    Given the calibration set, the rate of healthy recordings above its threshold is one number; over sets of n clips
    whose scores have any continuous distribution it is distributed as Beta(k, n + 1 - k), with k the whole part of
    ``(n + 1) rate`` (Vovk 2012).

    Parameters
    ----------
    clips
        Of the calibration set, at least ``1 / rate - 1``.
    rate
        What was asked for.
    share
        In (0, 1); as many sets lie below the interval as above.
    """
    k = max(1, math.floor((clips + 1) * rate * (1 + 1e-12)))
    low, high = (_beta_quantile((1 - sign * share) / 2, k, clips + 1 - k) for sign in (1, -1))
    return low, high


def _beta_quantile(probability: float, a: int, b: int) -> float:
    """Return the quantile of Beta(a, b) with whole a and b by bisection.

    It is below x where of a + b - 1 uniform numbers at least a are.
    """
    n = a + b - 1
    low, high = 0.0, 1.0
    for _ in range(50):
        x = (low + high) / 2
        fewer = sum(
            math.exp(
                math.lgamma(n + 1)
                - math.lgamma(j + 1)
                - math.lgamma(n - j + 1)
                + j * math.log(x)
                + (n - j) * math.log1p(-x)
            )
            for j in range(a)
        )
        low, high = (x, high) if 1 - fewer < probability else (low, x)
    return (low + high) / 2


def _enough(scores: NDArray[np.float64], rate: float) -> bool:
    """Say whether a rank among these scores can be as rare as that."""
    return (len(scores) + 1) * rate * (1 + 1e-12) >= 1
