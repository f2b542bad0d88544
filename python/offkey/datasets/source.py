"""One way in for whatever a user hands over as recordings: read once, some at a time, in the order given."""

from __future__ import annotations

import copy
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeAlias

import numpy as np

from offkey._util import parameters
from offkey.datasets import portions
from offkey.datasets.channels import decoded_channel
from offkey.datasets.chunk import Chunk, MeasuredClips
from offkey.datasets.clips import LogMelArrays
from offkey.datasets.fetching import fetched
from offkey.datasets.passed_over import PassedOverTally, notes_on
from offkey.datasets.paths import NO_SOUND_FILE
from offkey.datasets.recordings import Item, Items, LogMelOf, Recordings, describe, items_of
from offkey.datasets.statistics_plan import Measures, StatisticsPlan
from offkey.datasets.survey import Progress, Survey, Surveyor
from offkey.datasets.windows import WHOLE, cut, file_windows, window_samples
from offkey.errors import ArrayError, DatasetError, OffkeyError
from offkey.recipe import Features
from offkey.signal.audio import MAX_SECONDS, on_disk, read_batch, resample
from offkey.signal.measures import FileMeasures

__all__ = ["Chunk", "Progress", "Source", "check_mels"]

_CALLS_AHEAD = 2
"""Calls whose files are measured while those before them are scored."""
_MOST_MEASURED = 1 << 22
"""Samples of a clip, 16 MiB of which each thread has one: longer ones are read as others are."""

_Step: TypeAlias = tuple[int, Callable[[int], Iterable[Chunk]]]
"""So many items, and what makes their chunks once it is known where the first of them stands."""


