"""From recordings or log-Mel arrays to what the models take, in chunks that fit in memory.

Both kinds of source offer the same two views: clip statistics, for the closed-form model, and log-Mels or samples,
for the network.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from offkey.audio import read_batch
from offkey.datasets import Clips, Dataset, LogMelArrays
from offkey.errors import ArrayError, DatasetError
from offkey.features import ClipStatistics, LogMel, clip_statistics
from offkey.recipe import Features, Recipe

__all__ = [
    "ArrayTraining",
    "AudioTraining",
    "Chunk",
    "Training",
    "chunks_of_arrays",
    "chunks_of_files",
    "training",
]

_CHUNK = 64  # clips decoded at a time: 40 MB of 10 s clips at 16 kHz

Progress = Callable[[int, int], None]


class Training(Protocol):
    """Normal training clips of the target type, and of others."""

    machine_ids: tuple[str, ...]
    groups: tuple[str, ...]
    notes: tuple[str, ...]

    def statistics(self) -> ClipStatistics:
        """Clip statistics of the target type's clips."""

    def network_clips(self) -> dict[str, Any]:
        """Return the arguments of `offkey.training.data.TrainingClips`."""


# ---------------------------------------------------------------------------------------------- training


def training(recipe: Recipe, data: Dataset | LogMelArrays, *, num_threads: int | None = None) -> Training:
    """Return the training clips of a dataset, those left out that cannot be read.

    Raises
    ------
    DatasetError
        If there is no normal training clip of the target type, or none that can be read.
    """
    if isinstance(data, LogMelArrays):
        return ArrayTraining(recipe.features, data)
    return AudioTraining(recipe.features, data, num_threads=num_threads)


class AudioTraining:
    """Recordings, decoded when they are needed: a set of any size fits in memory."""

    def __init__(self, features: Features, data: Dataset, *, num_threads: int | None) -> None:
        self._features = features
        self._num_threads = num_threads
        own, self._statistics, own_notes = self._readable(data.train, f"training clips of {data.machine}")
        others, _, other_notes = self._readable(data.others, "clips of other types")
        if not own:
            raise DatasetError(
                f"machine type {data.machine!r}: none of its {len(data.train)} normal training clips can be read; "
                + "; ".join(own_notes)
            )
        self._own, self._others = own, others
        self.machine_ids = tuple(c.machine_id or "?" for c in own)
        self.groups = tuple(own.groups)
        self.notes = (*own_notes, *other_notes)

    def statistics(self) -> ClipStatistics:
        """Clip statistics ``(clips, n_mels)`` of the target type's clips."""
        return self._statistics

    def network_clips(self) -> dict[str, Any]:
        """Return the arguments of `offkey.training.data.TrainingClips`."""
        return {
            "inputs": "audio",
            "clips": _Decoded(self._own.paths, self._features),
            "machine_ids": self.machine_ids,
            "groups": self.groups,
            "others": _Decoded(self._others.paths, self._features),
            "other_types": tuple(c.machine_type for c in self._others),
            "other_groups": tuple(self._others.groups),
        }

    def _readable(self, clips: Clips, what: str) -> tuple[Clips, ClipStatistics, tuple[str, ...]]:
        logmel = LogMel.from_recipe(self._features, num_threads=self._num_threads)
        statistics, errors = logmel.statistics_from_files(
            clips.paths, channel=self._features.channel, on_error="collect"
        )
        kept = [i for i in range(len(clips)) if i not in errors]
        notes = tuple(f"left out of the {what}: {error}" for error in errors.values())
        return clips.take(kept), ClipStatistics(*(part[kept] for part in statistics)), notes


