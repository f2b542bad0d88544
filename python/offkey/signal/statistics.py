"""Statistics over time of log-Mel spectrograms: a thin face of the Rust kernel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from offkey import _native
from offkey._util import parameters
from offkey._util.arrays import floats
from offkey._util.threads import threads
from offkey.errors import ArrayError, OffkeyError

__all__ = [
    "RHYTHM_BANDS",
    "RHYTHM_LOWEST_HZ",
    "RHYTHM_RATES",
    "ClipStatistics",
    "FileStatistics",
    "FrameMoments",
    "clip_statistics",
    "rhythm",
]

RHYTHM_BANDS, RHYTHM_RATES, RHYTHM_LOWEST_HZ = 32, 4, 0.4
"""Of a rhythm as models measure it, and as `rhythm` does by default."""


class ClipStatistics(NamedTuple):
    """Statistics over time of each Mel bin of each clip, in dB or its natural logarithm.

    Deviations are the population's (divided by the number of frames, not by one less). A clip of one frame
    has no differences: its ``ldstd`` is ``ln(1e-3)``.
    """

    mean: npt.NDArray[np.float32]
    """Mean over time of the decibels, ``(clips, n_mels)``."""
    lstd: npt.NDArray[np.float32]
    """``ln(std + 1e-3)``, ``(clips, n_mels)``."""
    ldstd: npt.NDArray[np.float32]
    """``ln(std of first frame differences + 1e-3)``, ``(clips, n_mels)``."""
    p5: npt.NDArray[np.float32]
    """5th percentile, interpolated linearly as numpy does by default, ``(clips, n_mels)``."""
    fine_mean: npt.NDArray[np.float32] | None = None
    """Means over time of the decibels of finer spectrograms, ``(clips, sum of their n_mels)``, one spectrogram's after
    the other's; None where there is none."""
    rhythm: npt.NDArray[np.float32] | None = None
    """The rhythm of `offkey.rhythm`, ``(clips, 128)``; None where it was not asked for."""

    @classmethod
    def joined(cls, parts: Sequence[ClipStatistics]) -> Self:
        """Return those of all clips of several parts.

        Raises
        ------
        ArrayError
            If some parts have an array that others lack.
        """
        names = [frozenset(part.arrays()) for part in parts]
        if len(set(names)) > 1:
            missing = sorted(frozenset.union(*names) - frozenset.intersection(*names))
            raise ArrayError(
                f"statistics: only some of the parts have {', '.join(missing)}; expected all or none"
            )
        return cls(
            **{name: np.concatenate([getattr(part, name) for part in parts]) for name in parts[0].arrays()}
        )

    def take(self, rows: Sequence[int] | np.ndarray | slice) -> Self:
        """Return those of some of the clips, by position or mask."""
        return type(self)(**{name: array[rows] for name, array in self.arrays().items()})

    def arrays(self) -> dict[str, npt.NDArray[np.float32]]:
        """Return the arrays by name, without those that are None."""
        return {name: array for name, array in self._asdict().items() if array is not None}


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


class FileStatistics(NamedTuple):
    """Statistics of sound files, and what was wrong with those that could not be read."""

    statistics: ClipStatistics
    """``(files, n_mels)`` each; NaN for files that could not be read."""
    errors: dict[int, OffkeyError | OSError]
    """By position; empty if errors are raised."""


def clip_statistics(logmels: npt.NDArray[np.floating], *, num_threads: int | None = None) -> ClipStatistics:
    """Return statistics over time of given log-Mel spectrograms.

    Parameters
    ----------
    logmels : (clips, n_mels, frames) float array
        The spectrograms in dB; other floats than float32 are rounded to it.
    num_threads : int, optional
        Threads of the call. Default: one for each core, but one in a worker of a torch `DataLoader`.

    Returns
    -------
    ClipStatistics
        Four arrays ``(clips, n_mels)`` float32.

    Raises
    ------
    ArrayError
        If the array has another shape or dtype, no frame, or values that are not finite.

    Examples
    --------
    >>> import numpy as np, offkey
    >>> statistics = offkey.clip_statistics(np.arange(101.0).reshape(1, 1, 101))
    >>> float(statistics.mean[0, 0]), float(statistics.p5[0, 0])
    (50.0, 5.0)
    """
    values = floats("logmels", logmels, ("clips", "n_mels", "frames"))
    return ClipStatistics(*_native.clip_statistics(values, threads(num_threads)))


def rhythm(
    logmels: npt.NDArray[np.floating],
    *,
    frame_rate_hz: float,
    bands: int = RHYTHM_BANDS,
    rates: int = RHYTHM_RATES,
    lowest_hz: float = RHYTHM_LOWEST_HZ,
    num_threads: int | None = None,
) -> npt.NDArray[np.float32]:
    """Return how strongly the level of each clip swings, at several rates and in several bands.

    Neighbouring Mels are averaged: band ``b`` is the mean of the Mels from ``floor(b * n_mels / bands)`` up to, but not
    including, ``ceil((b + 1) * n_mels / bands)``, as adaptive average pooling does. So where `bands` does not divide
    the number of Mels, neighbours share one; where there are fewer Mels than bands, bands repeat them.

    Of each band, less its mean over time and weighted by a symmetric Hann window over the whole clip, the periodogram
    ``|rfft|**2 / frames`` is averaged within ranges of frequency, the rates. Their edges are ``geomspace(lowest_hz,
    frame_rate_hz / 2, rates + 1)``; the lower edge is part of a range, the upper is not. A range without a frequency
    takes the one nearest to its geometric middle. The result is ``ln(mean + 1e-6)``, within 1e-4 of the definition
    unless a rate has less than a thousandth of its band's mean power. A clip that does not vary, and so one of one
    frame, has ``ln(1e-6)`` everywhere.

    Parameters
    ----------
    logmels : (clips, n_mels, frames) float array
        The spectrograms in dB; other floats than float32 are rounded to it.
    frame_rate_hz : float
        Frames a second: the sample rate over the hop length.
    bands : int, default 32
        From 1 to 8192.
    rates : int, default 4
        From 1 to 8192.
    lowest_hz : float, default 0.4
        The lowest rate, above 0 and below half the frame rate.
    num_threads : int, optional
        Threads of the call. Default: one for each core, but one in a worker of a torch `DataLoader`.

    Returns
    -------
    (clips, rates * bands) float32
        In ln dB^2: all bands of the lowest rate first.

    Raises
    ------
    ArrayError
        If the array has another shape or dtype, no frame, or values that are not finite.
    ParameterError
        If another parameter is outside its range.

    Examples
    --------
    A level that swings by 3 dB four times a second:

    >>> import numpy as np, offkey
    >>> swing = 3 * np.sin(2 * np.pi * 4 * np.arange(313) / 31.25)
    >>> rhythm = offkey.rhythm(np.tile(swing, (1, 128, 1)), frame_rate_hz=31.25)
    >>> np.round(rhythm.reshape(4, 32)[:, 0].astype(float), 1).tolist()
    [-13.8, -13.8, 2.0, -13.8]
    """
    values = floats("logmels", logmels, ("clips", "n_mels", "frames"))
    return _native.rhythm(
        values,
        frame_rate_hz=frame_rate_hz,
        bands=parameters.integer("bands", bands, 1, 8192),
        rates=parameters.integer("rates", rates, 1, 8192),
        lowest_hz=lowest_hz,
        num_threads=threads(num_threads),
    )
