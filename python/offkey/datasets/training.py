"""What every model of normal sound is fitted to, and how it is read: once, and other types only when they are drawn."""

from __future__ import annotations

import dataclasses
import functools
import re
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from offkey._util import parameters
from offkey._util.files import check_folder
from offkey._util.words import reason
from offkey.datasets.cache import DecodedClips, decoded
from offkey.datasets.channels import ChannelChoice, decoded_channel
from offkey.datasets.clips import Clips, Dataset, LogMelArrays
from offkey.datasets.file_clips import Decoding, FileClips
from offkey.datasets.quality import Conditions
from offkey.datasets.reading import Reading, check_share, groups_of, relative_names
from offkey.datasets.source import Progress, Source, check_mels
from offkey.datasets.source_rates import SourceRates
from offkey.datasets.statistics_plan import Measures, StatisticsPlan
from offkey.datasets.windows import window_samples
from offkey.errors import ArrayError, AudioError, DatasetError, OffkeyWarning
from offkey.recipe import Features
from offkey.signal.audio import MAX_SECONDS
from offkey.signal.statistics import ClipStatistics, FrameMoments

__all__ = ["TrainingClips", "read_training_clips"]

_MOST_NAMED = 20  # unreadable files that notes name one by one
_MOST_KINDS = 10  # kinds of damage that have a warning each
_NAME = re.compile(r"(?s:.*)\.\w+: |[^:]*: ")
_PARTICULAR = re.compile(r"'[^']*'|\d[\d.,]*")
_RATE_ADVICE = (
    ", so their upper Mel bins are empty; where all recordings are like that, give the recipe their rate as "
    "features.sample_rate"
)


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
    channels: ChannelChoice | None = None
    """The channel that was read; None for arrays made elsewhere."""
    cut: tuple[str, ...] = ()
    """What a user should know of long recordings that were cut into clips."""
    broken: tuple[str, ...] = ()
    """A sentence for each kind of broken clips that were left out: silent, constant, clipped throughout."""
    odd: tuple[str, ...] = ()
    """A sentence for each kind of odd clips among those that were not."""
    conditions: Conditions | None = None
    """How the clips were recorded."""
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
        return tuple(map(reason, self.errors))

    @property
    def left_out(self) -> tuple[str, ...]:
        """What is not learned from: `unread` and `broken`."""
        return (*self.unread, *self.broken)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know of the clips: what was left out or resampled."""
        named = tuple(f"left out of training: {text}" for text in self.unread[:_MOST_NAMED])
        rest = len(self.errors) - len(named)
        more = (f"left out of training: {rest} more files that cannot be read",) if rest else ()
        channels = self.channels.notes if self.channels else ()
        return (*named, *more, *channels, *self.broken, *self.odd, *self.cut, *self.rate_notes)

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
        """Warn of recordings that were left out or are odd, once for each kind, and of a channel that is hardly heard.

        Where recordings are damaged in many ways, the most frequent ones are named and the others counted.

        Warns
        -----
        OffkeyWarning
            With how many there are, and the first of them.
        """
        notes = (*(self.channels.warnings if self.channels else ()), *self.broken, *self.odd)
        for note in notes:
            if note not in self._warned:
                warnings.warn(note, OffkeyWarning, stacklevel=stacklevel + 1)
        self._warned.update(notes)
        kinds: dict[str, list[Exception]] = {}
        for error in self.errors:
            kinds.setdefault(_kind(error), []).append(error)
        fresh = sorted(kinds.keys() - self._warned)
        several = sorted((kinds[kind] for kind in fresh), key=len, reverse=True)
        for errors in several[:_MOST_KINDS]:
            warnings.warn(
                f"left out of training: {len(errors)} recording{'s' * (len(errors) > 1)} that cannot be read "
                f"({type(errors[0]).__name__}), the first: {reason(errors[0])}",
                OffkeyWarning,
                stacklevel=stacklevel + 1,
            )
        rest = sum(map(len, several[_MOST_KINDS:]))
        if rest:
            warnings.warn(
                f"left out of training: and {rest} more that cannot be read for other reasons; `Detector.unread` lists "
                "every one",
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
        of_same_file = (
            self.others.of_same_file(position - first)
            if isinstance(self.others, FileClips)
            else [position - first]
        )
        self._set_aside.update(first + i for i in of_same_file)
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


def _kind(error: Exception) -> str:
    """Return what a recording's error has in common with those of others: all but its name, numbers and quotations."""
    return f"{type(error).__name__}: {_PARTICULAR.sub('...', _NAME.sub('', reason(error), 1))}"


def _attempt(clips: Sequence[np.ndarray], positions: Sequence[int]) -> Sequence[np.ndarray | Exception]:
    if isinstance(clips, FileClips):
        return clips.attempt(positions) if positions else []
    return [clips[i] for i in positions]


# ----------------------------------------------------------------------------------------------- reading


