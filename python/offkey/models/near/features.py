"""What the statistics path looks at: feature sets of whole clips or of parts of them, from log-Mels."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from offkey.errors import DatasetError
from offkey.recipe import Features
from offkey.signal.statistics import clip_statistics

__all__ = ["FEATURE_SETS", "ClipFeatures", "rhythm_of", "set_size", "varying_features"]

FEATURE_SETS: dict[str, tuple[str, ...]] = {
    "M": ("mean",),
    "A": ("mean", "ldstd"),
    "P": ("p5",),
    "L": ("mean", "lstd", "ldstd"),
    "T": ("rhythm",),
}
"""Name of a feature set -> what it is made of, a block of as many numbers as there are Mel bins each."""

_RATES = 4
_LOWEST_RATE_HZ = 0.4
_MELS_OF_A_BAND = 4
_SMALLEST_POWER = 1e-6


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
        return self.sets(self.blocks(logmels, rhythm="T" in feature_sets), feature_sets)

    def blocks(
        self, logmels: np.ndarray | Sequence[np.ndarray], *, rhythm: bool = True
    ) -> dict[str, np.ndarray]:
        """Return what feature sets are made of, ``(clips, n_mels)`` each."""
        batches = [logmels] if isinstance(logmels, np.ndarray) else [logmel[None] for logmel in logmels]
        parts = [self._of_batch(batch, rhythm=rhythm) for batch in batches]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _of_batch(self, logmels: np.ndarray, *, rhythm: bool) -> dict[str, np.ndarray]:
        blocks = clip_statistics(logmels, num_threads=self._num_threads).arrays()
        if rhythm:
            blocks["rhythm"] = rhythm_of(logmels, frame_rate_hz=self.frame_rate_hz)
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
    if feature_set == "T":
        return _RATES * (n_mels // _MELS_OF_A_BAND)
    return len(FEATURE_SETS[feature_set]) * n_mels


_SMALLEST_DEVIATION = (
    1e-3  # dB, or of a logarithm; below it a bin carries the floor of the logarithm, not a sound
)


def varying_features(features: np.ndarray, *, feature_set: str) -> np.ndarray:
    """Return which of ``(clips, p)`` features vary over clips, ``(p,)`` bool.

    Raises
    ------
    DatasetError
        If none does.
    """
    varying: np.ndarray = features.std(axis=0) >= _SMALLEST_DEVIATION
    if not varying.any():
        raise DatasetError(
            f"feature set {feature_set} ({', '.join(FEATURE_SETS[feature_set])}): no Mel bin varies over the "
            f"{len(features)} training clips; are they all silent, or copies of one clip?"
        )
    return varying


def rhythm_of(logmels: np.ndarray, *, frame_rate_hz: float) -> np.ndarray:
    """Return how strongly bands of log-Mels ``(clips, n_mels, frames)`` rise and fall at each of four rates.

    Returns
    -------
    numpy.ndarray
        ``(clips, 4 * (n_mels // 4))`` float64: the logarithm of the power of the changes, rate by rate, lowest first.
    """
    clips, n_mels, frames = logmels.shape
    bands = n_mels // _MELS_OF_A_BAND
    levels = logmels[:, : bands * _MELS_OF_A_BAND].reshape(clips, bands, _MELS_OF_A_BAND, frames).mean(axis=2)
    levels = (levels - levels.mean(axis=2, keepdims=True)) * np.hanning(frames)
    powers = np.square(np.abs(np.fft.rfft(levels, axis=2))) / frames
    rates_hz = np.fft.rfftfreq(frames, 1 / frame_rate_hz)
    edges_hz = np.geomspace(_LOWEST_RATE_HZ, frame_rate_hz / 2, _RATES + 1)
    columns = []
    for low, high in itertools.pairwise(edges_hz.tolist()):
        lines = np.flatnonzero((rates_hz >= low) & (rates_hz < high))
        if not len(lines):
            lines = np.array([np.abs(rates_hz - np.sqrt(low * high)).argmin()])
        columns.append(np.log(powers[:, :, lines].mean(axis=2) + _SMALLEST_POWER))
    return np.concatenate(columns, axis=1)
