"""What is measured of clips for models that look at statistics."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Collection, Iterable, Sequence

import numpy as np

from offkey._util.parameters import Channel
from offkey.recipe import Features
from offkey.signal.logmel import LogMel
from offkey.signal.measures import FileMeasurer
from offkey.signal.statistics import (
    RHYTHM_LOWEST_HZ,
    RHYTHM_RATES,
    ClipStatistics,
    clip_statistics,
    rhythm,
)

__all__ = ["Measures", "StatisticsPlan"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class StatisticsPlan:
    """What is measured of clips beside the statistics of their log-Mels."""

    fine: tuple[Features, ...] = ()
    """Finer log-Mels whose means over time are wanted."""
    rhythm: bool = False
    """Whether the rhythm is wanted."""

    def __or__(self, other: StatisticsPlan) -> StatisticsPlan:
        return StatisticsPlan(fine=self.fine or other.fine, rhythm=self.rhythm or other.rhythm)

    def narrowed(self, names: Collection[str]) -> StatisticsPlan:
        """Return the part of the plan that gives some of `fine_mean` and `rhythm`."""
        return StatisticsPlan(
            fine=self.fine if "fine_mean" in names else (), rhythm=self.rhythm and "rhythm" in names
        )

    def part_of(self, statistics: ClipStatistics) -> ClipStatistics:
        """Return statistics without what the plan does not have."""
        return statistics._replace(
            fine_mean=statistics.fine_mean if self.fine else None,
            rhythm=statistics.rhythm if self.rhythm else None,
        )


class Measures:
    """Log-Mels and statistics of clips. Plans of spectrograms are made when they are first needed.

    Parameters
    ----------
    features
        The log-Mel.
    plan
        What is measured beside its statistics.
    """

    def __init__(self, features: Features, plan: StatisticsPlan) -> None:
        self._features, self._plan = features, plan

    def logmels(self, clips: Sequence[np.ndarray], *, num_threads: int | None) -> list[np.ndarray]:
        """Return log-Mels ``(n_mels, frames)`` float32 of samples ``(samples,)``."""
        return self._logmel.each(clips, num_threads=num_threads)

    def statistics(self, clips: Sequence[np.ndarray], *, num_threads: int | None) -> ClipStatistics:
        """Return the statistics of samples ``(samples,)``.

        The rhythm of a clip that is too short for one is NaN: shorter than one period of the upper edge of its slowest
        rate, 1 s with the features of the paper.
        """
        statistics = self._logmel.statistics(
            clips, fine=self._fine, rhythm=self._plan.rhythm, num_threads=num_threads
        )
        return self.without_short_rhythms(statistics, [len(clip) for clip in clips])

    def without_short_rhythms(self, statistics: ClipStatistics, lengths: Iterable[int]) -> ClipStatistics:
        """Return statistics of clips of so many samples, with NaN where there is no rhythm (see `statistics`)."""
        if statistics.rhythm is not None:
            frames = np.fromiter(map(self._frames, lengths), dtype=np.int64)
            statistics.rhythm[frames < self._fewest_frames] = np.nan
        return statistics

    def measurer(
        self, *, channel: Channel, max_seconds: float, most_samples: int, num_threads: int | None
    ) -> FileMeasurer:
        """Return what measures files: see `FileMeasurer`."""
        return FileMeasurer(
            self._logmel,
            fine=self._fine,
            rhythm=self._plan.rhythm,
            channel=channel,
            max_seconds=max_seconds,
            most_samples=most_samples,
            num_threads=num_threads,
        )

    def statistics_of_logmels(self, logmels: np.ndarray, *, num_threads: int | None) -> ClipStatistics:
        """Return the statistics of log-Mels ``(clips, n_mels, frames)``, of which there are no finer spectrograms."""
        statistics = clip_statistics(logmels, num_threads=num_threads)
        if not self._plan.rhythm:
            return statistics
        rows = rhythm(logmels, frame_rate_hz=self._frame_rate_hz, num_threads=num_threads)
        if logmels.shape[2] < self._fewest_frames:
            rows = np.full_like(rows, np.nan)
        return statistics._replace(rhythm=rows)

    @property
    def sufficient_samples(self) -> int:
        """So many samples are enough for all of it."""
        n_fft = max(features.n_fft for features in (self._features, *self._plan.fine))
        return n_fft + self._features.hop_length * max(8, self._fewest_frames if self._plan.rhythm else 0)

    @functools.cached_property
    def _logmel(self) -> LogMel:
        return LogMel.from_recipe(self._features)

    @functools.cached_property
    def _fine(self) -> tuple[LogMel, ...]:
        return tuple(map(LogMel.from_recipe, self._plan.fine))

    @functools.cached_property
    def _frames(self) -> Callable[[int], int]:
        """Gives the number of frames of so many samples; most clips are as long as others."""
        return functools.lru_cache(maxsize=256)(self._logmel.frames)

    @property
    def _frame_rate_hz(self) -> float:
        return self._features.sample_rate / self._features.hop_length

    @property
    def _fewest_frames(self) -> int:
        """With fewer, the slowest rate would lie between two lines of the clip's spectrum."""
        widening: float = (self._frame_rate_hz / 2 / RHYTHM_LOWEST_HZ) ** (1 / RHYTHM_RATES)
        upper_edge = RHYTHM_LOWEST_HZ * widening
        return math.ceil(self._frame_rate_hz / upper_edge)
