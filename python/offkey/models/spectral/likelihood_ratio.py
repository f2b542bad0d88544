"""The likelihood ratio of "a smooth bump was added to this clip's spectrum" against "this clip is normal".

With the deviation d of a clip from its ID's mean, distributed as N(0, S) among normals and as N(0, S + R)
among anomalies, twice the log ratio is, less a constant, ``d' [S^-1 - (S + R)^-1] d``. R = tau t K says what
an anomaly looks like: neighbouring bins move together. With tau to infinity it is the squared Mahalanobis
distance.
"""

from __future__ import annotations

import dataclasses
from functools import cached_property
from typing import Any, Self

import numpy as np

from offkey import _native
from offkey._util.named_arrays import packed, unpacked
from offkey._util.threads import threads
from offkey.errors import DatasetError
from offkey.models.spectral.feature_sets import FEATURE_SETS, Scale

__all__ = [
    "LikelihoodRatio",
    "Moments",
    "Whitening",
    "Whitenings",
    "log_ratio",
    "prior_covariance",
    "within_ids",
]

_REFERENCE_MELS = 128  # the number of bins that widths are given for
_PRIOR_WIDTHS = np.linspace(0.5, 2.0, 24)
_PRIOR_RIDGE = 1e-3
_LOG_OFFSET = 1e-12
_SMALLEST_VARIANCE = 1e-12  # of the variance over all clips; below it only rounding is left


def prior_covariance(*, n_mels: int, mask: np.ndarray) -> np.ndarray:
    """Return how the bins of an anomalous shift vary together, in units of each bin's deviation.

    Within a block of `n_mels` bins ``K_jk`` is the mean over 24 widths u, linear from 0.5 to 2 bins (scaled
    by ``n_mels / 128``), of ``u exp(-(j - k)^2 / 4 u^2)``, scaled to unit diagonal, plus 1e-3 there: the
    covariance of Gaussian bumps of width u anywhere on the Mel axis. Blocks are independent.

    Parameters
    ----------
    n_mels
        Bins in a block.
    mask
        ``(blocks * n_mels,)`` bool: rows and columns to return.

    Returns
    -------
    numpy.ndarray
        ``(p, p)`` float64, symmetric and positive definite.
    """
    widths = _PRIOR_WIDTHS * (n_mels / _REFERENCE_MELS)
    squared = np.arange(n_mels, dtype=np.float64) ** 2
    profile = np.mean(widths[:, None] * np.exp(-squared / (4 * widths[:, None] ** 2)), axis=0)
    profile /= profile[0]
    profile[0] += _PRIOR_RIDGE
    bins = np.flatnonzero(mask)
    block, mel = np.divmod(bins, n_mels)
    near: np.ndarray = profile[np.abs(mel[:, None] - mel[None, :])]
    return np.where(block[:, None] == block[None, :], near, 0.0)


@dataclasses.dataclass(frozen=True, slots=True)
class Whitening:
    """Coordinates in which a covariance is I and that of anomalies I + diag(gains); made by `of`."""

    axes: np.ndarray
    """``(p, p)``: ``axes' d`` are the coordinates of a deviation d."""
    gains: np.ndarray
    """``(p,)``, at least 0."""

    @classmethod
    def of(cls, covariance: np.ndarray, prior: np.ndarray, *, ridge: float, tau: float) -> Self:
        """Diagonalise both covariances at once.

        S is `covariance` shrunk: ``(1 - ridge) covariance + ridge t I`` with its mean eigenvalue t; anomalies have
        S + tau t K. With S = L L' and ``L^-1 (tau t K) L^-T = V diag(gains) V'``, the axes are ``L^-T V``.

        Parameters
        ----------
        covariance
            ``(p, p)``, symmetric and positive semi-definite, not all zero.
        prior
            ``(p, p)``, K of `prior_covariance`.
        ridge
            In (0, 1].
        tau
            Above 0.
        """
        p = len(covariance)
        mean_eigenvalue = np.trace(covariance) / p
        shrunk = (1 - ridge) * covariance + ridge * mean_eigenvalue * np.eye(p)
        lower = np.linalg.cholesky(shrunk)
        half = np.linalg.solve(lower, tau * mean_eigenvalue * prior)
        whitened = np.linalg.solve(lower, half.T)
        gains, vectors = np.linalg.eigh((whitened + whitened.T) / 2)
        return cls(np.linalg.solve(lower.T, vectors), np.maximum(gains, 0.0))

    @property
    def shares(self) -> np.ndarray:
        """What each squared coordinate adds to the ratio, ``(p,)`` from 0 to 1."""
        shares: np.ndarray = self.gains / (1 + self.gains)
        return shares

    def factor(self) -> np.ndarray:
        """Return W ``(p, p)`` with ``|W' d|^2 = d' [S^-1 - (S + tau t K)^-1] d``, never subtracting inverses."""
        factor: np.ndarray = self.axes * np.sqrt(self.shares)
        return factor


