"""From clips to augmented log-Mels."""

from __future__ import annotations

from typing import Protocol, TypeVar

import numpy as np

from offkey.augmenter import Augmenter, augment_logmel, logmel_classes
from offkey.errors import ArrayError
from offkey.features import LogMel
from offkey.recipe import Recipe
from offkey.training.data import TrainingClips
from offkey.training.sampling import derived_seed

__all__ = ["AudioSource", "ClipSource", "LogMelSource", "crop", "source_of"]

_CROP = 3  # first part of the key of the crops' random stream


class ClipSource(Protocol):
    """Makes log-Mels of training clips, clean or augmented."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the augmentation classes."""

    def clean(self, indices: np.ndarray) -> list[np.ndarray]:
        """Return whole clips as they are: ``(n_mels, frames)`` float32 each."""

    def augmented(
        self, indices: np.ndarray, occurrences: np.ndarray, *, epoch: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return augmented crops ``(clips, n_mels, frames)`` float32, and their classes ``(clips,)`` int64.

        Each clip's part is a function of (seed, epoch, clip, occurrence) alone.
        """


class AudioSource:
    """Log-Mels from samples: crop, augment, transform."""

    def __init__(
        self, clips: TrainingClips, recipe: Recipe, *, seed: int, num_threads: int | None = None
    ) -> None:
        training, rate = recipe.training, recipe.features.sample_rate
        self._clips = clips
        self._seed = seed
        self._samples = max(1, round(training.clip_seconds * rate))
        self._logmel = LogMel.from_recipe(recipe.features, num_threads=num_threads)
        self._augmenter = Augmenter(training.augmentation, sample_rate=rate, num_threads=num_threads)
        self.classes = self._augmenter.classes

    def clean(self, indices: np.ndarray) -> list[np.ndarray]:
        """Return whole clips as they are (see `ClipSource`)."""
        return _finite(self._logmel.each(self._clips.gather(indices)), indices)

    def augmented(
        self, indices: np.ndarray, occurrences: np.ndarray, *, epoch: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return augmented crops (see `ClipSource`)."""
        crops = np.stack(
            [
                crop(clip, self._samples, seed=derived_seed(self._seed, _CROP, epoch, i, n))
                for clip, i, n in zip(
                    self._clips.gather(indices), indices.tolist(), occurrences.tolist(), strict=True
                )
            ]
        )
        made = self._augmenter(crops, seed=self._seed, epoch=epoch, clips=indices, occurrences=occurrences)
        return _finite(self._logmel(made.samples, masks=made.masks), indices), made.classes


class LogMelSource:
    """Log-Mels that were made elsewhere: crop, mask. Classes that need samples are left out."""

    def __init__(
        self, clips: TrainingClips, recipe: Recipe, *, seed: int, num_threads: int | None = None
    ) -> None:
        self._clips = clips
        self._seed = seed
        self._num_threads = num_threads
        self._augmentation = recipe.training.augmentation
        self._n_mels = recipe.features.n_mels
        longest = (
            round(recipe.training.clip_seconds * recipe.features.sample_rate / recipe.features.hop_length) + 1
        )
        self._frames = min(longest, self.clean(np.zeros(1, dtype=np.int64))[0].shape[1])
        self.classes = logmel_classes(self._augmentation)

    def clean(self, indices: np.ndarray) -> list[np.ndarray]:
        """Return whole clips as they are (see `ClipSource`)."""
        logmels = self._clips.gather(indices)
        for logmel, index in zip(logmels, indices.tolist(), strict=True):
            if logmel.shape[0] != self._n_mels:
                raise ArrayError(
                    f"log-Mel of clip {index}: given shape {logmel.shape}; expected (n_mels, frames) with "
                    f"the recipe's features.n_mels = {self._n_mels}"
                )
        return _finite(logmels, indices)

    def augmented(
        self, indices: np.ndarray, occurrences: np.ndarray, *, epoch: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return masked crops (see `ClipSource`)."""
        crops = np.stack(
            [
                crop(clip, self._frames, seed=derived_seed(self._seed, _CROP, epoch, i, n))
                for clip, i, n in zip(
                    self.clean(indices), indices.tolist(), occurrences.tolist(), strict=True
                )
            ]
        )
        made = augment_logmel(
            crops,
            self._augmentation,
            seed=self._seed,
            epoch=epoch,
            clips=indices,
            occurrences=occurrences,
            num_threads=self._num_threads,
        )
        return made.logmels, made.classes


def source_of(
    clips: TrainingClips, recipe: Recipe, *, seed: int, num_threads: int | None = None
) -> ClipSource:
    """Return the source that fits the kind of the clips."""
    if clips.inputs == "audio":
        return AudioSource(clips, recipe, seed=seed, num_threads=num_threads)
    return LogMelSource(clips, recipe, seed=seed, num_threads=num_threads)


def crop(array: np.ndarray, length: int, *, seed: int) -> np.ndarray:
    """Return a random part of the last axis, `length` long; a shorter array is repeated from its start."""
    size = array.shape[-1]
    if size < length:
        return array[..., np.arange(length) % size]
    start = int(np.random.default_rng(seed).integers(size - length + 1))
    part: np.ndarray = array[..., start : start + length]
    return part


Logmels = TypeVar("Logmels", np.ndarray, list[np.ndarray])


def _finite(logmels: Logmels, indices: np.ndarray) -> Logmels:
    for logmel, index in zip(logmels, indices, strict=True):
        if not np.isfinite(logmel).all():
            raise ArrayError(
                f"clip {int(index)}: its log-Mel has values that are not finite; remove the clip"
            )
    return logmels
