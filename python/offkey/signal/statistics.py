"""Statistics over time of log-Mel spectrograms: a thin face of the Rust kernel."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from offkey import _native
from offkey._util.threads import threads
from offkey.errors import ArrayError, OffkeyError

__all__ = ["ClipStatistics", "FileStatistics", "clip_statistics"]


class ClipStatistics(NamedTuple):
    """Statistics over time of each Mel bin of each clip, in dB or its natural logarithm.

    Deviations are the population's (divided by the number of frames, not by one less). A clip of one frame
    has no differences: its ``ldstd`` is ``ln(1e-3)``.
    """

    mean: npt.NDArray[np.float32]
    """Mean over time of the decibels, `(clips, n_mels)`."""
    lstd: npt.NDArray[np.float32]
    """``ln(std + 1e-3)``, `(clips, n_mels)`."""
    ldstd: npt.NDArray[np.float32]
    """``ln(std of first frame differences + 1e-3)``, `(clips, n_mels)`."""
    p5: npt.NDArray[np.float32]
    """5th percentile, interpolated linearly as numpy does by default, `(clips, n_mels)`."""


class FileStatistics(NamedTuple):
    """Statistics of sound files, and what was wrong with those that could not be read."""

    statistics: ClipStatistics
    """`(files, n_mels)` each; NaN for files that could not be read."""
    errors: dict[int, OffkeyError | OSError]
    """By position; empty if errors are raised."""


def clip_statistics(logmels: np.ndarray, *, num_threads: int | None = None) -> ClipStatistics:
    """Return statistics over time of given log-Mel spectrograms.

    Parameters
    ----------
    logmels
        `(clips, n_mels, frames)` in dB, float32 or float64 (rounded to float32).
    num_threads
        Threads of the call; None: one for each core, but one in a worker of a torch `DataLoader`.

    Raises
    ------
    ArrayError
        If the array has another shape or dtype, no frame, or values that are not finite.
    """
    logmels = np.asarray(logmels)
    if logmels.ndim != 3 or logmels.dtype not in (np.float32, np.float64):
        raise ArrayError(
            f"logmels: shape {logmels.shape}, {logmels.dtype}; "
            "expected (clips, n_mels, frames) of float32 or float64"
        )
    values = np.require(logmels, np.float32, ["C", "A"])
    return ClipStatistics(*_native.clip_statistics(values, threads(num_threads)))
