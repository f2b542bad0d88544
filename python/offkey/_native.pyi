"""Types of the Rust kernels. Checked against the built module by `mypy.stubtest`."""

from collections.abc import Sequence
from typing import final

import numpy as np
from numpy.typing import NDArray

_F32 = NDArray[np.float32]
_I64 = NDArray[np.int64]
_U64 = NDArray[np.uint64]

__version__: str

def white_noise(samples: _F32, *, snr_db: float, seed: int) -> _F32: ...
def fade(samples: _F32, *, fade_in: int, fade_out: int, shape: str) -> _F32: ...
def time_shift(samples: _F32, *, shift: int) -> _F32: ...
def time_stretch(samples: _F32, *, rate: float, sample_rate: int) -> _F32: ...
def pitch_shift(samples: _F32, *, semitones: float, sample_rate: int) -> _F32: ...
def time_mask(logmel: _F32, *, start: int, width: int) -> _F32: ...
def frequency_mask(logmel: _F32, *, start: int, width: int) -> _F32: ...
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
        num_threads: int | None,
    ) -> tuple[_F32, _F32, _I64]: ...
