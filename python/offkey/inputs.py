"""From recordings or log-Mel arrays to what the models take, in chunks that fit in memory.

Both kinds of source offer the same two views: clip statistics, for the closed-form model, and log-Mels or samples,
for the network.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from offkey.datasets import Clips, Dataset, LogMelArrays
from offkey.datasets.cache import DecodedClips, decoded
from offkey.datasets.paths import portions
from offkey.datasets.training_clips import TrainingClips
from offkey.errors import ArrayError, DatasetError
from offkey.recipe import Features, Recipe, model_kind
from offkey.signal.audio import info, read_batch
from offkey.signal.logmel import LogMel
from offkey.signal.statistics import ClipStatistics, clip_statistics

__all__ = [
    "Chunk",
    "Progress",
    "SourceRates",
    "chunks_of_arrays",
    "chunks_of_files",
    "training",
]

_CHUNK = 64  # clips at a time
_MOST_NAMED = 20  # unreadable files that notes name one by one

Progress = Callable[[int, int], None]


class SourceRates:
    """Keeps count of recordings whose rate is not the one that the features are computed at."""

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self._found: dict[int, tuple[int, object]] = {}  # rate -> how many, and the first

    def add(self, paths: Iterable[object], rates: Iterable[int]) -> None:
        """Enter some recordings."""
        for path, rate in zip(paths, rates, strict=True):
            if rate != self._wanted:
                count, first = self._found.get(int(rate), (0, path))
                self._found[int(rate)] = count + 1, first

    def notes(self, what: str, *, advice: str) -> tuple[str, ...]:
        """Return a sentence for each other rate; `what` is a noun, `advice` for rates that lack the upper bands."""
        notes = []
        for rate, (count, first) in sorted(self._found.items()):
            text = (
                f"resampled from {rate} to {self._wanted} Hz: {count} {what}{'s' * (count > 1)}, "
                f"the first of them {first}"
            )
            if rate < self._wanted:
                text += f"; they hold nothing above {rate // 2} Hz{advice}"
            notes.append(text)
        return tuple(notes)


# ---------------------------------------------------------------------------------------------- training


def training(
    recipe: Recipe,
    data: Dataset | LogMelArrays,
    *,
    num_threads: int | None = None,
    cache: Path | None = None,
    on_progress: Progress | None = None,
) -> TrainingClips:
    """Return the training clips of a dataset, those left out that cannot be read.

    With `cache`, a folder, recordings are decoded once and kept there (see `offkey.datasets.cache`).

    Raises
    ------
    DatasetError
        If there is no normal training clip of the target type, or none that can be read.
    """
    if isinstance(data, LogMelArrays):
        return _of_arrays(recipe.features, data)
    features, targets = recipe.features, data.train
    others = data.others if any(model_kind(name).others for name in recipe.models) else Clips()
    every = targets + others
    logmel = LogMel.from_recipe(features, num_threads=num_threads)
    clips: _Decoding | DecodedClips
    if cache is None:
        clips = _Decoding(every.paths, features, num_threads)
        statistics, errors = _statistics_of_files(logmel, every.paths, features, on_progress)
    else:
        clips = _from_cache(every, features, cache, num_threads, on_progress)
        statistics, errors = _statistics_of_samples(logmel, clips, every.paths)
    readable = [i for i in range(len(targets)) if i not in errors]
    if not readable:
        raise DatasetError(
            f"machine type {data.machine!r}: none of its {len(targets)} normal training clips can be read: "
            + "; ".join(list(errors.values())[:3] + ["..."] * (len(targets) > 3))
        )
    readable_others = [i for i in range(len(others)) if len(targets) + i not in errors]
    target_statistics = ClipStatistics(*(column[readable] for column in statistics))
    targets, others = targets.take(readable), others.take(readable_others)
    unread = tuple(errors.values())
    return TrainingClips(
        inputs="audio",
        clips=clips.take(readable),
        machine_ids=tuple(clip.machine_id or "?" for clip in targets),
        groups=tuple(targets.groups),
        paths=_relative(targets.paths),
        others=clips.take([len(data.train) + i for i in readable_others]),
        other_types=tuple(clip.machine_type for clip in others),
        other_groups=tuple(others.groups),
        notes=(*_unread_notes(unread), *_rate_notes(features, [*targets.paths, *others.paths])),
        unread=unread,
        measure=lambda: target_statistics,
    )


def _relative(paths: Sequence[Path]) -> tuple[str, ...]:
    """Return the names of files below their common folder, with ``/`` between folders."""
    full = [path.absolute() for path in paths]
    common = os.path.commonpath([path.parent for path in full])
    return tuple(path.relative_to(common).as_posix() for path in full)


def _rate_notes(features: Features, paths: Sequence[Path]) -> tuple[str, ...]:
    rates = SourceRates(features.sample_rate)
    rates.add(
        paths, (info(path).sample_rate for path in paths)
    )  # the headers alone: the kernel keeps no rates
    return rates.notes(
        "training clip",
        advice=", so their upper Mel bins are empty; where all recordings are like that, give the recipe "
        "their rate as features.sample_rate",
    )


def _unread_notes(unread: Sequence[str]) -> tuple[str, ...]:
    notes = tuple(f"left out of training: {text}" for text in unread[:_MOST_NAMED])
    rest = len(unread) - len(notes)
    return (*notes, f"left out of training: {rest} more files that cannot be read") if rest else notes


def _of_arrays(features: Features, data: LogMelArrays) -> TrainingClips:
    """Return log-Mel arrays made elsewhere."""
    _check_mels(features, data)
    others = data.others
    return TrainingClips(
        inputs="logmel",
        clips=list(data.logmels),
        machine_ids=data.machine_ids,
        groups=data.groups,
        others=list(others.logmels) if others else (),
        other_types=others.machine_ids if others else (),
        other_groups=others.groups if others else (),
        measure=functools.partial(clip_statistics, data.logmels),
    )


class _Decoding(Sequence[np.ndarray]):
    """Recordings as a sequence that decodes on access; decoding is far faster than a training step."""

    def __init__(self, paths: Sequence[Path], features: Features, num_threads: int | None) -> None:
        self._paths = paths
        self._features = features
        self._num_threads = num_threads

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> np.ndarray:  # type: ignore[override]  # no slices
        return self.gather([index])[0]

    def gather(self, positions: Sequence[int]) -> list[np.ndarray]:
        """Return some of the recordings, decoded side by side."""
        batch = read_batch(
            [self._paths[i] for i in positions],
            sample_rate=self._features.sample_rate,
            channel=self._features.channel,
            num_threads=self._num_threads,
        )
        return list(batch)

    def take(self, positions: Sequence[int]) -> _Decoding:
        """Return some of the recordings as a sequence of the same kind."""
        return _Decoding([self._paths[i] for i in positions], self._features, self._num_threads)


def _statistics_of_files(
    logmel: LogMel, paths: Sequence[Path], features: Features, on_progress: Progress | None
) -> tuple[ClipStatistics, dict[int, str]]:
    """Return each file's statistics, and which files cannot be read, and why."""
    parts: list[ClipStatistics] = []
    errors: dict[int, str] = {}
    for start in range(0, len(paths), _CHUNK):
        part, failed = logmel.statistics_from_files(
            paths[start : start + _CHUNK], channel=features.channel, on_error="collect"
        )
        parts.append(part)
        errors |= {start + i: str(error) for i, error in failed.items()}
        if on_progress:
            on_progress(min(start + _CHUNK, len(paths)), len(paths))
    return _joined(parts), errors


