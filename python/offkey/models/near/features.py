"""What the statistics path looks at: feature sets of whole clips or of parts of them, from log-Mels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from offkey.errors import DatasetError
from offkey.models.spectral.feature_sets import FEATURE_SETS, SMALLEST_DEVIATION
from offkey.recipe import Features
from offkey.signal.statistics import RHYTHM_BANDS, RHYTHM_RATES, clip_statistics, rhythm

__all__ = ["FEATURES", "ClipFeatures", "set_size", "varying_features"]

FEATURES = ("M", "A", "P", "L", "T")
"""The feature sets of `spectral` that log-Mels have."""


class ClipFeatures:
    """Makes the feature sets of log-Mels; `frame_rate_hz` is how many frames they have in a second."""

    def __init__(self, features: Features, *, num_threads: int | None = None) -> None:
        self.n_mels = features.n_mels
        self.frame_rate_hz = features.sample_rate / features.hop_length
        self._num_threads = num_threads

    def of(
        self, logmels: np.ndarray | Sequence[np.ndarray], feature_sets: Sequence[str]
    ) -> dict[str, np.ndarray]:
        """Return for each feature set ``(clips, blocks * n_mels)`` float64 of log-Mels ``(n_mels, frames)``."""
        return self.sets(self.blocks(logmels, with_rhythm="T" in feature_sets), feature_sets)

    def blocks(
        self, logmels: np.ndarray | Sequence[np.ndarray], *, with_rhythm: bool = True
    ) -> dict[str, np.ndarray]:
        """Return what feature sets are made of, ``(clips, bins)`` each."""
        batches = [logmels] if isinstance(logmels, np.ndarray) else [logmel[None] for logmel in logmels]
        parts = [self._of_batch(batch, with_rhythm=with_rhythm) for batch in batches]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _of_batch(self, logmels: np.ndarray, *, with_rhythm: bool) -> dict[str, np.ndarray]:
        blocks = clip_statistics(logmels, num_threads=self._num_threads).arrays()
        if with_rhythm:
            blocks["rhythm"] = rhythm(
                logmels, frame_rate_hz=self.frame_rate_hz, num_threads=self._num_threads
            )
        return blocks

    @staticmethod
    def sets(blocks: dict[str, np.ndarray], feature_sets: Sequence[str]) -> dict[str, np.ndarray]:
        """Return the blocks of each feature set side by side."""
        return {
            name: np.concatenate([blocks[block] for block in FEATURE_SETS[name]], axis=1).astype(np.float64)
            for name in feature_sets
        }


def set_size(feature_set: str, *, n_mels: int) -> int:
    """Return how many numbers a feature set has."""
    return RHYTHM_BANDS * RHYTHM_RATES if feature_set == "T" else len(FEATURE_SETS[feature_set]) * n_mels


def varying_features(features: np.ndarray, *, feature_set: str) -> np.ndarray:
    """Return which of ``(clips, p)`` features vary over clips, ``(p,)`` bool.

    Raises
    ------
    DatasetError
        If none does.
    """
    varying: np.ndarray = features.std(axis=0) >= SMALLEST_DEVIATION
    if not varying.any():
        raise DatasetError(
            f"feature set {feature_set} ({', '.join(FEATURE_SETS[feature_set])}): no Mel bin varies over the "
            f"{len(features)} training clips; are they all silent, or copies of one clip?"
        )
    return varying