class ArrayTraining:
    """Log-Mel arrays made elsewhere."""

    notes: tuple[str, ...] = ()

    def __init__(self, features: Features, data: LogMelArrays) -> None:
        _check_mels(features, data)
        self._data = data
        self.machine_ids, self.groups = data.machine_ids, data.groups

    def statistics(self) -> ClipStatistics:
        """Clip statistics ``(clips, n_mels)``."""
        return clip_statistics(self._data.logmels)

    def network_clips(self) -> dict[str, Any]:
        """Return the arguments of `offkey.training.data.TrainingClips`."""
        others = self._data.others
        return {
            "inputs": "logmel",
            "clips": self._data.logmels,
            "machine_ids": self.machine_ids,
            "groups": self.groups,
            "others": others.logmels if others else (),
            "other_types": others.machine_ids if others else (),
            "other_groups": others.groups if others else (),
        }


class _Decoded(Sequence[np.ndarray]):
    """Recordings as a sequence that decodes on access; decoding is far faster than a training step."""

    def __init__(self, paths: Sequence[Path], features: Features) -> None:
        self._paths = paths
        self._features = features

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> np.ndarray:  # type: ignore[override]  # no slices
        batch = read_batch(
            [self._paths[index]],
            sample_rate=self._features.sample_rate,
            channel=self._features.channel,
            num_threads=1,
        )
        return batch[0]


# ----------------------------------------------------------------------------------------------- scoring


@dataclasses.dataclass(frozen=True, kw_only=True)
class Chunk:
    """Some clips to be scored, with each feature computed once and only when a model asks for it."""

    positions: np.ndarray
    """Where these clips stand among all that are scored, ``(clips,)``; those that could not be read are missing."""
    errors: dict[int, Exception]
    """Position -> why the clip could not be read."""
    make_logmels: Callable[[], Sequence[np.ndarray]]
    make_statistics: Callable[[], ClipStatistics]

    @functools.cached_property
    def logmels(self) -> Sequence[np.ndarray]:
        """Log-Mels ``(n_mels, frames)`` of the clips."""
        return self.make_logmels()

    @functools.cached_property
    def statistics(self) -> ClipStatistics:
        """Clip statistics ``(clips, n_mels)``."""
        return self.make_statistics()


def chunks_of_files(
    features: Features, paths: Sequence[Path], *, num_threads: int | None, on_progress: Progress | None
) -> Iterator[Chunk]:
    """Decode files chunk by chunk; what cannot be read is reported in the chunk, the rest goes on."""
    logmel = LogMel.from_recipe(features, num_threads=num_threads)
    for start in range(0, len(paths), _CHUNK):
        part = paths[start : start + _CHUNK]
        batch = read_batch(
            part,
            sample_rate=features.sample_rate,
            channel=features.channel,
            on_error="collect",
            num_threads=num_threads,
        )
        kept = [i for i in range(len(part)) if i not in batch.errors]
        samples = [batch[i] for i in kept]
        yield Chunk(
            positions=start + np.array(kept, dtype=np.int64),
            errors={start + i: error for i, error in batch.errors.items()},
            make_logmels=functools.partial(logmel.each, samples),
            make_statistics=functools.partial(logmel.statistics, samples),
        )
        if on_progress:
            on_progress(min(start + _CHUNK, len(paths)), len(paths))


def chunks_of_arrays(features: Features, data: LogMelArrays) -> Iterator[Chunk]:
    """Return log-Mel arrays chunk by chunk."""
    _check_mels(features, data)
    for start in range(0, len(data), _CHUNK):
        part = data.logmels[start : start + _CHUNK]
        yield Chunk(
            positions=np.arange(start, start + len(part)),
            errors={},
            make_logmels=functools.partial(list, part),
            make_statistics=functools.partial(clip_statistics, part),
        )


def _check_mels(features: Features, data: LogMelArrays) -> None:
    if data.n_mels != features.n_mels:
        raise ArrayError(
            f"logmels: {data.n_mels} Mel bins, but the recipe has features.n_mels = {features.n_mels}; "
            f"use recipe.replace(features__n_mels={data.n_mels})"
        )
