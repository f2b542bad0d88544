"""One vector for each clip: its mean spectrum, or what an encoder makes of it, pooled over time."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np

from offkey.datasets.training import TrainingClips
from offkey.errors import ArrayError, RecipeError
from offkey.models.encoders import Encoder
from offkey.models.spectral.feature_sets import StatisticsTable
from offkey.recipe import Features
from offkey.signal.logmel import LogMel
from offkey.signal.statistics import ClipStatistics

__all__ = ["ClipVectors"]

_CLIPS = 64  # that are in memory at once


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ClipVectors:
    """From clips to vectors.

    Raises
    ------
    RecipeError
        If there are more bands than Mel bins, or the encoder hears another rate.
    """

    features: Features
    pooling: Literal["mean", "mean_deviation"]
    bands: int
    encoder: Encoder | None
    """None: the log-Mel itself, whose frames are pooled."""
    encoder_input: Literal["samples", "logmels"]

    def __post_init__(self) -> None:
        if self.encoder is None:
            if self.bands > self.features.n_mels:
                raise RecipeError(
                    f"knn.bands = {self.bands}; expected at most as many as Mel bins, {self.features.n_mels}"
                )
            return
        rate = self.encoder.sample_rate
        if rate is not None and rate != self.features.sample_rate:
            raise RecipeError(
                f"encoder {self.encoder.name!r} hears {rate} Hz, but features.sample_rate is "
                f"{self.features.sample_rate}: set it to {rate}"
            )

    def of(self, inputs: Any, *, num_threads: int | None) -> np.ndarray:
        """Return vectors ``(clips, dim)`` float32 of what a model's `scores` is given.

        Raises
        ------
        ArrayError
            If there is no clip, one has values that are not finite, or the encoder gives no vector of it.
        """
        if self.encoder is None:
            return self._of_statistics(inputs)
        if not len(inputs):
            raise ArrayError("clips: given none; expected at least one")
        names = [f"clip {position}" for position in range(len(inputs))]
        return self._encoded(self.encoder, inputs, names, num_threads)

    def of_training(self, clips: TrainingClips, *, num_threads: int | None) -> np.ndarray:
        """Return those of training clips; an encoder is given some of them at a time.

        Raises
        ------
        ArrayError
            As `of`.
        """
        if self.encoder is None:
            return self._of_statistics(clips.statistics())
        names = list(clips.paths) or [f"clips[{i}]" for i in range(len(clips.clips))]
        logmel = LogMel.from_recipe(self.features, num_threads=num_threads)
        parts: list[np.ndarray] = []
        for rows in _parts(len(clips.clips)):
            arrays = clips.gather(rows)
            if clips.inputs == "audio" and self.encoder_input == "logmels":
                arrays = logmel.each(arrays)
            part = self._encoded(self.encoder, arrays, names[rows[0] : rows[-1] + 1], num_threads)
            if parts:
                self.check(part, dim=parts[0].shape[1])
            parts.append(part)
        return np.concatenate(parts)

    def of_noise(self, encoder: Encoder) -> np.ndarray:
        """Return the vector ``(dim,)`` float32 of 4 s of white noise, always the same: what tells an encoder apart."""
        samples = np.random.default_rng(0).normal(0, 0.1, 4 * self.features.sample_rate).astype(np.float32)
        arrays = [samples]
        if self.encoder_input == "logmels":
            arrays = LogMel.from_recipe(self.features).each(arrays)
        vector: np.ndarray = self._encoded(encoder, arrays, ["4 s of noise"], 1)[0]
        return vector

    def check(self, vectors: np.ndarray, *, dim: int) -> None:
        """Refuse vectors of another length.

        Raises
        ------
        ArrayError
            If they have one.
        """
        if vectors.shape[1] != dim:
            giver = "" if self.encoder is None else f"encoder {self.encoder.name!r} gives "
            raise ArrayError(
                f"clips: {giver}{vectors.shape[1]} values each; expected {dim}, as of the training clips"
            )

    def columns(self, dim: int) -> list[np.ndarray]:
        """Return which values of a vector each band has: of means and of deviations those at its place."""
        blocks = np.arange(dim).reshape(2 if self.pooling == "mean_deviation" else 1, -1)
        return [part.ravel() for part in np.array_split(blocks, self.bands, axis=1)]

    def _of_statistics(self, statistics: ClipStatistics) -> np.ndarray:
        if not len(statistics.mean):
            raise ArrayError("clips: given none; expected at least one")
        columns = StatisticsTable.checked(statistics).columns
        parts = [columns["mean"]]
        if self.pooling == "mean_deviation":
            parts.append(np.exp(columns["lstd"]) - 1e-3)
        return np.concatenate(parts, axis=1).astype(np.float32)

    def _encoded(
        self, encoder: Encoder, arrays: Sequence[np.ndarray], names: Sequence[str], num_threads: int | None
    ) -> np.ndarray:
        outputs = encoder.vectors(arrays, names=names, num_threads=num_threads)
        pooled = [self._pooled(*given, encoder) for given in zip(outputs, names, strict=True)]
        for vector, name in zip(pooled, names, strict=True):
            if len(vector) != len(pooled[0]):
                raise ArrayError(
                    f"{name}: encoder {encoder.name!r} gives {len(vector)} values; expected {len(pooled[0])}, as of "
                    f"{names[0]}"
                )
        return np.stack(pooled).astype(np.float32)

    def _pooled(self, output: np.ndarray, name: str, encoder: Encoder) -> np.ndarray:
        """Return the vector ``(dim,)`` of an encoder's output: band after band, means before deviations."""
        given = output.shape[1] if output.ndim == 3 else None
        if self.bands > 1 and given != self.bands:
            raise ArrayError(
                f"{name}: knn.bands = {self.bands}, but encoder {encoder.name!r} gives an array of shape "
                f"{output.shape}; expected (times, {self.bands}, dim)"
            )
        over_time = output[None] if output.ndim == 1 else output
        parts = [over_time.mean(axis=0).ravel()]
        if self.pooling == "mean_deviation":
            parts.append(over_time.std(axis=0).ravel())
        return np.concatenate(parts)


def _parts(count: int) -> Iterator[np.ndarray]:
    return (np.arange(first, min(first + _CLIPS, count)) for first in range(0, count, _CLIPS))
