"""Recipe `gmm`: a mixture of Gaussians on clip statistics.

D. Reynolds and R. Rose, "Robust text-independent speaker identification using Gaussian mixture speaker models", 1995;
for machine sounds D. Scott (2004) and Liu et al. (2017), whom the paper names. The score is minus the log-likelihood
for each feature. As many numbers as components times (2 features + 1).

Left open: how many components, which covariances. Here two with variances alone, since an ID has about as many clips
as a vector has values; each variance at least `smallest_variance` of the features', which are standardised.
Fitted by scikit-learn; what is saved are weights, means and variances, so that no version of it changes a saved
detector.
"""

from __future__ import annotations

import dataclasses
import warnings
from typing import Self

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from offkey.models.base import register
from offkey.models.baselines.vector_model import Ranker, VectorModel, VectorSection
from offkey.recipe import Positive, PositiveFloat

__all__ = ["Gmm", "GmmModel", "GmmRanker"]


class Gmm(VectorSection, frozen=True):
    """A mixture of Gaussians (docs/baselines.md)."""

    components: Positive = 2
    """Gaussians; at most a third as many as clips."""
    smallest_variance: PositiveFloat = 0.01
    """Added to each variance; those of the features are 1."""


@dataclasses.dataclass(frozen=True, slots=True)
class GmmRanker(Ranker):
    """A fitted mixture."""

    weights: np.ndarray
    """``(components,)`` float64"""
    means: np.ndarray
    """``(components, dim)`` float64"""
    variances: np.ndarray
    """``(components, dim)`` float64"""

    @classmethod
    def fit(cls, vectors: np.ndarray, settings: Gmm, *, seed: int) -> Self:
        """Fit the mixture by expectation and maximisation (see `Ranker.fit`)."""
        mixture = GaussianMixture(
            min(settings.components, max(1, len(vectors) // 3)),
            covariance_type="diag",
            reg_covar=settings.smallest_variance,
            random_state=seed % 2**32,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the last step is as good as any
            mixture.fit(vectors)
        return cls(mixture.weights_, mixture.means_, mixture.covariances_)

    def scores(self, vectors: np.ndarray) -> np.ndarray:
        """Return minus the log-likelihood for each feature (see `Ranker.scores`)."""
        logs = []
        for weight, mean, variance in zip(self.weights, self.means, self.variances, strict=True):
            square = (np.square(vectors - mean) / variance).sum(axis=1)
            logs.append(np.log(weight) - 0.5 * (np.log(2 * np.pi * variance).sum() + square))
        scores: np.ndarray = -np.logaddexp.reduce(logs, axis=0) / vectors.shape[1]
        return scores

    def fits(self, dim: int) -> bool:
        """Return whether there are means and variances for each component (see `Ranker.fits`)."""
        shape = (len(self.weights), dim) if self.weights.ndim == 1 and len(self.weights) else ()
        same = self.means.shape == shape and self.variances.shape == shape
        return same and bool((self.variances > 0).all() and (self.weights > 0).all())


class GmmModel(VectorModel):
    """The mixture as a model of normal sound."""

    section = "gmm"
    method = GmmRanker


register("gmm", section=Gmm, score_names=("a_gmm",), inputs="statistics", model=GmmModel)
