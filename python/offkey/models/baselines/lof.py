"""Recipe `lof`: the local outlier factor on clip statistics.

M. Breunig et al., "LOF: identifying density-based local outliers", 2000. The score is how much less dense normal clips
lie around a clip than around its neighbours. As many numbers as normal clips times features.

Left open: how many neighbours count. Here 20, scikit-learn's, or as many as there are.
Computed by scikit-learn, which is fitted again to the saved vectors when a detector is loaded: nothing in it is
random, and the definition has no variants.
"""

from __future__ import annotations

import dataclasses
from typing import Self

import numpy as np
from sklearn.neighbors import LocalOutlierFactor

from offkey.models.base import register
from offkey.models.baselines.vector_model import Ranker, VectorModel, VectorSection
from offkey.recipe import Positive

__all__ = ["Lof", "LofModel", "LofRanker"]


class Lof(VectorSection, frozen=True):
    """The local outlier factor (docs/baselines.md)."""

    neighbours: Positive = 20


@dataclasses.dataclass(frozen=True, slots=True)
class LofRanker(Ranker):
    """Normal clips."""

    vectors: np.ndarray
    """``(clips, dim)`` float64"""
    neighbours: np.ndarray
    """``(1,)`` int64"""

    @classmethod
    def fit(cls, vectors: np.ndarray, settings: Lof, *, seed: int) -> Self:
        """Keep the clips (see `Ranker.fit`)."""
        return cls(vectors, np.array([min(settings.neighbours, len(vectors) - 1)]))

    def scores(self, vectors: np.ndarray) -> np.ndarray:
        """Return the local outlier factors (see `Ranker.scores`)."""
        fitted = LocalOutlierFactor(n_neighbors=int(self.neighbours[0]), novelty=True).fit(self.vectors)
        scores: np.ndarray = -fitted.score_samples(vectors)
        return scores

    def fits(self, dim: int) -> bool:
        """Return whether there are more clips than neighbours (see `Ranker.fits`)."""
        if self.neighbours.shape != (1,) or self.neighbours.dtype.kind != "i" or self.vectors.ndim != 2:
            return False
        return self.vectors.shape[1] == dim and 1 <= int(self.neighbours[0]) < len(self.vectors)


class LofModel(VectorModel):
    """The local outlier factor as a model of normal sound."""

    section = "lof"
    method = LofRanker


register("lof", section=Lof, score_names=("a_lof",), inputs="statistics", model=LofModel)
