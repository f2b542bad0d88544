"""Types of the Rust kernels. Checked against the built module by `mypy.stubtest`."""

from collections.abc import Sequence
from os import PathLike
from typing import Self, final

import numpy as np
from numpy import float32, float64, ndarray
from numpy.typing import NDArray

from offkey.errors import OffkeyError

__all__ = [
    "DEBUG_BUILD",
    "SIMD_LEVEL",
    "AudioBlocks",
    "Augmenter",
    "FileMeasurer",
    "LogMel",
    "QuadraticForms",
    "Resampler",
    "__version__",
    "audio_info",
    "augment_logmels",
    "bfloat16_in_hardware",
    "check_n_fft",
    "clip_contents",
    "clip_quality",
    "clip_statistics",
    "counts_from",
    "draw_near_anomaly",
    "fade",
    "fit_gaussians",
    "mask",
    "near_anomalies",
    "near_anomaly",
    "pitch_shift",
    "read_audio",
    "read_audio_batch",
    "rhythm",
    "time_shift",
    "time_stretch",
    "white_noise",
    "whiten",
    "wins",
]
__version__: str
DEBUG_BUILD: bool
SIMD_LEVEL: str

def bfloat16_in_hardware() -> bool: ...
def check_n_fft(n_fft: int) -> None: ...
def clip_contents(clips: Sequence[NDArray[float32]], num_threads: int | None) -> NDArray[np.uint64]: ...
def clip_quality(
    clips: Sequence[NDArray[float32]], sample_rate: int, num_threads: int | None
) -> NDArray[np.float64]: ...
def counts_from(
    values: NDArray[np.float64], thresholds: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]: ...
def fit_gaussians(
    x: NDArray[np.float32] | NDArray[np.float64],
    index: NDArray[np.int64],
    ids: int,
    covariance: str,
    shared: bool,
    num_threads: int | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]: ...
def wins(normals: NDArray[np.float64], anomalies: NDArray[np.float64]) -> int: ...
def whiten(covariances: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]: ...

@final
class QuadraticForms:
    def __new__(
        cls,
        means: NDArray[np.float64],
        factors: NDArray[np.float64],
        which: NDArray[np.int64] | None = None,
    ) -> Self: ...
    def all(
        self,
        x: NDArray[np.float32] | NDArray[np.float64],
        out: NDArray[np.float64] | None = None,
        num_threads: int | None = None,
        root: bool = False,
    ) -> NDArray[np.float64]: ...
    def own(
        self,
        x: NDArray[np.float32] | NDArray[np.float64],
        index: NDArray[np.int64],
        out: NDArray[np.float64] | None = None,
        num_threads: int | None = None,
        root: bool = False,
    ) -> NDArray[np.float64]: ...

_Statistics = tuple[
    NDArray[float32],
    NDArray[float32],
    NDArray[float32],
    NDArray[float32],
    NDArray[float32] | None,
    NDArray[float32] | None,
]

@final
class LogMel:
    def __new__(
        cls,
        *,
        sample_rate: int,
        n_fft: int,
        hop_length: int,
        win_length: int | None,
        window: str,
        n_mels: int,
        f_min_hz: float,
        f_max_hz: float | None,
        mel_scale: str,
        mel_norm: str,
        pad_mode: str,
        spectrum: str,
        floor: str,
        floor_value: float,
    ) -> LogMel: ...
    def frames(self, samples: int) -> int: ...
    def empty_filters(self) -> list[int]: ...
    def filters(self) -> NDArray[float32]: ...
    def peaks_hz(self) -> NDArray[float64]: ...
    def batch(
        self,
        clips: Sequence[ndarray],
        masks: NDArray[float32] | None,
        out: NDArray[float32] | None,
        num_threads: int | None,
    ) -> NDArray[float32]: ...
    def each(self, clips: Sequence[ndarray], num_threads: int | None) -> list[NDArray[float32]]: ...
    def statistics(
        self, clips: Sequence[ndarray], fine: list[LogMel], rhythm: bool, num_threads: int | None
    ) -> _Statistics: ...
    def from_files(
        self,
        paths: list[str],
        channel: int | None,
        max_seconds: float,
        out: NDArray[float32] | None,
        num_threads: int | None,
    ) -> NDArray[float32]: ...
    def each_from_files(
        self, paths: list[str], channel: int | None, max_seconds: float, num_threads: int | None
    ) -> list[NDArray[float32]]: ...
    def statistics_from_files(
        self,
        paths: list[str],
        channel: int | None,
        max_seconds: float,
        collect: bool,
        fine: list[LogMel],
        rhythm: bool,
        num_threads: int | None,
    ) -> tuple[_Statistics, list[tuple[int, OffkeyError | OSError]]]: ...

