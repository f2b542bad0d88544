"""Types of the Rust kernels. Checked against the built module by `mypy.stubtest`."""

from collections.abc import Sequence
from typing import Self, final

import numpy as np
from numpy import float32, float64, ndarray
from numpy.typing import NDArray

__all__: list[str]
__version__: str

def fit_gaussians(
    x: NDArray[np.float32] | NDArray[np.float64],
    index: NDArray[np.int64],
    ids: int,
    covariance: str,
    shared: bool,
    num_threads: int | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]: ...
def whiten(covariances: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]: ...
def quadratic_forms(
    x: NDArray[np.float32] | NDArray[np.float64],
    means: NDArray[np.float64],
    factors: NDArray[np.float64],
    num_threads: int | None = None,
) -> NDArray[np.float64]: ...
def quadratic_forms_own(
    x: NDArray[np.float32] | NDArray[np.float64],
    means: NDArray[np.float64],
    factors: NDArray[np.float64],
    index: NDArray[np.int64],
    num_threads: int | None = None,
) -> NDArray[np.float64]: ...

@final
class QuadraticForms:
    def __new__(
        cls,
        means: NDArray[np.float64],
        factors: NDArray[np.float64],
        which: NDArray[np.int64] | None = None,
    ) -> Self: ...
    def all(
        self, x: NDArray[np.float32] | NDArray[np.float64], num_threads: int | None = None
    ) -> NDArray[np.float64]: ...
    def own(
        self,
        x: NDArray[np.float32] | NDArray[np.float64],
        index: NDArray[np.int64],
        num_threads: int | None = None,
    ) -> NDArray[np.float64]: ...

_Statistics = tuple[NDArray[float32], NDArray[float32], NDArray[float32], NDArray[float32]]

class LogMel:
    def __new__(
        cls,
        *,
        sample_rate: int,
        n_fft: int,
        hop_length: int,
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
        self, clips: Sequence[ndarray], masks: NDArray[float32] | None, num_threads: int | None
    ) -> NDArray[float32]: ...
    def each(self, clips: Sequence[ndarray], num_threads: int | None) -> list[NDArray[float32]]: ...
    def statistics(self, clips: Sequence[ndarray], num_threads: int | None) -> _Statistics: ...

def clip_statistics(logmels: NDArray[float32], num_threads: int | None) -> _Statistics: ...
