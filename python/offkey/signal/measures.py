"""Statistics and quality of sound files whose samples nobody needs: a thin face of the Rust kernel."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from offkey import _native
from offkey._util import parameters
from offkey._util.parameters import Channel
from offkey._util.threads import threads
from offkey.errors import OffkeyError
from offkey.signal.audio import AudioInfo
from offkey.signal.logmel import LogMel, kernels
from offkey.signal.quality import ClipQuality
from offkey.signal.statistics import ClipStatistics

__all__ = ["FileMeasurer", "FileMeasures"]


class FileMeasures(NamedTuple):
    """What was measured of some files."""

    statistics: ClipStatistics
    """``(clips, n_mels)`` each, of the files whose clips were measured."""
    quality: ClipQuality
    """Of the same clips."""
    lengths: npt.NDArray[np.int64]
    """``(files,)``: samples of each clip, at the rate of the log-Mel; 0 where it was not measured."""
    headers: list[AudioInfo | None]
    """Of each file; None where there is none that can be read."""
    errors: dict[int, OffkeyError | OSError]
    """Position -> why the file cannot be read, or has no spectrogram."""
    long: list[int]
    """Positions of files that may have more than `most_samples`: these were not read."""


class FileMeasurer:
    """Measures files, batch by batch, on threads of its own: several batches may be put in before one is taken out.

    Parameters
    ----------
    logmel
        Whose statistics are wanted.
    fine, rhythm
        As for `LogMel.statistics`.
    channel : int or "mean"
        The channel to take, from 0, or the mean of all.
    max_seconds : float
        A longer recording is one that cannot be read.
    most_samples : int
        A clip that has, or by its header may have, more samples at the rate of `logmel` is left alone.
    num_threads : int, optional
        Threads to use; all cores if None. The result does not depend on it.

    Raises
    ------
    ParameterError
        If a parameter is outside its range.
    """

    def __init__(
        self,
        logmel: LogMel,
        *,
        fine: Sequence[LogMel],
        rhythm: bool,
        channel: Channel,
        max_seconds: float,
        most_samples: int,
        num_threads: int | None = None,
    ) -> None:
        self._kernel = _native.FileMeasurer(
            *kernels("logmel", logmel),
            fine=kernels("fine", fine),
            rhythm=rhythm,
            channel=parameters.channel(channel),
            max_seconds=parameters.seconds("max_seconds", max_seconds),
            most_samples=most_samples,
            num_threads=threads(num_threads),
        )

    def put(self, paths: Sequence[str]) -> None:
        """Let files be measured, after those that were put in before."""
        self._kernel.put(list(paths))

    def take(self) -> FileMeasures:
        """Return what was measured of the batch that was put in first, once it is; there must be one.

        Raises
        ------
        KeyboardInterrupt
            If Ctrl-C is pressed.
        """
        statistics, quality, lengths, headers, errors, long = self._kernel.take()
        return FileMeasures(
            ClipStatistics(*statistics),
            ClipQuality.of_columns(quality),
            lengths,
            [None if header is None else _header(*header) for header in headers],
            dict(errors),
            long,
        )


@functools.lru_cache(maxsize=256)
def _header(sample_rate: int, channels: int, frames: int | None, kind: str, subtype: str) -> AudioInfo:
    """Return a header; the files of an archive have few different ones."""
    return AudioInfo(sample_rate=sample_rate, channels=channels, frames=frames, format=kind, subtype=subtype)