def read_training_clips(
    data: Dataset | LogMelArrays,
    *,
    features: Features,
    plan: StatisticsPlan = StatisticsPlan(),  # noqa: B008  # immutable
    statistics: bool = True,
    moments: bool = False,
    others: bool = True,
    keep_broken: bool = False,
    clip_seconds: float | None = None,
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
    plan
        What is measured of clips beside the statistics of their log-Mels.
    statistics, moments
        What to compute meanwhile; statistics that were not are computed when they are asked for.
    others
        Whether to offer the clips of other types.
    keep_broken
        Whether clips of the target type that are silent, constant or clipped throughout stay in.
    clip_seconds
        Recordings longer than twice this are cut into clips of it (`offkey.datasets.windows`), those of other types
        by what their headers say. None: all stay whole.
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
        If there is no normal training clip of the target type, or more than half of them cannot be read or are broken.
    OSError
        If nothing can be written into the folder of the cache.
    """
    parameters.seconds("max_seconds", max_seconds)
    if cache is not None:
        check_folder(cache)
    if isinstance(data, LogMelArrays):
        return _of_arrays(data, features, plan, num_threads)
    channels = ChannelChoice.of(data, features, max_seconds=max_seconds)
    features = msgspec.structs.replace(features, channel=channels.channel)
    source_of = functools.partial(
        Source.of, features=features, plan=plan, clip_seconds=clip_seconds, max_seconds=max_seconds
    )
    targets, other_clips = data.train, data.others if others else Clips()
    window = None if clip_seconds is None else window_samples(clip_seconds, features)
    reading = Reading(features, statistics=statistics or not moments, moments=moments)
    if cache is None:
        decoding = Decoding(features, window=window, max_seconds=max_seconds, num_threads=num_threads)
        reading.add_all(source_of(targets), num_threads, on_progress)
        judged = reading.judge(targets, machine=data.machine, keep_broken=keep_broken)
        recordings = reading.positions
        samples: FileClips | DecodedClips = FileClips(
            [targets[i].path for i in recordings], decoding, starts=reading.starts
        )
        other_recordings, other_starts = decoding.places_by_header(other_clips.paths)
        other_samples: FileClips | DecodedClips = FileClips(
            [other_clips[i].path for i in other_recordings], decoding, starts=other_starts
        )
        other_errors: list[Exception] = []
    else:
        decode = functools.partial(
            decoded,
            folder=cache,
            features=features,
            clip_seconds=clip_seconds,
            max_seconds=max_seconds,
            num_threads=num_threads,
            on_progress=on_progress,
        )
        samples, recordings = _cached(targets, features.sample_rate, decode)
        other_samples, other_recordings = _cached(other_clips, features.sample_rate, decode)
        source = Source(samples.items([targets[i].path for i in recordings]), features=features, plan=plan)
        reading.add_all(source, num_threads, None)  # the clips are decoded
        judged = reading.judge(targets.take(recordings), machine=data.machine, keep_broken=keep_broken)
        samples, recordings = samples.take(reading.positions), [recordings[i] for i in reading.positions]
        other_errors = [AudioError(text) for text in other_samples.errors.values()]
        readable = [i for i in range(len(other_samples)) if i not in other_samples.errors]
        other_samples = other_samples.take(readable)
        other_recordings = [other_recordings[i] for i in readable]
    used_targets = targets.take(sorted(set(recordings)))
    targets, other_clips = targets.take(recordings), other_clips.take(other_recordings)
    names = relative_names(targets.paths)
    return TrainingClips(
        inputs="audio",
        clips=samples,
        machine_ids=tuple(clip.machine_id or "?" for clip in targets),
        groups=tuple(group for group, usable in zip(judged.groups, judged.usable, strict=True) if usable),
        paths=names,
        others=other_samples,
        other_types=tuple(clip.machine_type for clip in other_clips),
        other_groups=groups_of(other_clips, relative_names(other_clips.paths)),
        measure=reading.joined_statistics
        if reading.statistics
        else functools.partial(reading.statistics_again, source_of(used_targets), num_threads),
        moments=reading.joined_moments() if reading.moments else None,
        errors=[*reading.sorted_errors, *other_errors],
        rates=reading.rates,
        channels=channels,
        cut=_cut_note(recordings, clip_seconds),
        broken=judged.left_out,
        odd=judged.notes,
        conditions=judged.conditions,
    )


def _cut_note(recordings: Sequence[int], clip_seconds: float | None) -> tuple[str, ...]:
    """Say how many recordings were cut into clips."""
    counts = np.unique(np.asarray(recordings, dtype=np.int64), return_counts=True)[1]
    cut = counts[counts > 1]
    if not len(cut) or clip_seconds is None:
        return ()
    return (
        f"{len(cut)} recording{'s' * (len(cut) > 1)} longer than {2 * clip_seconds:g} s cut into {cut.sum()} clips of "
        f"{clip_seconds:g} s (the recipe's training.clip_seconds); those of one recording are held out together",
    )


def _of_arrays(
    data: LogMelArrays, features: Features, plan: StatisticsPlan, num_threads: int | None
) -> TrainingClips:
    """Return log-Mels made elsewhere."""
    check_mels(features, data)
    decoded_channel(features)
    others = data.others
    return TrainingClips(
        inputs="logmel",
        clips=list(data.logmels),
        machine_ids=data.machine_ids,
        groups=data.groups,
        others=list(others.logmels) if others else (),
        other_types=others.machine_ids if others else (),
        other_groups=others.groups if others else (),
        measure=functools.partial(
            Measures(features, plan).statistics_of_logmels, data.logmels, num_threads=num_threads
        ),
    )


def _cached(
    clips: Clips, sample_rate: int, decode: Callable[[Sequence[Path]], DecodedClips]
) -> tuple[DecodedClips, list[int]]:
    """Return the clips decoded, and of each which recording it is of.

    Each machine type has a cache of its own, which other detectors share.
    """
    parts = DecodedClips(sample_rate=sample_rate)
    recordings: list[int] = []
    for machine_type in dict.fromkeys(clip.machine_type for clip in clips):
        members = [i for i, clip in enumerate(clips) if clip.machine_type == machine_type]
        part = decode([clips[i].path for i in members])
        parts = parts + part
        recordings += [members[i] for i in part.recordings]
    order = np.argsort(recordings, kind="stable").tolist()
    return parts.take(order), [recordings[i] for i in order]