def clip_statistics(logmels: NDArray[float32], num_threads: int | None) -> _Statistics: ...
def rhythm(
    logmels: NDArray[float32],
    *,
    frame_rate_hz: float,
    bands: int,
    rates: int,
    lowest_hz: float,
    num_threads: int | None,
) -> NDArray[float32]: ...

_F32 = NDArray[np.float32]
_I64 = NDArray[np.int64]
_U64 = NDArray[np.uint64]

def white_noise(samples: _F32, *, snr_db: float, seed: int, out: _F32 | None = None) -> _F32: ...
def fade(samples: _F32, *, fade_in: int, fade_out: int, shape: str, in_place: bool) -> _F32: ...
def time_shift(samples: _F32, *, shift: int, out: _F32 | None = None) -> _F32: ...
def time_stretch(samples: _F32, *, rate: float, sample_rate: int, out: _F32 | None = None) -> _F32: ...
def pitch_shift(samples: _F32, *, semitones: float, sample_rate: int, out: _F32 | None = None) -> _F32: ...
def mask(logmel: _F32, *, axis: str, start: int, width: int, value: float | None, in_place: bool) -> _F32: ...
def augment_logmels(
    logmels: _F32,
    classes: Sequence[str],
    *,
    mask_fraction: float,
    seed: int,
    epoch: int,
    clips: _U64,
    occurrences: _U64,
    num_threads: int | None,
) -> tuple[_F32, _I64]: ...
def near_anomaly(
    kind: str,
    parameters: NDArray[np.float64],
    logmel: _F32,
    *,
    deviation_db: _F32 | None,
    seed: int,
    out: _F32 | None,
) -> _F32: ...
def near_anomalies(
    logmels: _F32,
    kinds: Sequence[str],
    *,
    deviations_db: _F32,
    seeds: _U64,
    out: _F32 | None,
    num_threads: int | None,
) -> tuple[_F32, _I64]: ...
def draw_near_anomaly(kind: str, *, n_mels: int, frames: int, seed: int) -> list[tuple[str, list[float]]]: ...

@final
class Augmenter:
    def __new__(
        cls,
        classes: Sequence[str],
        *,
        sample_rate: int,
        snr_db: tuple[float, float],
        shift_s: tuple[float, float],
        stretch_rate: tuple[float, float],
        pitch_semitones: tuple[float, float],
        mask_fraction: float,
    ) -> Augmenter: ...
    def apply(
        self,
        batch: _F32,
        *,
        seed: int,
        epoch: int,
        clips: _U64,
        occurrences: _U64,
        out: _F32 | None,
        num_threads: int | None,
    ) -> tuple[_F32, _F32, _I64]: ...

def audio_info(path: str | PathLike[str]) -> tuple[int, int, int | None, str, str]: ...
def read_audio(
    path: str | PathLike[str], sample_rate: int | None, max_seconds: float
) -> tuple[NDArray[np.float32], int, int]: ...
def read_audio_batch(
    paths: list[str] | list[PathLike[str]],
    channel: int | None,
    sample_rate: int | None,
    max_seconds: float,
    collect: bool,
    out: NDArray[np.float32] | None,
    num_threads: int | None,
) -> list[tuple[NDArray[np.float32], int, int, OffkeyError | OSError | None]]: ...

@final
class FileMeasurer:
    def __new__(
        cls,
        logmel: LogMel,
        *,
        fine: list[LogMel],
        rhythm: bool,
        channel: int | None,
        max_seconds: float,
        most_samples: int,
        num_threads: int | None,
    ) -> Self: ...
    def put(self, paths: list[str]) -> None: ...
    def take(
        self,
    ) -> tuple[
        _Statistics,
        NDArray[np.float64],
        NDArray[np.int64],
        list[tuple[int, int, int | None, str, str] | None],
        list[tuple[int, OffkeyError | OSError]],
        list[int],
    ]: ...

@final
class AudioBlocks:
    def __new__(cls, path: str | PathLike[str], channel: int | None, sample_rate: int | None) -> Self: ...
    @property
    def rates(self) -> tuple[int, int]: ...
    def next(self, size: int) -> NDArray[np.float32] | None: ...

@final
class Resampler:
    def __new__(cls, from_rate: int, to_rate: int) -> Self: ...
    def process(self, samples: NDArray[np.float32]) -> NDArray[np.float32]: ...
