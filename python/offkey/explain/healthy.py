"""How one clip compares with healthy ones: the measures of a band, and which recordings resemble it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Self

import numpy as np

from offkey.explain.explanation import Nearest
from offkey.explain.places import Run
from offkey.models.attribution import ExplainedClip
from offkey.signal.cells import Cells
from offkey.signal.statistics import RHYTHM_BANDS, RHYTHM_LOWEST_HZ, RHYTHM_RATES, ClipStatistics
from offkey.training_record import TrainingRecord

__all__ = ["HealthyClips", "Measure", "band_edges"]

_MOST_NEAREST = 3
_LEAST_DEVIATION = 1e-3  # of a statistic over healthy clips: below it there is but rounding
_FLANK = 2  # bins: a band's neighbours on each side are as many as it has itself, and not fewer


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One number that a band has in the clip and in each healthy one."""

    kind: str
    """`level`, `contrast`, `floor`, `fluctuation`, `spread` or `rhythm`."""
    value: float
    """In dB for the first three, else a natural logarithm of an amplitude."""
    healthy: np.ndarray
    """``(clips,)``."""
    rates_hz: tuple[float, float] | None = None
    """Of a rhythm: between which rates the band swings."""

    @property
    def above(self) -> float:
        """By how much the clip lies above every healthy one; below 0 if it does not."""
        return self.value - float(self.healthy.max())

    @property
    def below(self) -> float:
        """By how much it lies below every healthy one; below 0 if it does not."""
        return float(self.healthy.min()) - self.value

    @property
    def outside(self) -> float:
        """How far it lies outside the healthy ones, in deviations of these; below 0 if it lies among them."""
        return max(self.above, self.below) / max(float(self.healthy.std()), _LEAST_DEVIATION)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class HealthyClips:
    """Healthy training clips of one machine ID whose statistics are kept, at least one."""

    statistics: ClipStatistics
    paths: tuple[str, ...]
    """Of each clip; none for log-Mels made elsewhere."""
    whole: bool
    """Whether each clip is a recording of its own."""

    @classmethod
    def of(cls, record: TrainingRecord | None, machine_id: str) -> Self | None:
        """Return those that a detector keeps; None where there are none."""
        if record is None:
            return None
        ids = np.array([record.machine_ids[i] for i in record.indices.tolist()], dtype=object)
        rows = np.flatnonzero(ids == machine_id)
        if not len(rows):
            return None
        clips = record.indices[rows]
        return cls(
            statistics=record.statistics.take(rows),
            paths=tuple(record.paths[i] for i in clips.tolist()) if record.paths else (),
            whole=len(np.unique(record.groups[clips])) == len(clips),
        )

    def __len__(self) -> int:
        return len(self.statistics.mean)

    def words(self) -> str:
        """Say how many there are, such as "60 healthy recordings"."""
        noun = "recording" if self.whole else "clip"
        return f"{len(self)} healthy {noun}{'s' * (len(self) > 1)}"

    def levels_db(self) -> np.ndarray:
        """Return the lowest and the highest mean level of each Mel bin, ``(2, n_mels)``."""
        return np.stack([self.statistics.mean.min(axis=0), self.statistics.mean.max(axis=0)])

    def nearest(self, statistics: ClipStatistics) -> tuple[Nearest, ...]:
        """Return the recordings that resemble a clip most, the nearest first."""
        squares = []
        for name, values in self.statistics.arrays().items():
            apart = values - getattr(statistics, name)
            if np.isfinite(apart).all():  # a clip that is too short for a rhythm has none
                squares.append(np.square(apart / np.maximum(values.std(axis=0), _LEAST_DEVIATION)))
        distances = np.sqrt(np.concatenate(squares, axis=1).mean(axis=1, dtype=np.float64))
        found: dict[str, float] = {}
        for place in np.argsort(distances, kind="stable").tolist() if self.paths else ():
            found.setdefault(self.paths[place], float(distances[place]))
            if len(found) == _MOST_NEAREST:
                break
        return tuple(Nearest(path=path, distance=distance) for path, distance in found.items())

    def level(self, clip: ExplainedClip) -> Measure:
        """Return the mean level over all Mel bins."""
        own, others = clip.statistics.mean, self.statistics.mean
        value = float(own[0].mean(dtype=np.float64))
        return Measure(kind="level", value=value, healthy=others.mean(axis=1, dtype=np.float64))

    def measures(self, clip: ExplainedClip, band: Run) -> Iterator[Measure]:
        """Yield what there is to compare in a band, from its first to its last Mel bin."""
        inside = slice(band[0], band[1] + 1)
        own, others = clip.statistics, self.statistics
        for kind, name in (("level", "mean"), ("floor", "p5"), ("fluctuation", "ldstd"), ("spread", "lstd")):
            yield Measure(
                kind=kind,
                value=float(getattr(own, name)[0, inside].mean(dtype=np.float64)),
                healthy=getattr(others, name)[:, inside].mean(axis=1, dtype=np.float64),
            )
        flanks = _flanks(band, own.mean.shape[1])
        if flanks.any():
            levels = [
                rows[:, inside].mean(axis=1, dtype=np.float64)
                - rows[:, flanks].mean(axis=1, dtype=np.float64)
                for rows in (own.mean, others.mean)
            ]
            yield Measure(kind="contrast", value=float(levels[0][0]), healthy=levels[1])
        yield from self._rhythms(clip, band)

    def _rhythms(self, clip: ExplainedClip, band: Run) -> Iterator[Measure]:
        own, others = clip.statistics.rhythm, self.statistics.rhythm
        if own is None or others is None or not np.isfinite(own).all():
            return
        bins = clip.picture.cells.shape[0]
        bands = slice(band[0] * RHYTHM_BANDS // bins, band[1] * RHYTHM_BANDS // bins + 1)
        frame_rate_hz = clip.features.sample_rate / clip.features.hop_length
        edges = np.geomspace(RHYTHM_LOWEST_HZ, frame_rate_hz / 2, RHYTHM_RATES + 1)
        for rate in range(RHYTHM_RATES):
            value, healthy = (
                rows.reshape(-1, RHYTHM_RATES, RHYTHM_BANDS)[:, rate, bands].mean(axis=1, dtype=np.float64)
                / 2
                for rows in (own, others)
            )
            yield Measure(
                kind="rhythm",
                value=float(value[0]),
                healthy=healthy,
                rates_hz=(float(edges[rate]), float(edges[rate + 1])),
            )


def band_edges(cells: Cells, band: Run) -> tuple[float, float]:
    """Return the edges of a band in Hz."""
    return float(cells.edges_hz[band[0]]), float(cells.edges_hz[band[1] + 1])


def _flanks(band: Run, bins: int) -> np.ndarray:
    """Return the mask of a band's neighbours."""
    width = max(band[1] + 1 - band[0], _FLANK)
    places = np.arange(bins)
    mask: np.ndarray = (places >= band[0] - width) & (places <= band[1] + width)
    mask[band[0] : band[1] + 1] = False
    return mask
