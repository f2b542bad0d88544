"""What a model says of where in a clip its score comes from, and the clip as it is shown to the model."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping

import numpy as np

from offkey.datasets.statistics_plan import Measures, StatisticsPlan
from offkey.recipe import Features
from offkey.signal.cells import Cells
from offkey.signal.logmel import LogMel
from offkey.signal.statistics import ClipStatistics

__all__ = ["Attribution", "ExplainedClip", "Part", "Picture"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A log-Mel and where its cells lie."""

    logmel: np.ndarray
    """``(n_mels, frames)`` float64 in dB."""
    cells: Cells

    @classmethod
    def of(cls, samples: np.ndarray, features: Features) -> Picture:
        """Return that of samples ``(samples,)`` at the rate of the features."""
        logmel = LogMel.from_recipe(features)
        return cls(logmel=logmel(samples[None])[0].astype(np.float64), cells=Cells.of(logmel, len(samples)))


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExplainedClip:
    """A clip whose score is to be explained, and what is known of healthy ones."""

    samples: np.ndarray
    """``(samples,)`` float32 at the rate of the features."""
    features: Features
    plan: StatisticsPlan
    healthy: ClipStatistics | None
    """Of healthy training clips of the ID that it is compared with; None where none are kept."""

    @functools.cached_property
    def picture(self) -> Picture:
        """The log-Mel, on whose cells a map lies."""
        return Picture.of(self.samples, self.features)

    @functools.cached_property
    def fine(self) -> tuple[Picture, ...]:
        """The finer spectrograms of the plan."""
        return tuple(Picture.of(self.samples, features) for features in self.plan.fine)

    @functools.cached_property
    def statistics(self) -> ClipStatistics:
        """Of this clip alone, ``(1, n_mels)`` each."""
        return Measures(self.features, self.plan).statistics([self.samples], num_threads=1)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one feature set of a model says of a clip."""

    name: str
    raised: float
    """What it adds to the raw score; below 0 where it speaks for a healthy clip."""
    ratio: float
    """Its quadratic form."""
    amounts: Mapping[str, np.ndarray]
    """Statistic -> ``(bins,)`` what each adds to the ratio: all of them sum to it."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """Where in a clip a raw score comes from."""

    map: np.ndarray
    """``(n_mels, frames)`` float64: what each cell adds to `raised`, negative where it lowers it."""
    raised: float
    """What the map sums to: by how much the score lies above that of usual healthy clips."""
    spoken: Mapping[str, np.ndarray]
    """Kind of statistic (`level`, `fluctuation`, `spread`, `floor`, `rhythm`, `pattern`) -> ``(n_mels,)`` what it adds
    in each Mel bin; all of them sum to `raised`."""
    parts: tuple[Part, ...] = ()

    def scaled(self, factor: float) -> Attribution:
        """Return the same in other units, of which one of the score is so many; `parts` stay."""
        spoken = {kind: factor * amounts for kind, amounts in self.spoken.items()}
        return dataclasses.replace(self, map=factor * self.map, raised=factor * self.raised, spoken=spoken)
