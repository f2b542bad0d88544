"""Where the cells of a spectrogram lie: their edges in Hz and in seconds, and how one grid is brought to another."""

from __future__ import annotations

import dataclasses
from typing import Self

import numpy as np
import numpy.typing as npt

from offkey.signal.logmel import LogMel

__all__ = ["Cells"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """The cells of a log-Mel spectrogram: each reaches half the way to its neighbours."""

    edges_hz: npt.NDArray[np.float64]
    """``(n_mels + 1,)``, rising."""
    edges_s: npt.NDArray[np.float64]
    """``(frames + 1,)``, rising from 0 to the clip's duration."""

    @classmethod
    def of(cls, logmel: LogMel, samples: int) -> Self:
        """Return those of a clip of so many samples.

        Raises
        ------
        ArrayError
            If the clip is too short for the spectrogram.
        """
        top = logmel.sample_rate / 2 if logmel.f_max_hz is None else logmel.f_max_hz
        first = 0.0 if logmel.pad_mode != "none" else logmel.n_fft / 2
        centres = first + logmel.hop_length * np.arange(logmel.frames(samples))
        return cls(
            edges_hz=_edges(logmel.peaks_hz(), logmel.f_min_hz, top),
            edges_s=_edges(centres, 0.0, samples) / logmel.sample_rate,
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Number of Mel bins and of frames."""
        return len(self.edges_hz) - 1, len(self.edges_s) - 1

    @property
    def centres_hz(self) -> npt.NDArray[np.float64]:
        """The middle of each Mel bin, ``(n_mels,)``."""
        middles: npt.NDArray[np.float64] = (self.edges_hz[1:] + self.edges_hz[:-1]) / 2
        return middles

    def spread(self, values: np.ndarray, to: Cells) -> np.ndarray:
        """Return ``(n_mels, frames)`` amounts as they lie on another grid; each is shared out by area.

        Parameters
        ----------
        values
            Amounts, such as shares of a score: their sum stays what it is.
        to
            A grid of the same span.
        """
        bins, frames = _overlaps(self.edges_hz, to.edges_hz), _overlaps(self.edges_s, to.edges_s)
        spread: np.ndarray = bins @ values @ frames.T
        return spread


def _edges(centres: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return the middles between neighbours, and both ends."""
    middles = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[low], np.clip(middles, low, high), [high]])


def _overlaps(edges: np.ndarray, to: np.ndarray) -> np.ndarray:
    """Return which part of each interval lies in each one of another division, ``(to, from)``; columns sum to 1."""
    low = np.maximum(to[:-1, None], edges[None, :-1])
    high = np.minimum(to[1:, None], edges[None, 1:])
    parts = np.maximum(high - low, 0.0)
    totals = parts.sum(axis=0)
    # An interval of no width, or outside the other span, belongs to the nearest.
    for column in np.flatnonzero(totals <= 0).tolist():
        middle = (edges[column] + edges[column + 1]) / 2
        parts[np.argmin(np.abs((to[1:] + to[:-1]) / 2 - middle)), column] = 1.0
    shares: np.ndarray = parts / parts.sum(axis=0)
    return shares
