"""Types of the Rust kernels. Checked against the built module by `mypy.stubtest`."""

from os import PathLike

import numpy as np
from numpy.typing import NDArray

from offkey.errors import OffkeyError

__version__: str

def audio_info(path: str | PathLike[str]) -> tuple[int, int, int | None, str, str]: ...
def read_audio(
    path: str | PathLike[str], sample_rate: int | None
) -> tuple[NDArray[np.float32], int, int]: ...
def read_audio_batch(
    paths: list[str] | list[PathLike[str]],
    channel: int | None,
    sample_rate: int | None,
    collect: bool,
    num_threads: int | None,
) -> list[tuple[NDArray[np.float32], int, OffkeyError | OSError | None]]: ...
def resample(samples: NDArray[np.float32], from_rate: int, to_rate: int) -> NDArray[np.float32]: ...
