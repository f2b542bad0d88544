"""What every model of normal sound is fitted to, and how it is read: once, and other types only when they are drawn."""

from __future__ import annotations

import dataclasses
import functools
import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from offkey._util import parameters
from offkey.datasets.cache import DecodedClips, decoded
from offkey.datasets.clips import Clips, Dataset, LogMelArrays
from offkey.datasets.source import Chunk, Progress, Source, SourceRates, check_mels
from offkey.errors import ArrayError, AudioError, DatasetError, OffkeyWarning
from offkey.recipe import Features
from offkey.signal.audio import MAX_SECONDS, AudioBatch, read_batch
from offkey.signal.statistics import ClipStatistics, clip_statistics

__all__ = ["FrameMoments", "TrainingClips", "read_training_clips"]

_MOST_NAMED = 20  # unreadable files that notes name one by one
_MOST_UNREAD = 0.5  # of the clips of a machine type
_RATE_ADVICE = (
    ", so their upper Mel bins are empty; where all recordings are like that, give the recipe their rate as "
    "features.sample_rate"
)


class FrameMoments(NamedTuple):
    """Mean and spread of each Mel bin over the frames of each clip; those of several clips follow from them."""

    frames: np.ndarray
    """``(clips,)`` int64"""
    mean: np.ndarray
    """``(clips, n_mels)`` float64, dB."""
    squares: np.ndarray
    """``(clips, n_mels)`` float64: sums of squared deviations from the clip's mean."""

    @classmethod
    def of(cls, logmels: Sequence[np.ndarray]) -> FrameMoments:
        """Return those of log-Mels ``(n_mels, frames)``."""
        means, squares = [], []
        for logmel in logmels:
            values = logmel.astype(np.float64)
            means.append(values.mean(axis=1))
            values -= means[-1][:, None]
            squares.append(np.square(values, out=values).sum(axis=1))
        frames = np.array([logmel.shape[1] for logmel in logmels], dtype=np.int64)
        return cls(frames, np.stack(means), np.stack(squares))

    @classmethod
    def joined(cls, parts: Sequence[FrameMoments]) -> FrameMoments:
        """Return those of all clips of several parts."""
        return cls(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))

    def pooled(self) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and population deviation over all frames of all clips: ``(n_mels,)`` float64 each."""
        weights = self.frames / self.frames.sum()
        mean = weights @ self.mean
        variance = self.squares.sum(axis=0) / self.frames.sum() + weights @ np.square(self.mean - mean)
        return mean, np.sqrt(variance)

    def take(self, positions: Sequence[int] | np.ndarray) -> FrameMoments:
        """Return those of some of the clips."""
        return FrameMoments(*(column[positions] for column in self))


class FileClips(Sequence[np.ndarray]):
    """Recordings that are decoded when they are asked for; decoding is far faster than a step of training."""

    def __init__(self, paths: Sequence[Path], read: Callable[[Sequence[Path]], AudioBatch]) -> None:
        self._paths = paths
        self._read = read
        self.rates: dict[int, int] = {}
        """Position -> rate in Hz, of those read so far."""

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> np.ndarray:  # type: ignore[override]  # no slices
        return self.gather([index])[0]

    def gather(self, positions: Sequence[int]) -> list[np.ndarray]:
        """Return some of the recordings, decoded side by side; raise what is wrong with the first that cannot be."""
        outcomes = self.attempt(positions)
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome
        return [clip for clip in outcomes if isinstance(clip, np.ndarray)]

    def attempt(self, positions: Sequence[int]) -> list[np.ndarray | Exception]:
        """Return some of the recordings, or what is wrong with them."""
        batch = self._read([self._paths[i] for i in positions])
        self.rates |= dict(zip(positions, batch.source_rates.tolist(), strict=True))
        return [batch.errors.get(i, batch[i]) for i in range(len(batch))]

    def take(self, positions: Sequence[int]) -> FileClips:
        """Return some of the recordings as a sequence of the same kind."""
        return FileClips([self._paths[i] for i in positions], self._read)

    def name(self, position: int) -> str:
        """Return the path of a recording."""
        return str(self._paths[position])


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingClips:
    """Normal clips of the target machine type, and of other types where there are any: what a model is fitted to.

    The sequences of arrays are read item by item, each item whenever it is needed: one that decodes on access
    keeps a large set out of memory.

    Raises
    ------
    DatasetError
        If there are no clips, or the columns differ in length.
    """

    inputs: Literal["audio", "logmel"]
    """`audio`: 1-D float32 samples at the recipe's rate; `logmel`: ``(n_mels, frames)`` float32 in dB."""
    clips: Sequence[np.ndarray]
    machine_ids: Sequence[str]
    groups: Sequence[str]
    """The recording that a clip was cut from: never split between training and held-out part."""
    paths: Sequence[str] = ()
    """The recordings' names below their common folder, for provenance; none for arrays made elsewhere."""
    others: Sequence[np.ndarray] = ()
    """Normal clips of other machine types: the pseudo-anomalies."""
    other_types: Sequence[str] = ()
    other_groups: Sequence[str] = ()
    measure: Callable[[], ClipStatistics] | None = None
    """Computes what `statistics` returns."""
    moments: FrameMoments | None = None
    """Moments of the target type's log-Mels, if they were computed while the clips were read."""
    errors: list[Exception] = dataclasses.field(default_factory=list)
    """What is wrong with recordings that were left out; those of other types join when they are drawn."""
    rates: SourceRates | None = None
    """Recordings of the target type that were resampled."""
    _set_aside: set[int] = dataclasses.field(default_factory=set, init=False, repr=False)
    _warned: set[str] = dataclasses.field(default_factory=set, init=False, repr=False)

    def __post_init__(self) -> None:
        if not len(self.clips):
            raise DatasetError("training clips: given none; expected normal clips of the target machine type")
        for name, clips, columns in (
            ("clips", self.clips, (self.machine_ids, self.groups)),
            ("others", self.others, (self.other_types, self.other_groups)),
        ):
            if any(len(column) != len(clips) for column in columns):
                given = " and ".join(str(len(column)) for column in columns)
                raise DatasetError(
                    f"training clips: {len(clips)} {name}, but {given} labels and groups for them"
                )

    @property
    def unread(self) -> tuple[str, ...]:
        """Which recordings could not be read, and why; those of other types once they were drawn."""
        return tuple(map(str, self.errors))

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know of the clips: what was left out or resampled."""
        named = tuple(f"left out of training: {text}" for text in self.unread[:_MOST_NAMED])
        rest = len(self.errors) - len(named)
        more = (f"left out of training: {rest} more files that cannot be read",) if rest else ()
        return (*named, *more, *self.rate_notes)

    @property
    def rate_notes(self) -> tuple[str, ...]:
        """A sentence for each rate that clips were resampled from; of other types those that were drawn."""
        if self.rates is None:
            return ()
        notes = self.rates.notes("training clip", advice=_RATE_ADVICE)
        if not isinstance(self.others, FileClips):
            return notes
        others = SourceRates(self.rates.wanted)
        for position, rate in sorted(self.others.rates.items()):
            others.count(self.others.name(position), rate)
        return (*notes, *others.notes("clip", kind=" of other types", advice=_RATE_ADVICE))

    def warn(self, *, stacklevel: int) -> None:
        """Warn of recordings that were left out, once for each kind of error.

        Warns
        -----
        OffkeyWarning
            With how many there are, and the first of them.
        """
        kinds: dict[str, list[Exception]] = {}
        for error in self.errors:
            kinds.setdefault(type(error).__name__, []).append(error)
        for kind in sorted(kinds.keys() - self._warned):
            count = len(kinds[kind])
            warnings.warn(
                f"left out of training: {count} recording{'s' * (count > 1)} that cannot be read ({kind}), "
                f"the first: {kinds[kind][0]}",
                OffkeyWarning,
                stacklevel=stacklevel + 1,
            )
        self._warned.update(kinds)

    def statistics(self) -> ClipStatistics:
        """Return the statistics ``(clips, n_mels)`` of the target type's clips.

        Raises
        ------
        ArrayError
            If the clips came without a way to compute them.
        """
        if self.measure is None:
            raise ArrayError("training clips: have no statistics; expected `measure`, which computes them")
        return self.measure()

    def gather(self, positions: np.ndarray, *, pools: Sequence[np.ndarray] = ()) -> list[np.ndarray]:
        """Return clips by their positions, those of other types after those of the target type.

        A clip of another type that cannot be read is set aside, and another of that type stands in for it: the next
        one of its pool.

        Parameters
        ----------
        positions
            ``(clips,)`` int64.
        pools
            Positions ``(n,)`` of other types' clips that may stand in for each other; by default all of them.

        Raises
        ------
        ArrayError
            If one is empty or has the wrong number of dimensions.
        DatasetError
            If more than half of the clips of a type cannot be read, or none of a pool.
        AudioError, OSError
            If a clip of the target type cannot be read any more.
        """
        chosen = [self._readable(position, pools) for position in positions.tolist()]
        clips: dict[int, np.ndarray] = {}
        while missing := sorted(set(chosen) - clips.keys()):
            for position, outcome in zip(missing, self._attempt(missing), strict=True):
                if not isinstance(outcome, Exception):
                    clips[position] = self._checked(outcome, position)
                elif position < len(self.clips):
                    raise outcome
                else:
                    self._leave_out(position, outcome)
            chosen = [self._readable(position, pools) for position in chosen]
        return [clips[position] for position in chosen]

    def _attempt(self, positions: Sequence[int]) -> list[np.ndarray | Exception]:
        first = len(self.clips)
        return [
            *_attempt(self.clips, [i for i in positions if i < first]),
            *_attempt(self.others, [i - first for i in positions if i >= first]),
        ]

    def _readable(self, position: int, pools: Sequence[np.ndarray]) -> int:
        """Return the position itself, or of a clip that was left out the next one of its type and pool."""
        if position not in self._set_aside:
            return position
        first = len(self.clips)
        pool = next((p for p in pools if position in p), first + np.arange(len(self.others)))
        machine_type = self.other_types[position - first]
        candidates = [
            i
            for i in pool.tolist()
            if self.other_types[i - first] == machine_type and i not in self._set_aside
        ]
        if not candidates:
            raise DatasetError(
                f"machine type {machine_type!r}: none of the {len(pool)} clips drawn from can be read"
            )
        return next((i for i in candidates if i > position), candidates[0])

    def _leave_out(self, position: int, error: Exception) -> None:
        first = len(self.clips)
        self._set_aside.add(position)
        self.errors.append(error)
        machine_type = self.other_types[position - first]
        unread = sum(self.other_types[i - first] == machine_type for i in self._set_aside)
        check_share(unread, list(self.other_types).count(machine_type), machine_type, [error])

    def _checked(self, clip: np.ndarray, index: int) -> np.ndarray:
        array = np.asarray(clip)
        dimensions = 1 if self.inputs == "audio" else 2
        if array.ndim != dimensions or not array.size:
            first = len(self.clips)
            where = f"clips[{index}]" if index < first else f"others[{index - first}]"
            wanted = "(samples,)" if self.inputs == "audio" else "(n_mels, frames)"
            raise ArrayError(f"{where}: given shape {array.shape}; expected {wanted}, not empty")
        return np.ascontiguousarray(array, dtype=np.float32)


def _attempt(clips: Sequence[np.ndarray], positions: Sequence[int]) -> Sequence[np.ndarray | Exception]:
    if isinstance(clips, FileClips):
        return clips.attempt(positions) if positions else []
    return [clips[i] for i in positions]


def check_share(unread: int, clips: int, machine_type: str, errors: Sequence[Exception]) -> None:
    """Refuse clips of which too many cannot be read.

    Raises
    ------
    DatasetError
        If that is more than half of them.
    """
    if unread > _MOST_UNREAD * clips:
        share = "none of" if unread == clips else f"only {clips - unread} of"
        reasons = "; ".join([*map(str, errors[:3]), *["..."] * (len(errors) > 3)])
        raise DatasetError(
            f"machine type {machine_type!r}: {share} its {clips} normal training clips can be read: {reasons}"
        )


# ----------------------------------------------------------------------------------------------- reading


def read_training_clips(
    data: Dataset | LogMelArrays,
    *,
    features: Features,
    statistics: bool = True,
    moments: bool = False,
    others: bool = True,
    max_seconds: float = MAX_SECONDS,
    num_threads: int | None = None,
    cache: Path | None = None,
    on_progress: Progress | None = None,
) -> TrainingClips:
    """Read the normal training clips of a dataset once, and leave out those that cannot be read.

    Clips of other types are not read: that is known of each when it is drawn.

    Parameters
    ----------
    data
        Recordings, or log-Mels made elsewhere.
    features
        Rate, channel and log-Mels.
    statistics, moments
        What to compute meanwhile; statistics that were not are computed when they are asked for.
    others
        Whether to offer the clips of other types.
    max_seconds
        A longer recording is one that cannot be read.
    num_threads
        Threads of the kernels; all cores if None.
    cache
        A folder where decoded recordings are kept, those of other types too (see `offkey.datasets.cache`).
    on_progress
        Called with (done, total) recordings.

    Raises
    ------
    DatasetError
        If there is no normal training clip of the target type, or more than half of them cannot be read.
    """
    parameters.seconds("max_seconds", max_seconds)
    if isinstance(data, LogMelArrays):
        return _of_arrays(data, features)
    source_of = functools.partial(Source.of, features=features, max_seconds=max_seconds)
    targets, other_clips = data.train, data.others if others else Clips()
    if cache is None:
        read = functools.partial(
            read_batch,
            sample_rate=features.sample_rate,
            channel=features.channel,
            max_seconds=max_seconds,
            on_error="collect",
            num_threads=num_threads,
        )
        samples: FileClips | DecodedClips = FileClips(targets.paths, read)
        other_samples: FileClips | DecodedClips = FileClips(other_clips.paths, read)
        other_errors: list[Exception] = []
        source = source_of(targets)
    else:
        decode = functools.partial(
            decoded,
            folder=cache,
            features=features,
            max_seconds=max_seconds,
            num_threads=num_threads,
            on_progress=on_progress,
        )
        samples, other_samples = (
            _cached(clips, features.sample_rate, decode) for clips in (targets, other_clips)
        )
        other_errors = [AudioError(text) for text in other_samples.errors.values()]
        readable = [i for i in range(len(other_clips)) if i not in other_samples.errors]
        other_clips, other_samples = other_clips.take(readable), other_samples.take(readable)
        source = Source(samples.items(targets.paths), features=features)
        on_progress = None  # the clips are decoded
    reading = _Reading(features, statistics=statistics or not moments, moments=moments)
    for chunk in source.chunks(num_threads=num_threads, on_progress=on_progress):
        reading.add(chunk)
    check_share(len(reading.errors), len(targets), data.machine, reading.errors)
    targets, samples = targets.take(reading.positions), samples.take(reading.positions)
    names = _relative(targets.paths)
    return TrainingClips(
        inputs="audio",
        clips=samples,
        machine_ids=tuple(clip.machine_id or "?" for clip in targets),
        groups=_groups(targets, names),
        paths=names,
        others=other_samples,
        other_types=tuple(clip.machine_type for clip in other_clips),
        other_groups=_groups(other_clips, _relative(other_clips.paths)),
        measure=functools.partial(_joined, reading.statistics)
        if reading.statistics
        else functools.partial(_statistics_of, source_of(targets), num_threads),
        moments=FrameMoments.joined(reading.moments) if reading.moments else None,
        errors=[*reading.errors, *other_errors],
        rates=reading.rates,
    )


class _Reading:
    """What one pass over the target's clips tells: which can be used, their rates, and what was computed of them."""

    def __init__(self, features: Features, *, statistics: bool, moments: bool) -> None:
        self.positions: list[int] = []
        self.errors: list[Exception] = []
        self.rates = SourceRates(features.sample_rate)
        self.statistics: list[ClipStatistics] = []
        self.moments: list[FrameMoments] = []
        self._wants_statistics, self._wants_moments = statistics, moments

    def add(self, chunk: Chunk) -> None:
        for part, (statistics, moments) in chunk.attempt(self._measure):
            self.positions += part.positions.tolist()
            self.rates.add(part)
            self.statistics += [statistics] if statistics else []
            self.moments += [moments] if moments else []
        self.errors += [chunk.errors[position] for position in sorted(chunk.errors)]

    def _measure(self, chunk: Chunk) -> tuple[ClipStatistics | None, FrameMoments | None]:
        return (
            chunk.statistics if self._wants_statistics else None,
            FrameMoments.of(chunk.logmels) if self._wants_moments else None,
        )