@dataclasses.dataclass(frozen=True, slots=True)
class Whitenings:
    """The whitening of every covariance of a model, and whose it is."""

    by_covariance: tuple[Whitening, ...]
    """First that of the shared covariance."""
    which: np.ndarray
    """``(ids,)`` int64: the covariance of each ID."""
    ridge: float


def log_ratio(ratios: np.ndarray) -> np.ndarray:
    """Return ``ln(ratio + 1e-12)``."""
    logarithms: np.ndarray = np.log(ratios + _LOG_OFFSET)
    return logarithms


@dataclasses.dataclass(frozen=True, slots=True)
class Moments:
    """Means and within-ID covariances of one feature set over some clips: what all candidates share."""

    scale: Scale
    n_mels: int
    means: np.ndarray
    """``(ids, p)``, in units of `scale`; zero where an ID has no clip."""
    shared: np.ndarray
    """``(p, p)`` pooled within-ID covariance, divided by clips less IDs."""
    by_id: dict[int, np.ndarray]
    """Position of an ID -> its ``(p, p)`` covariance, for IDs that have clips enough."""

    @classmethod
    def fit(
        cls,
        features: np.ndarray,
        ids: np.ndarray,
        weights: np.ndarray,
        *,
        feature_set: str,
        n_ids: int,
        own_ids: tuple[int, ...],
    ) -> Self:
        """Estimate from ``(clips, blocks * n_mels)`` features, `ids` (positions) and `weights` above 0.

        Raises
        ------
        DatasetError
            If no feature varies, or none within an ID.
        """
        scale = Scale.fit(features, weights, feature_set=feature_set)
        scaled = scale.apply(features)
        totals = np.bincount(ids, weights=weights, minlength=n_ids)
        means, shared = within_ids(scaled, ids, weights, n_ids=n_ids, feature_set=feature_set)
        by_id = {}
        for i in own_ids:
            deviations = scaled[ids == i]
            covariance = deviations.T @ deviations / max(1.0, totals[i] - 1)
            if np.trace(covariance) >= _SMALLEST_VARIANCE * len(covariance):
                by_id[i] = covariance
        return cls(scale, features.shape[1] // len(FEATURE_SETS[feature_set]), means, shared, by_id)

    @classmethod
    def restored(cls, ratio: LikelihoodRatio, packed: np.ndarray) -> Self:
        """Return the moments of a fitted ratio, whose covariances are what `packed` gave."""
        covariances = unpacked(packed, ratio.means.shape[1])
        by_id = {int(i): covariances[ratio.which[i]] for i in np.flatnonzero(ratio.which)}
        bins = len(ratio.scale.varying) // len(FEATURE_SETS[ratio.scale.feature_set])
        return cls(ratio.scale, bins, ratio.means, covariances[0], by_id)

    def merged(
        self, features: np.ndarray, ids: np.ndarray, weights: np.ndarray, *, weight_of_ids: np.ndarray
    ) -> Self:
        """Return the moments of the clips so far and of further ones, in the same units.

        Sums of weights, of deviations and of their products are added (Chan, Golub and LeVeque 1983).

        Parameters
        ----------
        features
            ``(clips, blocks * n_mels)`` of the further clips.
        ids, weights
            ``(clips,)`` positions of their IDs, and what each counts.
        weight_of_ids
            ``(ids,)`` sums of the weights of the clips so far.
        """
        scaled = self.scale.apply(features)
        means, after = self.means.copy(), weight_of_ids.copy()
        scatter = self.shared * _freedom(weight_of_ids)
        by_id = {i: covariance * max(1.0, weight_of_ids[i] - 1) for i, covariance in self.by_id.items()}
        for i in np.unique(ids).tolist():
            rows = ids == i
            weight = weights[rows].sum()
            centre = weights[rows] @ scaled[rows] / weight
            shift = centre - self.means[i]
            deviations = (scaled[rows] - centre) * np.sqrt(weights[rows])[:, None]
            after[i] += weight
            gained = deviations.T @ deviations
            gained += weight_of_ids[i] * weight / after[i] * np.outer(shift, shift)
            scatter += gained
            if i in by_id:
                by_id[i] = by_id[i] + gained
            means[i] += weight / after[i] * shift
        by_id = {i: sums / max(1.0, after[i] - 1) for i, sums in by_id.items()}
        return dataclasses.replace(self, means=means, shared=scatter / _freedom(after), by_id=by_id)

    def packed(self, *, own: bool) -> np.ndarray:
        """Return the shared covariance, and with `own` those of single IDs, as triangles ``(n, p (p + 1) / 2)``."""
        return packed(np.stack([self.shared, *(self.by_id.values() if own else ())]))

    def whitenings(self, *, own_covariance: bool, ridge: float, tau: float) -> Whitenings:
        """Return the coordinates of these moments' model: IDs with an own covariance use it if asked for."""
        prior = prior_covariance(n_mels=self.n_mels, mask=self.scale.varying)
        covariances = [self.shared]
        which = np.zeros(len(self.means), dtype=np.int64)
        for i, covariance in self.by_id.items() if own_covariance else ():
            which[i] = len(covariances)
            covariances.append(covariance)
        whitenings = (Whitening.of(c, prior, ridge=ridge, tau=tau) for c in covariances)
        return Whitenings(tuple(whitenings), which, ridge)

    def ratio(self, whitenings: Whitenings) -> LikelihoodRatio:
        """Return the model of these moments in the coordinates of their covariances."""
        factors = np.stack([whitening.factor() for whitening in whitenings.by_covariance])
        return LikelihoodRatio(self.scale, self.means, factors, whitenings.which)

    def model(self, *, own_covariance: bool, ridge: float, tau: float) -> LikelihoodRatio:
        """Return the model of these moments: IDs with an own covariance use it if asked for."""
        return self.ratio(self.whitenings(own_covariance=own_covariance, ridge=ridge, tau=tau))


def within_ids(
    scaled: np.ndarray, ids: np.ndarray, weights: np.ndarray, *, n_ids: int, feature_set: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of each ID ``(ids, p)`` and the covariance ``(p, p)`` about them, pooled over IDs.

    Parameters
    ----------
    scaled
        ``(clips, p)`` features in units of their deviation. What is left of them in place are deviations from their
        ID's mean, times the square root of their weights.
    ids, weights
        ``(clips,)`` positions of the clips' IDs, and what each counts, above 0.
    n_ids
        How many IDs there are; the mean of one without clips is zero.
    feature_set
        What an error calls it.

    Raises
    ------
    DatasetError
        If clips differ between IDs only.
    """
    totals = np.bincount(ids, weights=weights, minlength=n_ids)
    means = np.zeros((n_ids, scaled.shape[1]))
    for i in np.flatnonzero(totals).tolist():
        means[i] = weights[ids == i] @ scaled[ids == i] / totals[i]
    scaled -= means[ids]
    scaled *= np.sqrt(weights)[:, None]
    shared: np.ndarray = scaled.T @ scaled / _freedom(totals)
    if np.trace(shared) < _SMALLEST_VARIANCE * len(shared):
        raise DatasetError(
            f"feature set {feature_set}: the {len(scaled)} training clips differ between machine IDs "
            "only, not within any; are they copies of one clip for each ID?"
        )
    return means, shared


def _freedom(weight_of_ids: np.ndarray) -> float:
    """Return by what the scatter within IDs is divided, given the weight of each ID's clips."""
    return max(1.0, float(weight_of_ids.sum()) - np.count_nonzero(weight_of_ids))


@dataclasses.dataclass(frozen=True)
class LikelihoodRatio:
    """The fitted ratio of one feature set for every ID."""

    scale: Scale
    means: np.ndarray
    """``(ids, p)``."""
    factors: np.ndarray
    """``(covariances, p, p)``: `Whitening.factor` of each."""
    which: np.ndarray
    """``(ids,)`` int64: the covariance of each ID."""

    @cached_property
    def _forms(self) -> _native.QuadraticForms:
        return _native.QuadraticForms(self.means, self.factors, self.which)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.scale, self.means, self.factors, self.which)  # the kernel is made again

    def log_scores(self, features: np.ndarray, *, num_threads: int | None = None) -> np.ndarray:
        """Return ``ln(ratio + 1e-12)`` of ``(clips, blocks * n_mels)`` features, ``(clips, ids)``."""
        scores: np.ndarray = self._forms.all(self.scale.apply(features), num_threads=threads(num_threads))
        return log_ratio(scores)

    def log_scores_to(
        self, features: np.ndarray, ids: np.ndarray, *, num_threads: int | None = None
    ) -> np.ndarray:
        """Return the same for each clip's own ID only, ``(clips,)``; `ids` are positions."""
        scores: np.ndarray = self._forms.own(
            self.scale.apply(features), ids, num_threads=threads(num_threads)
        )
        return log_ratio(scores)
