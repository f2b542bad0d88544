"""Recipe `pca`: how much of a clip's statistics principal components of normal clips leave over.

I. Jolliffe, "Principal component analysis", 2002, section 10.1 (outliers by the last components); M.-L. Shyu et al., "A
novel anomaly detection scheme based on principal component classifier", 2003. The score is the mean square of what is
left of a standardised vector when its part along the first components is taken away. As many numbers as components
times features.

Left open: which components are kept. Here the first that have 95% of the variance together; with fewer clips than
features all others are directions in which no normal clip varies.
Fitted by scikit-learn; what is saved are the components, so that no version of it changes a saved detector.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, Self

import msgspec
import numpy as np
from sklearn.decomposition import PCA

from offkey.models.base import register
from offkey.models.baselines.vector_model import Ranker, VectorModel, VectorSection

__all__ = ["Pca", "PcaModel", "PcaRanker"]


class Pca(VectorSection, frozen=True):
    """The residual of principal components (docs/baselines.md)."""

    variance: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.95
    """What the kept components have of the variance, at least."""


@dataclasses.dataclass(frozen=True, slots=True)
class PcaRanker(Ranker):
    """Fitted components, ``(components, dim)`` float64, orthonormal."""

    components: np.ndarray

    @classmethod
    def fit(cls, vectors: np.ndarray, settings: Pca, *, seed: int) -> Self:
        """Fit the components (see `Ranker.fit`)."""
        fitted = PCA(svd_solver="full").fit(vectors)
        share = np.cumsum(fitted.explained_variance_ratio_)
        kept = min(int(np.searchsorted(share, settings.variance)) + 1, len(share))
        return cls(np.ascontiguousarray(fitted.components_[:kept]))

    def scores(self, vectors: np.ndarray) -> np.ndarray:
        """Return the mean square of the residual (see `Ranker.scores`); the vectors are centred."""
        residual = vectors - (vectors @ self.components.T) @ self.components
        means: np.ndarray = np.square(residual).mean(axis=1)
        return means

    def fits(self, dim: int) -> bool:
        """Return whether the components are of so many features (see `Ranker.fits`)."""
        return self.components.ndim == 2 and self.components.shape[1] == dim and len(self.components) > 0


class PcaModel(VectorModel):
    """The residual of principal components as a model of normal sound."""

    section = "pca"
    method = PcaRanker


register("pca", section=Pca, score_names=("a_pca",), inputs="statistics", model=PcaModel)
