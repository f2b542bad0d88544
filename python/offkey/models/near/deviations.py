"""Deviations of a clip's features from its ID's mean, in coordinates whose squared length is the likelihood ratio."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np

from offkey.errors import DetectorFileError
from offkey.models.near.features import set_size
from offkey.models.spectral.feature_sets import SMALLEST_DEVIATION
from offkey.models.spectral.likelihood_ratio import Whitening, prior_covariance, within_ids

__all__ = ["DeviationSets", "Deviations"]


@dataclasses.dataclass(frozen=True, slots=True)
class Deviations:
    """Takes features to ``(f - mean of the ID) W``; the squared length is the ratio of `spectral`, divided by p."""

    means: np.ndarray
    """``(ids, p)`` float64; NaN for an ID without clips."""
    root: np.ndarray
    """``(p, p)`` float32: W."""

    @classmethod
    def fit(
        cls,
        features: np.ndarray,
        ids: np.ndarray,
        weights: np.ndarray,
        *,
        feature_set: str,
        n_ids: int,
        varying: np.ndarray,
        n_mels: int,
        ridge: float,
        tau: float,
    ) -> Self:
        """Estimate from ``(clips, p)`` features, which are those that are `varying`.

        Parameters
        ----------
        features
            Of normal clips.
        ids, weights
            ``(clips,)`` positions of their IDs, and what each counts, above 0.
        feature_set
            What an error calls it.
        n_ids
            How many IDs there are.
        varying
            ``(blocks * n_mels,)`` bool, of which p are True.
        n_mels
            Numbers in a block.
        ridge, tau
            As in `spectral`.

        Raises
        ------
        DatasetError
            If the clips differ between IDs only.
        """
        center = weights @ features / weights.sum()
        unit = np.sqrt(weights @ np.square(features - center) / weights.sum())
        unit = np.maximum(unit, SMALLEST_DEVIATION)
        means, covariance = within_ids(features / unit, ids, weights, n_ids=n_ids, feature_set=feature_set)
        means *= unit
        means[np.bincount(ids, minlength=n_ids) == 0] = np.nan
        prior = prior_covariance(n_mels=n_mels, mask=varying)
        factor = Whitening.of(covariance, prior, ridge=ridge, tau=tau).factor()
        values, vectors = np.linalg.eigh(factor @ factor.T)
        root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
        return cls(means, (root / unit[:, None] / np.sqrt(len(unit))).astype(np.float32))

    def own(self, features: np.ndarray, ids: np.ndarray) -> np.ndarray:
        """Return the deviations of ``(clips, p)`` features from the means of the clips' IDs, ``(clips, p)`` float32."""
        deviations: np.ndarray = (features - self.means[ids]).astype(np.float32) @ self.root
        return deviations

    def all(self, features: np.ndarray) -> np.ndarray:
        """Return the deviations from every ID's mean, ``(clips, ids, p)`` float32."""
        deviations: np.ndarray = (features[:, None] - self.means).astype(np.float32) @ self.root
        return deviations


@dataclasses.dataclass(frozen=True, slots=True)
class DeviationSets:
    """The deviations of several feature sets, side by side."""

    sets: dict[str, Deviations]
    varying: dict[str, np.ndarray]
    """Of each feature set which features are used, ``(blocks * n_mels,)`` bool."""

    @property
    def sizes(self) -> list[int]:
        """How many numbers each feature set has."""
        return [len(deviations.root) for deviations in self.sets.values()]

    @property
    def known(self) -> np.ndarray:
        """Return which IDs have a mean, ``(ids,)`` bool."""
        known: np.ndarray = ~np.isnan(next(iter(self.sets.values())).means[:, 0])
        return known

    def own(self, features: dict[str, np.ndarray], ids: np.ndarray) -> np.ndarray:
        """Return the deviations from the means of the clips' IDs, ``(clips, sum of sizes)`` float32."""
        parts = [d.own(features[name][:, self.varying[name]], ids) for name, d in self.sets.items()]
        return np.concatenate(parts, axis=1)

    def all(self, features: dict[str, np.ndarray]) -> np.ndarray:
        """Return the deviations from every ID's mean, ``(clips, ids, sum of sizes)`` float32; NaN without a mean."""
        parts = [d.all(features[name][:, self.varying[name]]) for name, d in self.sets.items()]
        return np.concatenate(parts, axis=2)

    def state(self) -> dict[str, np.ndarray]:
        """Return arrays: all that `from_state` needs."""
        arrays = {f"{name}.varying": mask for name, mask in self.varying.items()}
        for name, deviations in self.sets.items():
            arrays |= {f"{name}.means": deviations.means, f"{name}.root": deviations.root}
        return arrays

    @classmethod
    def from_state(
        cls, arrays: Mapping[str, np.ndarray], feature_sets: Sequence[str], *, n_ids: int, n_mels: int
    ) -> Self:
        """Restore what `state` gave.

        Raises
        ------
        DetectorFileError
            If arrays do not fit each other.
        KeyError
            If one is missing.
        """
        sets, varying = {}, {}
        for name in feature_sets:
            mask, means, root = (arrays[f"{name}.{part}"] for part in ("varying", "means", "root"))
            p = int(np.count_nonzero(mask))
            fits = mask.dtype == np.bool_ and mask.shape == (set_size(name, n_mels=n_mels),)
            if not fits or means.shape != (n_ids, p) or root.shape != (p, p) or root.dtype != np.float32:
                raise DetectorFileError(
                    f"near, feature set {name}: mask, means and root of shapes {mask.shape}, {means.shape}, "
                    f"{root.shape} do not fit each other, {n_ids} IDs and {n_mels} Mel bins"
                )
            if np.isinf(means).any() or not np.isfinite(root).all():
                raise DetectorFileError(f"near, feature set {name}: values that are not finite")
            sets[name], varying[name] = Deviations(means, root), mask
        return cls(sets, varying)
