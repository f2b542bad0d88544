"""What can be seen of a clip's samples alone, before any model hears it: a thin face of the Rust kernel."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from offkey import _native
from offkey._util.threads import threads

__all__ = ["ClipQuality", "clip_contents", "clip_quality"]

_LSB = 2.0**-15  # of 16 bits
_SILENT_SPAN = 2 * _LSB  # between the lowest and the highest sample: dither at most
_CONSTANT_SPAN = 0.01  # of the offset that the samples stand at
_CLIPPED_THROUGHOUT = 0.1  # of the samples; nothing is left of the waveform
_CLIPPED = 0.001  # of the samples
_QUIET_PEAK = 100 * _LSB  # below it the highest value comes again and again without clipping
_OVERSHOOT, _OVERSHOOT_OF_FEW, _OVERSHOOT_OF_MANY = 1.01, 1.3, 2.5
"""Peaks of clips that were at full scale before they were resampled or coded: at least, and at most where few or many
of the samples are there."""
_MANY = 0.2  # of the samples; floats beyond full scale are not so many there


@dataclasses.dataclass(frozen=True, slots=True)
class ClipQuality:
    """Measurements of some clips, ``(clips,)`` each."""

    low: npt.NDArray[np.float64]
    """The lowest sample."""
    high: npt.NDArray[np.float64]
    """The highest sample."""
    mean_square: npt.NDArray[np.float64]
    """Mean of the squared samples."""
    clipped: npt.NDArray[np.float64]
    """Share of samples in runs of three or more that stay at the lowest or the highest value."""
    full_scale: npt.NDArray[np.float64]
    """Share of samples of magnitude 0.99 or more."""
    still: npt.NDArray[np.float64]
    """Share of frames of 20 ms that span at most a thousandth of what the clip spans."""

    def __len__(self) -> int:
        return len(self.low)

    @classmethod
    def of_columns(cls, rows: npt.NDArray[np.float64]) -> ClipQuality:
        """Return the measurements that the kernels give, ``(clips, 6)``."""
        return cls(*rows.T)

    @classmethod
    def joined(cls, parts: Sequence[ClipQuality]) -> ClipQuality:
        """Return the measurements of all clips of several parts."""
        names = [field.name for field in dataclasses.fields(cls)]
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    def take(self, rows: npt.NDArray[np.int64] | npt.NDArray[np.bool_] | slice) -> ClipQuality:
        """Return those of some of the clips."""
        return ClipQuality(*(getattr(self, field.name)[rows] for field in dataclasses.fields(self)))

    @property
    def peak_dbfs(self) -> npt.NDArray[np.float64]:
        """The largest magnitude in dB of full scale (a sample of 1.0); -inf for silence."""
        with np.errstate(divide="ignore"):
            return 20 * np.log10(np.maximum(self.high, -self.low))

    @property
    def rms_dbfs(self) -> npt.NDArray[np.float64]:
        """The root of the mean square in dB of full scale; -inf for silence."""
        with np.errstate(divide="ignore"):
            return 10 * np.log10(self.mean_square)

    @property
    def silent(self) -> npt.NDArray[np.bool_]:
        """Whether there is nothing but the dither of 16 bits, around zero."""
        return self._still & (np.maximum(self.high, -self.low) <= _SILENT_SPAN)

    @property
    def constant(self) -> npt.NDArray[np.bool_]:
        """Whether the samples stand at one value, up to a hundredth of it."""
        offset = np.abs(self.high + self.low) / 2
        return (self._still | (self.high - self.low < _CONSTANT_SPAN * offset)) & ~self.silent

    @property
    def clipped_share(self) -> npt.NDArray[np.float64]:
        """Share of the samples that are clipped, also where a recording was clipped before it was resampled."""
        peak = np.maximum(self.high, -self.low)
        most = np.where(self.full_scale < _MANY, _OVERSHOOT_OF_FEW, _OVERSHOOT_OF_MANY)
        overshot = (peak >= _OVERSHOOT) & (peak <= most) & (self.mean_square <= _OVERSHOOT**2)
        share: npt.NDArray[np.float64] = np.where(overshot, self.full_scale, self.clipped)
        return np.where((peak < _QUIET_PEAK) | self.silent | self.constant, 0.0, share)

    @property
    def clipped_throughout(self) -> npt.NDArray[np.bool_]:
        """Whether a tenth of the samples or more are clipped."""
        return self.clipped_share >= _CLIPPED_THROUGHOUT

    @property
    def clipped_in_part(self) -> npt.NDArray[np.bool_]:
        """Whether a thousandth of the samples or more are clipped, but less than a tenth."""
        return (self.clipped_share >= _CLIPPED) & ~self.clipped_throughout

    @property
    def _still(self) -> npt.NDArray[np.bool_]:
        return self.high - self.low <= _SILENT_SPAN


def clip_quality(
    clips: Sequence[npt.NDArray[np.float32]], *, sample_rate: int, num_threads: int | None = None
) -> ClipQuality:
    """Measure clips.

    Parameters
    ----------
    clips : sequence of (samples,) float32
        Clips of any length, C-contiguous.
    sample_rate : int
        Their rate in Hz.
    num_threads : int, optional
        Threads of the call; all cores if None. The result does not depend on it.

    Raises
    ------
    ArrayError
        If a clip has no samples, or is not contiguous.
    """
    return ClipQuality.of_columns(_native.clip_quality(clips, sample_rate, threads(num_threads)))


def clip_contents(
    clips: Sequence[npt.NDArray[np.float32]], *, num_threads: int | None = None
) -> npt.NDArray[np.uint64]:
    """Return hashes of clips, ``(clips,)``, that are equal where all samples are, and else practically never.

    Parameters
    ----------
    clips, num_threads
        As for `clip_quality`, but a clip may have no samples.

    Raises
    ------
    ArrayError
        If a clip is not contiguous.
    """
    return _native.clip_contents(clips, threads(num_threads))