class Source:
    """Recordings in the order in which they were handed over: row i of what is made of them is item i.

    Nothing is read, nor is a folder listed, before `chunks` comes to it, and no list of all recordings is made.

    Parameters
    ----------
    items
        The recordings; an iterator makes a source that can be read once.
    features
        Rate and channel to decode to, and the log-Mels to compute.
    plan
        What is measured of clips beside the statistics of their log-Mels.
    what
        What the recordings are called where there are none.
    passed_over
        What is passed over in folders; it fills while they are listed.
    clip_seconds
        Recordings longer than twice this are cut into windows of it (`offkey.datasets.windows`), each a clip; those
        of log-Mels are not. None: all recordings stay whole.
    max_seconds
        A file that is longer cannot be read; sounds that are in memory already are as long as they are.
    keep_samples
        Whether chunks have samples and log-Mels. If not, most files are measured where they are read, while the
        chunks before them are looked at, and only statistics and quality are left of them.

    Raises
    ------
    ParameterError
        If `max_seconds` is no number above 0.
    """

    def __init__(
        self,
        items: Iterable[Item],
        *,
        features: Features,
        plan: StatisticsPlan = StatisticsPlan(),  # noqa: B008  # immutable
        what: str = "none given",
        passed_over: PassedOverTally | None = None,
        clip_seconds: float | None = None,
        max_seconds: float = MAX_SECONDS,
        keep_samples: bool = True,
    ) -> None:
        self._items = items
        self._what = what
        self._passed_over = passed_over or PassedOverTally()
        self.surveyor = Surveyor()
        """Counts what is read, by its headers."""
        self._features = features
        self._window = None if clip_seconds is None else window_samples(clip_seconds, features)
        self._max_seconds = parameters.seconds("max_seconds", max_seconds)
        self._measures = Measures(features, plan)
        self._keep_samples = keep_samples

    @classmethod
    def of(
        cls,
        recordings: Recordings,
        *,
        features: Features,
        plan: StatisticsPlan = StatisticsPlan(),  # noqa: B008
        sample_rate: int | None = None,
        machine_id: str | None = None,
        known_ids: Sequence[str] = (),
        clip_seconds: float | None = None,
        max_seconds: float = MAX_SECONDS,
        keep_samples: bool = True,
    ) -> Self:
        """Return the source of whatever is handed over.

        Parameters
        ----------
        recordings
            A folder (searched for sound files, depth first, names in the order of their bytes), a file, a pattern
            with ``*``, ``?``, ``[...]`` or ``**`` if there is no file of that very name, `Clips`, a `Dataset` (its
            test clips), an `AudioBatch`, `Audio`, samples ``(samples,)``, the bytes of a sound file or an open binary
            file; a list, an array ``(clips, samples)``, a generator or any other iterable of these; or
            `LogMelArrays`.
        features
            Rate and channel to decode to, and the log-Mels to compute.
        plan
            What is measured of clips beside the statistics of their log-Mels.
        sample_rate
            Rate of arrays of samples in Hz, since they carry none.
        machine_id
            The ID of all of them; by default a clip's own, or what its name says (``id_XX``, ``section_XX_``), or
            folders below the one that is named (``id_XX``).
        known_ids
            IDs that are also recognised in the names of folders below one that is named.
        clip_seconds, max_seconds, keep_samples
            See `Source`.

        Raises
        ------
        FileNotFoundError
            If a path does not exist. In an iterator that is an error of the item alone.
        ParameterError
            If it is none of these, arrays of samples come without `sample_rate`, or `max_seconds` is no number above 0.
        ArrayError
            If an array has another shape or dtype, log-Mels another number of Mel bins than `features`, or the plan
            a finer spectrogram, which they have not.
        DatasetError
            If it is an empty list or table, or a dataset without test clips.
        """
        if isinstance(recordings, LogMelArrays):
            check_mels(features, recordings, plan)
        passed_over = PassedOverTally()
        items = items_of(
            recordings,
            sample_rate=sample_rate,
            machine_id=machine_id,
            known_ids=known_ids,
            on_passed_over=passed_over.add,
        )
        return cls(
            items,
            features=features,
            plan=plan,
            what=describe(recordings),
            passed_over=passed_over,
            clip_seconds=clip_seconds,
            max_seconds=max_seconds,
            keep_samples=keep_samples,
        )

    def __iter__(self) -> Iterator[Item]:
        return iter(self._items)

    def count(self) -> int | None:
        """Return how many recordings there are, for which folders are listed; None where they can be read only once."""
        if isinstance(self._items, Iterator):
            return None
        return self._items.count() if isinstance(self._items, Items) else sum(1 for _ in self)

    def over(self, items: Iterator[Item]) -> Self:
        """Return the same source of other items, such as what is left of its own; they can be read once."""
        source = copy.copy(self)
        source._items = items
        return source

    def chunks(
        self, *, num_threads: int | None = None, on_progress: Progress | None = None
    ) -> Iterator[Chunk]:
        """Read all recordings, some at a time; what cannot be read is an error of its chunk, and the rest goes on.

        A recording that is cut and too long for the memory comes in several chunks; where it cannot be read to its
        end, the last of them says so.

        Parameters
        ----------
        num_threads
            Threads of the kernels; all cores if None.
        on_progress
            Called with (done, total) recordings after each chunk.

        Raises
        ------
        DatasetError
            If there is no recording at all.
        """
        total = None if on_progress is None else self.count()
        done = 0
        steps = (
            self._portions(fetched(self), num_threads) if self._keep_samples else self._measured(num_threads)
        )
        for count, make in steps:
            for chunk in make(done):
                yield chunk
                if on_progress is not None:
                    on_progress(done + (0 if chunk.continues else count), total)
            done += count
        self.refuse_none(done)

    def refuse_none(self, recordings: int) -> None:
        """Refuse a source in which there was no recording.

        Raises
        ------
        DatasetError
            If there was none; it says what was passed over.
        """
        if not recordings:
            raise DatasetError(
                "; ".join([f"{self._what}: {NO_SOUND_FILE}", *notes_on(self._passed_over.passed_over())])
            )

    def survey(self) -> Survey:
        """Return what was read so far, by its headers, and what was passed over in folders."""
        return self.surveyor.survey(passed_over=self._passed_over.passed_over())

    def _measured(self, num_threads: int | None) -> Iterator[_Step]:
        """Yield the steps of a source of whose files samples are not kept; some are measured ahead."""
        measurer = self._measures.measurer(
            channel=decoded_channel(self._features),
            max_seconds=self._max_seconds,
            most_samples=min(2 * self._window, _MOST_MEASURED) if self._window else _MOST_MEASURED,
            num_threads=num_threads,
        )
        ahead: deque[list[Item]] = deque()

        def steps(most: int) -> Iterator[_Step]:
            while len(ahead) > most:
                yield from self._steps(ahead.popleft(), measurer.take(), num_threads)

        for are_files, items in itertools.groupby(fetched(self), lambda item: isinstance(item.content, Path)):
            if not are_files:
                yield from steps(0)
                yield from self._portions(items, num_threads)
                continue
            while batch := list(itertools.islice(items, portions.FILES_AT_ONCE)):
                measurer.put([str(item.content) for item in batch])
                ahead.append(batch)
                yield from steps(_CALLS_AHEAD)
        yield from steps(0)

    def _steps(
        self, items: Sequence[Item], measures: FileMeasures, num_threads: int | None
    ) -> Iterator[_Step]:
        """Yield the steps of some files: of those that were measured, and of the longer ones between them."""
        rows = np.concatenate([[0], np.cumsum(measures.lengths > 0)])
        statistics = self._measures.without_short_rhythms(
            measures.statistics, measures.lengths[measures.lengths > 0].tolist()
        )
        long = set(measures.long)
        for are_long, run in itertools.groupby(range(len(items)), long.__contains__):
            places = list(run)
            if are_long:
                yield from self._portions([items[place] for place in places], num_threads)
                continue
            of_run = slice(places[0], places[-1] + 1)
            of_clips = slice(int(rows[of_run.start]), int(rows[of_run.stop]))
            lengths = measures.lengths[of_run]
            clips = MeasuredClips(
                statistics.take(of_clips), measures.quality.take(of_clips), lengths[lengths > 0]
            )
            known = [
                item.with_known_header(header)
                for item, header in zip(items[of_run], measures.headers[of_run], strict=True)
            ]
            self.surveyor.add_all((item.machine_id, item.label, item.header) for item in known)
            errors = {
                place - of_run.start: measures.errors[place] for place in places if place in measures.errors
            }
            yield (
                len(known),
                partial(self._measured_chunk, known, clips, np.flatnonzero(lengths), errors, num_threads),
            )

    def _measured_chunk(
        self,
        items: Sequence[Item],
        clips: MeasuredClips,
        places: np.ndarray,
        errors: Mapping[int, Exception],
        num_threads: int | None,
        first: int,
    ) -> list[Chunk]:
        """Return the chunk of some files, of which those at `places` have clips."""
        headers = [items[place].header for place in places.tolist()]
        chunk = Chunk(
            items=items,
            first=first,
            positions=first + places,
            starts=np.full(len(places), WHOLE, dtype=np.int64),
            errors={first + place: error for place, error in errors.items()},
            source_rates=np.array(
                [header.sample_rate if header else 0 for header in headers], dtype=np.int64
            ),
            clips=clips,
            sample_rate=self._features.sample_rate,
            measures=self._measures,
            num_threads=num_threads,
        )
        return [chunk]

    def _portions(self, items: Iterable[Item], num_threads: int | None) -> Iterator[_Step]:
        """Yield the steps of items whose samples are read, as many at a time as fit in memory."""
        for portion, size in portions.in_portions(items, self._features.sample_rate, self.surveyor):
            yield len(portion), partial(self._chunks, portion, size, num_threads)

    def _chunks(
        self, portion: Sequence[Item], size: int, num_threads: int | None, first: int
    ) -> Iterator[Chunk]:
        window, content = self._window, portion[0].content
        cuts = window is not None and size > max(portions.PORTION_BYTES, portions.SAMPLE_BYTES * 2 * window)
        if window is None or not cuts or not isinstance(content, Path | bytes):
            yield self._read(portion, first, num_threads)
            return
        try:
            with on_disk([content]) as (file,):
                yield from self._stream(portion[0], file, window, first, num_threads)
        except (OffkeyError, OSError) as error:
            errors = {first: _named(error, portion[0])}
            yield self._chunk(portion, first, [], errors, num_threads)

    def _stream(
        self, item: Item, file: str, window: int, first: int, num_threads: int | None
    ) -> Iterator[Chunk]:
        """Yield the windows of one file, a chunk of them in memory at a time."""
        rate, windows = file_windows(file, window, features=self._features, max_seconds=self._max_seconds)
        most = max(1, min(portions.PORTION_ITEMS, portions.PORTION_BYTES // (portions.SAMPLE_BYTES * window)))
        ahead = next(windows, None)
        while ahead is not None:
            batch = [ahead, *itertools.islice(windows, most - 1)]
            ahead = next(windows, None)
            rows = [(first, start, _Clip(samples, rate)) for start, samples in batch]
            yield self._chunk([item], first, rows, {}, num_threads, continues=ahead is not None)

    def _read(self, portion: Sequence[Item], first: int, num_threads: int | None) -> Chunk:
        rate, channel = self._features.sample_rate, decoded_channel(self._features)
        batch = read_batch(
            [item.content for item in portion if isinstance(item.content, Path | bytes)],
            sample_rate=rate,
            channel=channel,
            max_seconds=self._max_seconds,
            on_error="collect",
            num_threads=num_threads,
        )
        files = (
            batch.errors.get(i) or _Clip(batch[i], int(batch.source_rates[i])) for i in range(len(batch))
        )
        rows: list[tuple[int, int, _Clip]] = []
        errors: dict[int, Exception] = {}
        for position, item in enumerate(portion, first):
            outcome = (
                next(files)
                if isinstance(item.content, Path | bytes)
                else _decoded(item.content, rate, channel)
            )
            if isinstance(outcome, Exception):
                errors[position] = _named(outcome, item)
            elif self._window is None or isinstance(item.content, LogMelOf):
                rows.append((position, WHOLE, outcome))
            else:
                rows += [
                    (position, start, _Clip(samples, outcome.source_rate))
                    for start, samples in cut(outcome.array, self._window)
                ]
        return self._chunk(portion, first, rows, errors, num_threads)

    def _chunk(
        self,
        items: Sequence[Item],
        first: int,
        rows: Sequence[tuple[int, int, _Clip]],
        errors: dict[int, Exception],
        num_threads: int | None,
        *,
        continues: bool = False,
    ) -> Chunk:
        """Return the chunk of some clips: of each the position of its recording, its start, and itself."""
        arrays = [clip.array for _, _, clip in rows]
        return Chunk(
            items=items,
            first=first,
            positions=np.array([position for position, _, _ in rows], dtype=np.int64),
            starts=np.array([start for _, start, _ in rows], dtype=np.int64),
            errors=errors,
            source_rates=np.array([clip.source_rate for _, _, clip in rows], dtype=np.int64),
            clips=np.stack(arrays) if arrays and isinstance(items[0].content, LogMelOf) else arrays,
            sample_rate=self._features.sample_rate,
            measures=self._measures,
            num_threads=num_threads,
            continues=continues,
        )


class _Clip(NamedTuple):
    array: np.ndarray
    source_rate: int


def _decoded(content: Any, rate: int, channel: int | str) -> _Clip | Exception:
    """Return the clip of what was decoded elsewhere, as `read_batch` does for files."""
    if isinstance(content, Exception):
        return content
    if isinstance(content, LogMelOf):
        return _Clip(content.logmel, 0)
    samples = content.samples
    if samples.ndim == 2:
        if channel != "mean" and int(channel) >= len(samples):
            return ArrayError(f"channel {channel} was asked for, but there are {len(samples)}")
        samples = samples.mean(axis=0) if channel == "mean" else samples[int(channel)]
    if not samples.size:
        return ArrayError("has no samples")
    try:
        if content.sample_rate != rate:
            return _Clip(resample(samples, from_rate=content.sample_rate, to_rate=rate), content.source_rate)
    except ArrayError as error:
        return error
    if not np.isfinite(samples).all():
        return ArrayError("samples: hold NaN or infinity; expected finite samples")
    return _Clip(np.require(samples, np.float32, ["C", "A"]), content.source_rate)


def _named(error: Exception, item: Item) -> Exception:
    """Return an error that names the item; that of a file does."""
    if isinstance(item.content, Path | Exception):
        return error
    return type(error)(f"{item.name}: {str(error).removeprefix('<bytes>: ')}")


def check_mels(
    features: Features,
    data: LogMelArrays,
    plan: StatisticsPlan = StatisticsPlan(),  # noqa: B008
) -> None:
    """Refuse log-Mels of another number of Mel bins than a recipe's features, or where samples are needed.

    Raises
    ------
    ArrayError
        If they differ, or the plan has finer spectrograms.
    """
    if plan.fine:
        raise ArrayError(
            "logmels: the detector has learned finer spectrograms of recordings too, which log-Mels made elsewhere do "
            "not tell; give it recordings, or fit a detector to log-Mels"
        )
    if data.n_mels != features.n_mels:
        raise ArrayError(
            f"logmels: {data.n_mels} Mel bins, but the recipe has features.n_mels = {features.n_mels}; "
            f"use recipe.replace(features__n_mels={data.n_mels})"
        )
