"""Some recordings of a source, read, and what is computed of them when it is asked for."""

from __future__ import annotations

import copy
import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

import numpy as np

from offkey.datasets.recordings import Item
from offkey.datasets.statistics_plan import Measures
from offkey.errors import ArrayError
from offkey.signal.quality import ClipQuality, clip_quality
from offkey.signal.statistics import ClipStatistics

__all__ = ["Chunk", "MeasuredClips"]

T = TypeVar("T")


@dataclasses.dataclass(frozen=True, slots=True)
class MeasuredClips:
    """What is left of clips whose samples were measured where they were read."""

    statistics: ClipStatistics
    quality: ClipQuality
    lengths: np.ndarray
    """``(clips,)`` int64: samples of each, at the rate of the features."""

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, rows: slice) -> MeasuredClips:
        return MeasuredClips(self.statistics.take(rows), self.quality.take(rows), self.lengths[rows])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Chunk:
    """Some items of a source, read. Each feature is computed once, when it is first asked for."""

    items: Sequence[Item]
    """All of them, those that cannot be read too."""
    first: int
    """Where the first of them stands in the source."""
    positions: np.ndarray
    """``(clips,)`` int64, ascending: where the recording of each clip that could be read stands in the source."""
    starts: np.ndarray
    """``(clips,)`` int64: where in its recording a clip starts, in samples; `WHOLE` for a recording that is not cut."""
    errors: dict[int, Exception]
    """Position in the source -> why the item cannot be read, or used (see `attempt`)."""
    source_rates: np.ndarray
    """``(clips,)`` int64: the rate that each was recorded at in Hz; 0 for log-Mels."""
    clips: Sequence[np.ndarray] | np.ndarray | MeasuredClips
    """``(samples,)`` float32 each, or log-Mels ``(clips, n_mels, frames)``; or what is left of samples."""
    sample_rate: int
    """Rate of the clips in Hz."""
    measures: Measures
    num_threads: int | None = None
    continues: bool = False
    """Whether the next chunk has more of the one item, whose windows are too many for one chunk."""

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def samples(self) -> Sequence[np.ndarray]:
        """Samples ``(samples,)`` float32 of each clip, at the rate of the features.

        Raises
        ------
        ArrayError
            If the clips are log-Mels.
        """
        if isinstance(self.clips, np.ndarray):
            raise ArrayError("recordings: log-Mels, which have no samples; expected sounds")
        assert not isinstance(self.clips, MeasuredClips)  # only of a source whose samples nobody asks for
        return self.clips

    @property
    def lengths(self) -> np.ndarray:
        """Samples of each clip, ``(clips,)`` int64, at the rate of the features; 0 for log-Mels."""
        if isinstance(self.clips, MeasuredClips):
            return self.clips.lengths
        if isinstance(self.clips, np.ndarray):
            return np.zeros(len(self), dtype=np.int64)
        return np.fromiter(map(len, self.clips), dtype=np.int64, count=len(self.clips))

    @functools.cached_property
    def logmels(self) -> Sequence[np.ndarray]:
        """Log-Mels ``(n_mels, frames)`` float32 of each clip, in dB."""
        if isinstance(self.clips, np.ndarray):
            return list(self.clips)
        return self.measures.logmels(self.samples, num_threads=self.num_threads)

    @functools.cached_property
    def statistics(self) -> ClipStatistics:
        """Statistics over time, ``(clips, n_mels)`` and what else the source's plan has."""
        if isinstance(self.clips, MeasuredClips):
            return self.clips.statistics
        if isinstance(self.clips, np.ndarray):
            return self.measures.statistics_of_logmels(self.clips, num_threads=self.num_threads)
        return self.measures.statistics(self.clips, num_threads=self.num_threads)

    @functools.cached_property
    def quality(self) -> ClipQuality | None:
        """Level, clipping and silence of each clip; None for log-Mels."""
        if isinstance(self.clips, MeasuredClips):
            return self.clips.quality
        if isinstance(self.clips, np.ndarray):
            return None
        return clip_quality(self.clips, sample_rate=self.sample_rate, num_threads=self.num_threads)

    def with_errors(self, errors: Mapping[int, Exception]) -> Chunk:
        """Return the chunk with these errors alone, and what was computed of it."""
        chunk = copy.copy(self)
        object.__setattr__(chunk, "errors", dict(errors))
        return chunk

    def each(self) -> Iterator[Chunk]:
        """Yield each clip that could be read as a chunk of its own, to find the one that cannot be scored."""
        for row, position in enumerate(self.positions.tolist()):
            yield dataclasses.replace(
                self,
                items=[self.items[position - self.first]],
                first=position,
                positions=self.positions[row : row + 1],
                errors={},
                starts=self.starts[row : row + 1],
                source_rates=self.source_rates[row : row + 1],
                clips=self.clips[row : row + 1],
            )

    def attempt(self, compute: Callable[[Chunk], T]) -> Iterator[tuple[Chunk, T]]:
        """Yield the chunk and what is computed of it; clip by clip where one is refused, which joins `errors`.

        A clip is refused by an `ArrayError`: it is too short for the features, or has values that are not finite.
        """
        if not len(self):
            return
        try:
            yield self, compute(self)
        except ArrayError as error:
            if len(self) > 1:
                for clip in self.each():
                    yield from clip.attempt(compute)
                    for position, refusal in clip.errors.items():
                        self.errors.setdefault(position, refusal)
            else:
                self.errors[self.first] = ArrayError(f"{self.items[0].name}: {error}")
