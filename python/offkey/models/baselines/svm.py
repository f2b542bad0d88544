"""Recipe `svm`: a one-class support vector machine on clip statistics.

B. Schölkopf et al., "Estimating the support of a high-dimensional distribution", 2001. The score is minus the signed
distance to the boundary in the space of the kernel exp(-gamma |x - y|^2). As many numbers as support vectors times
(features + 1), plus the offset.

Left open: the kernel's width and nu, the share of normal clips outside. Here gamma is 1 / features, as scikit-learn's
"scale" is for standardised features, and nu its 0.5.
Fitted by scikit-learn; what is saved are support vectors and their weights, so that no version of it changes a saved
detector.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, Self

import msgspec
import numpy as np
from sklearn.svm import OneClassSVM

from offkey.models.base import register
from offkey.models.baselines.vector_model import Ranker, VectorModel, VectorSection

__all__ = ["Svm", "SvmModel", "SvmRanker"]


class Svm(VectorSection, frozen=True):
    """A one-class support vector machine (docs/baselines.md)."""

    nu: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.5
    """At most this share of the normal clips lies outside, at least this share are support vectors."""


@dataclasses.dataclass(frozen=True, slots=True)
class SvmRanker(Ranker):
    """A fitted boundary."""

    support: np.ndarray
    """``(vectors, dim)`` float64"""
    weights: np.ndarray
    """``(vectors,)`` float64"""
    offset: np.ndarray
    """``(1,)`` float64"""

    @classmethod
    def fit(cls, vectors: np.ndarray, settings: Svm, *, seed: int) -> Self:
        """Fit the boundary (see `Ranker.fit`)."""
        fitted = OneClassSVM(kernel="rbf", gamma=1.0 / vectors.shape[1], nu=settings.nu).fit(vectors)
        return cls(fitted.support_vectors_, fitted.dual_coef_[0], fitted.intercept_)

    def scores(self, vectors: np.ndarray) -> np.ndarray:
        """Return minus the signed distance to the boundary (see `Ranker.scores`)."""
        square = np.square(vectors).sum(axis=1)[:, None] + np.square(self.support).sum(axis=1)
        square = np.maximum(square - 2 * vectors @ self.support.T, 0.0)
        scores: np.ndarray = -(np.exp(-square / vectors.shape[1]) @ self.weights + self.offset)
        return scores

    def fits(self, dim: int) -> bool:
        """Return whether each support vector has a weight (see `Ranker.fits`)."""
        shape = (len(self.weights), dim) if self.weights.ndim == 1 and len(self.weights) else ()
        return self.support.shape == shape and self.offset.shape == (1,)


class SvmModel(VectorModel):
    """The support vector machine as a model of normal sound."""

    section = "svm"
    method = SvmRanker


register("svm", section=Svm, score_names=("a_svm",), inputs="statistics", model=SvmModel)
