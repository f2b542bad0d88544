"""Where and when a fault is heard: the bands and times in which it stands out most against all else in the clip."""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Self

import numpy as np

from offkey.signal.cells import Cells
from offkey.signal.logmel import LogMel

__all__ = ["Place"]

_FRAME_S = 0.064
_HALF_POWER_DB = 3.0
_LOUDEST = 0.98  # quantile over frames that stands for the strongest: one chance peak would hide the rest


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Half-power bands and times of a fault; none of a fault that is not heard."""

    bands_hz: tuple[tuple[float, float], ...]
    """Bands in which the fault, against all that is heard there, has at least half the power it has in its strongest
    Mel bin."""
    times_s: tuple[tuple[float, float], ...]
    """Times in which it has at least half the power in these bands that it has in its loudest moments."""

    @classmethod
    def of(cls, fault: np.ndarray, heard: np.ndarray, sample_rate: int) -> Self:
        """Find the place of a fault.

        Parameters
        ----------
        fault
            ``(samples,)``: the clip less the same clip without the fault, at any level.
        heard
            ``(samples,)``: the whole clip, at any level.
        sample_rate
            Of both in Hz.
        """
        largest = float(np.abs(fault).max())
        if not largest > 0:
            return cls(bands_hz=(), times_s=())
        n_fft = 2 ** round(math.log2(_FRAME_S * sample_rate))
        logmel = LogMel(
            sample_rate=sample_rate,
            n_fft=n_fft,
            hop_length=n_fft // 2,
            n_mels=128 if sample_rate >= 16_000 else 64,
            num_threads=1,
        )
        sounds = np.stack([fault / largest, heard / np.abs(heard).max()]).astype(np.float32)
        power, of_all = 10.0 ** (logmel(sounds).astype(np.float64) / 10)
        usual = of_all.mean(axis=1)
        bins = _strong(power.mean(axis=1) / usual)
        frames = _strong((power[bins] / usual[bins, None]).sum(axis=0), strongest=_LOUDEST)
        cells = Cells.of(logmel, len(fault))
        return cls(bands_hz=_runs(bins, cells.edges_hz), times_s=_runs(frames, cells.edges_s))


def _strong(power: np.ndarray, *, strongest: float = 1.0) -> np.ndarray:
    mask: np.ndarray = power >= 10 ** (-_HALF_POWER_DB / 10) * np.quantile(power, strongest)
    return mask


def _runs(mask: np.ndarray, edges: np.ndarray) -> tuple[tuple[float, float], ...]:
    """Return the edges of each run of true cells."""
    runs = []
    for inside, cells in itertools.groupby(enumerate(mask.tolist()), key=lambda cell: cell[1]):
        places = [place for place, _ in cells]
        if inside:
            runs.append((float(edges[places[0]]), float(edges[places[-1] + 1])))
    return tuple(runs)