def _statistics_of(source: Source, num_threads: int | None) -> ClipStatistics:
    parts = []
    for chunk in source.chunks(num_threads=num_threads):
        for error in chunk.errors.values():
            raise error
        parts.append(chunk.statistics)
    return _joined(parts)


def _joined(parts: Sequence[ClipStatistics]) -> ClipStatistics:
    return ClipStatistics(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _of_arrays(data: LogMelArrays, features: Features) -> TrainingClips:
    """Return log-Mels made elsewhere."""
    check_mels(features, data)
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


def _cached(clips: Clips, sample_rate: int, decode: Callable[[Sequence[Path]], DecodedClips]) -> DecodedClips:
    """Return the clips decoded, each machine type from a cache of its own, which other detectors share."""
    parts = DecodedClips(sample_rate=sample_rate)
    order: list[int] = []
    for machine_type in dict.fromkeys(clip.machine_type for clip in clips):
        members = [i for i, clip in enumerate(clips) if clip.machine_type == machine_type]
        parts = parts + decode([clips[i].path for i in members])
        order += members
    return parts.take(np.argsort(order).tolist())


def _relative(paths: Sequence[Path]) -> tuple[str, ...]:
    """Return the names of files below their common folder, with ``/`` between folders."""
    full = [path.absolute() for path in paths]
    common = os.path.commonpath([path.parent for path in full]) if full else ""
    return tuple(path.relative_to(common).as_posix() for path in full)


def _groups(clips: Clips, names: Sequence[str]) -> tuple[str, ...]:
    """Return the recordings that clips were cut from, by names that stay the same where the folder is moved."""
    return tuple(
        name if clip.group == str(clip.path) else clip.group for clip, name in zip(clips, names, strict=True)
    )
