"""Recipe `forest`: an isolation forest on clip statistics.

F. T. Liu, K. M. Ting and Z.-H. Zhou, "Isolation forest", 2008. Trees that cut normal clips apart at random; the score
is 2^(-depth / c), where depth is the mean one at which a clip stands alone and c that of a failed search in a binary
tree: 0 to 1, higher where fewer cuts suffice. Five numbers for each node: about 10,000 for 100 trees of 60 clips.

Left open: nothing but the sizes. Here the paper's: 100 trees, each of 256 clips or as many as there are.
Fitted by scikit-learn; what is saved are the nodes, so that no version of it changes a saved detector.
"""

from __future__ import annotations

import dataclasses
from typing import Self

import numpy as np
from sklearn.ensemble import IsolationForest

from offkey.models.base import register
from offkey.models.baselines.vector_model import Ranker, VectorModel, VectorSection
from offkey.recipe import Positive

__all__ = ["Forest", "ForestModel", "ForestRanker"]


class Forest(VectorSection, frozen=True):
    """An isolation forest (docs/baselines.md)."""

    trees: Positive = 100
    clips_of_tree: Positive = 256
    """Or as many as there are."""


@dataclasses.dataclass(frozen=True, slots=True)
class ForestRanker(Ranker):
    """The nodes of all trees, one tree after the other."""

    roots: np.ndarray
    """``(trees,)`` int64: where each begins."""
    left: np.ndarray
    """``(nodes,)`` int64: the next node of vectors at or below the threshold; a leaf has itself."""
    right: np.ndarray
    """``(nodes,)`` int64"""
    feature: np.ndarray
    """``(nodes,)`` int64; 0 of a leaf."""
    threshold: np.ndarray
    """``(nodes,)`` float64"""
    length: np.ndarray
    """``(nodes,)`` float64: of a path that ends there; in a leaf of several clips with what would part them."""
    usual: np.ndarray
    """``(1,)`` float64: the mean length of a failed search among the clips of a tree."""

    @classmethod
    def fit(cls, vectors: np.ndarray, settings: Forest, *, seed: int) -> Self:
        """Fit the trees (see `Ranker.fit`)."""
        per_tree = min(settings.clips_of_tree, len(vectors))
        forest = IsolationForest(
            n_estimators=settings.trees, max_samples=per_tree, random_state=seed % 2**32, n_jobs=1
        ).fit(vectors)
        trees = [estimator.tree_ for estimator in forest.estimators_]
        sizes = np.array([tree.node_count for tree in trees])
        roots = np.cumsum(sizes) - sizes
        own = np.arange(sizes.sum())
        left, right = (
            np.concatenate([getattr(tree, side) + root for tree, root in zip(trees, roots, strict=True)])
            for side in ("children_left", "children_right")
        )
        feature = np.concatenate([tree.feature for tree in trees])
        leaf = feature < 0
        length = np.concatenate([_depths(tree.children_left, tree.children_right) for tree in trees])
        clips = np.concatenate([tree.n_node_samples for tree in trees])
        return cls(
            roots.astype(np.int64),
            np.where(leaf, own, left).astype(np.int64),
            np.where(leaf, own, right).astype(np.int64),
            np.where(leaf, 0, feature).astype(np.int64),
            np.concatenate([tree.threshold for tree in trees]),
            length + np.where(leaf, _failed_search(clips), 0.0),
            _failed_search(np.array([per_tree])),
        )

    def scores(self, vectors: np.ndarray) -> np.ndarray:
        """Return how soon clips stand alone (see `Ranker.scores`)."""
        values = vectors.astype(np.float32)  # as the trees compared them
        nodes = np.broadcast_to(self.roots, (len(values), len(self.roots)))
        rows = np.arange(len(values))[:, None]
        while True:
            below = values[rows, self.feature[nodes]] <= self.threshold[nodes]
            further = np.where(below, self.left[nodes], self.right[nodes])
            if np.array_equal(further, nodes):
                break
            nodes = further
        scores: np.ndarray = np.exp2(-self.length[nodes].mean(axis=1) / self.usual)
        return scores

    def fits(self, dim: int) -> bool:
        """Return whether every path goes on to a node that stands later, or stays (see `Ranker.fits`)."""
        nodes = self.left.shape
        if self.left.ndim != 1 or not len(self.left) or not len(self.roots) or self.usual.shape != (1,):
            return False
        columns = (self.right, self.feature, self.threshold, self.length)
        if self.roots.ndim != 1 or any(column.shape != nodes for column in columns) or self.usual[0] <= 0:
            return False
        integers = (self.roots, self.left, self.right, self.feature)
        if any(column.dtype != np.int64 for column in integers):
            return False
        own = np.arange(nodes[0])
        later = all(((side >= own) & (side < nodes[0])).all() for side in (self.left, self.right))
        ends = ((self.roots >= 0) & (self.roots < nodes[0])).all()
        return bool(later and ends and ((self.feature >= 0) & (self.feature < dim)).all())


def _depths(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return the depth ``(nodes,)`` of each node of a tree, whose children stand after it."""
    depths = np.zeros(len(left))
    for node in np.flatnonzero(left >= 0).tolist():
        depths[[left[node], right[node]]] = depths[node] + 1
    return depths


def _failed_search(clips: np.ndarray) -> np.ndarray:
    """Return the mean depth of a failed search in a binary tree of so many clips (Liu et al. 2008, equation 1)."""
    several = np.maximum(clips, 2).astype(np.float64)
    mean = 2.0 * (np.log(several - 1.0) + np.euler_gamma) - 2.0 * (several - 1.0) / several
    return np.where(clips > 2, mean, np.where(clips == 2, 1.0, 0.0))


class ForestModel(VectorModel):
    """The isolation forest as a model of normal sound."""

    section = "forest"
    method = ForestRanker


register("forest", section=Forest, score_names=("a_forest",), inputs="statistics", model=ForestModel)