def _statistics_of_samples(
    logmel: LogMel, clips: DecodedClips, paths: Sequence[Path]
) -> tuple[ClipStatistics, dict[int, str]]:
    """Return each clip's statistics, and which have none, and why."""
    errors = dict(clips.errors)
    # Stands in for those, which the caller leaves out.
    silence = np.zeros(logmel.n_fft, dtype=np.float32)

    def one(i: int) -> ClipStatistics:
        try:
            return logmel.statistics([silence if i in errors else clips[i]])
        except ArrayError as error:
            errors[i] = f"{paths[i]}: {error}"
            return logmel.statistics([silence])

    parts = []
    for start in range(0, len(clips), _CHUNK):
        chunk = range(start, min(start + _CHUNK, len(clips)))
        try:
            parts.append(logmel.statistics([silence if i in errors else clips[i] for i in chunk]))
        except ArrayError:  # of one clip: find it
            parts += [one(i) for i in chunk]
    return _joined(parts), errors


def _joined(parts: Sequence[ClipStatistics]) -> ClipStatistics:
    return ClipStatistics(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _from_cache(
    clips: Clips, features: Features, folder: Path, num_threads: int | None, on_progress: Progress | None
) -> DecodedClips:
    """Return the clips decoded, each machine type from a cache of its own, which other detectors share."""
    found = DecodedClips([], {})
    order: list[int] = []
    for machine_type in dict.fromkeys(clip.machine_type for clip in clips):
        own = [i for i, clip in enumerate(clips) if clip.machine_type == machine_type]
        found = found + decoded(
            [clips[i].path for i in own],
            folder=folder,
            sample_rate=features.sample_rate,
            channel=features.channel,
            num_threads=num_threads,
            on_progress=on_progress,
        )
        order += own
    return found.take(np.argsort(order).tolist())


# ----------------------------------------------------------------------------------------------- scoring


@dataclasses.dataclass(frozen=True, kw_only=True)
class Chunk:
    """Some clips to be scored, with each feature computed once and only when a model asks for it."""

    positions: np.ndarray
    """Where these clips stand among all that are scored, ``(clips,)``; those that could not be read are missing."""
    errors: dict[int, Exception]
    """Position -> why the clip could not be read."""
    source_rates: np.ndarray
    """``(clips,)`` the rate that each was recorded at in Hz, or no element if the clips are no recordings."""
    samples: Sequence[np.ndarray]
    """``(samples,)`` float32 each at the rate of the features; none if the clips are log-Mels."""
    make_logmels: Callable[[], Sequence[np.ndarray]]
    make_statistics: Callable[[], ClipStatistics]
    split: Callable[[], Iterator[Chunk]]
    """Yields each clip as a chunk of its own, to find the one that cannot be scored."""

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
    start = 0
    for part in portions(paths, sample_rate=features.sample_rate):
        batch = read_batch(
            part,
            sample_rate=features.sample_rate,
            channel=features.channel,
            on_error="collect",
            num_threads=num_threads,
        )
        kept = np.array([i for i in range(len(part)) if i not in batch.errors], dtype=np.int64)
        yield _chunk_of_samples(
            logmel,
            [batch[i] for i in kept],
            positions=start + kept,
            source_rates=batch.source_rates[kept],
            errors={start + i: error for i, error in batch.errors.items()},
        )
        start += len(part)
        if on_progress:
            on_progress(start, len(paths))


def _chunk_of_samples(
    logmel: LogMel,
    samples: Sequence[np.ndarray],
    *,
    positions: np.ndarray,
    source_rates: np.ndarray,
    errors: dict[int, Exception],
) -> Chunk:
    def split() -> Iterator[Chunk]:
        for i, clip in enumerate(samples):
            yield _chunk_of_samples(
                logmel,
                [clip],
                positions=positions[i : i + 1],
                source_rates=source_rates[i : i + 1],
                errors={},
            )

    return Chunk(
        positions=positions,
        errors=errors,
        source_rates=source_rates,
        samples=samples,
        make_logmels=functools.partial(logmel.each, samples),
        make_statistics=functools.partial(logmel.statistics, samples),
        split=split,
    )


def chunks_of_arrays(features: Features, data: LogMelArrays) -> Iterator[Chunk]:
    """Return log-Mel arrays chunk by chunk."""
    _check_mels(features, data)
    return _chunks_of_logmels(data.logmels, size=_CHUNK)


def _chunks_of_logmels(logmels: np.ndarray, *, size: int, first: int = 0) -> Iterator[Chunk]:
    for start in range(0, len(logmels), size):
        part = logmels[start : start + size]
        yield Chunk(
            positions=first + np.arange(start, start + len(part)),
            errors={},
            source_rates=np.empty(0, dtype=np.int64),
            samples=(),
            make_logmels=functools.partial(list, part),
            make_statistics=functools.partial(clip_statistics, part),
            split=functools.partial(_chunks_of_logmels, part, size=1, first=first + start),
        )


def _check_mels(features: Features, data: LogMelArrays) -> None:
    if data.n_mels != features.n_mels:
        raise ArrayError(
            f"logmels: {data.n_mels} Mel bins, but the recipe has features.n_mels = {features.n_mels}; "
            f"use recipe.replace(features__n_mels={data.n_mels})"
        )
