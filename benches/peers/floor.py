"""The floor's library: `floor.c`, built where it is first needed.

`library()` raises `ImportError` where there is no compiler or no libmvec: the floor's rows then say so.
"""

from __future__ import annotations

import ctypes
import functools
import shutil
import subprocess
import threading
import time
from pathlib import Path

import numpy as np

from peers import data

SOURCE = Path(__file__).with_name("floor.c")
FLAGS = ("-O3", "-march=native", "-ffast-math", "-shared", "-fPIC")

_P, _L, _I, _F, _S = ctypes.c_void_p, ctypes.c_long, ctypes.c_int, ctypes.c_float, ctypes.c_size_t
SIGNATURES = {
    "clock_chain": [_L],
    "multiply_adds": [_L],
    "touch": [_P, _S, _S, _S],
    "fill": [_P, _S, _S, _S, _F],
    "wav_read_cvt": [ctypes.c_char_p, _P, _P, _S],
    "fft_init": [_P, _I, _P, _P, _P],
    "logmel_clip": [_P, _I, _P, _I],
    "logmel_clip_i16": [_P, _I, _P, _I, _P, _I],
    "maha64": [_P, _P, _P, _P, _L, _I],
    "add_noise": [_P, _P, _S, _F, _P],
}
RESULTS = {"clock_chain": _L, "wav_read_cvt": _L, "multiply_adds": ctypes.c_double}


def build() -> Path:
    """Compile the library, unless there is one younger than its source."""
    built = data.folder() / "libfloor-offkey.so"
    if built.exists() and built.stat().st_mtime > SOURCE.stat().st_mtime:
        return built
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise ImportError("no C compiler")
    built.parent.mkdir(parents=True, exist_ok=True)
    part = built.with_suffix(".part")
    command = [compiler, *FLAGS, "-o", str(part), str(SOURCE), "-lmvec", "-lm"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise ImportError(f"floor.c does not build here: {done.stderr.strip().splitlines()[-1]}")
    part.replace(built)
    return built


@functools.cache
def library() -> ctypes.CDLL:
    found = ctypes.CDLL(str(build()))
    for name, arguments in SIGNATURES.items():
        getattr(found, name).argtypes = arguments
        getattr(found, name).restype = RESULTS.get(name)
    return found


def clock_ghz() -> float:
    """The clock of this core now, from a chain of additions: the best of many short ones."""
    additions, best = 1_000_000, 0.0
    for _ in range(200):
        start = time.perf_counter()
        library().clock_chain(additions)
        best = max(best, additions / (time.perf_counter() - start) / 1e9)
    return best


class Reader:
    """Reads files of the usual header; a buffer for each thread."""

    def __init__(self) -> None:
        self.library, self.local = library(), threading.local()

    def into(self, path: str, out: np.ndarray) -> None:
        if not hasattr(self.local, "buffer"):
            self.local.buffer = np.empty(1 << 16, np.int16)
        self.library.wav_read_cvt(path.encode(), self.local.buffer.ctypes.data, out.ctypes.data, out.size)


class LogMel:
    """The fused log-Mel of the paper's parameters; a padded clip for each thread."""

    def __init__(self) -> None:
        import librosa

        self.library, self.local = library(), threading.local()
        filters = librosa.filters.mel(sr=data.RATE_HZ, n_fft=1024, n_mels=128, dtype=np.float64)
        used = [np.flatnonzero(row) for row in filters]
        first = np.array([bins[0] for bins in used], np.int32)
        count = np.array([bins[-1] - bins[0] + 1 for bins in used], np.int32)
        weights = [row[a : a + n] for row, a, n in zip(filters, first, count, strict=True)]
        self.tables = (
            np.hanning(1025)[:-1].astype(np.float32),
            first,
            count,
            np.concatenate(weights, dtype=np.float32),
        )
        window, first, count, flat = (table.ctypes.data for table in self.tables)
        self.library.fft_init(window, len(filters), first, count, flat)

    @property
    def padded(self) -> np.ndarray:
        """This thread's clip, half a frame of zeros on both sides, aligned."""
        if not hasattr(self.local, "padded"):
            raw = np.zeros(data.SAMPLES + 1024 + 4096 + 16, np.float32)
            at = -raw.ctypes.data % 64 // 4
            self.local.padded = raw[at : at + data.SAMPLES + 1024 + 4096]
        return self.local.padded

    @property
    def clip(self) -> np.ndarray:
        """The samples in it."""
        return self.padded[512 : 512 + data.SAMPLES]

    def of_clip(self, out: np.ndarray | None = None) -> np.ndarray:
        """The log-Mel of what stands in `clip`."""
        out = np.empty((128, data.FRAMES), np.float32) if out is None else out
        self.library.logmel_clip(self.padded.ctypes.data, data.FRAMES, out.ctypes.data, data.FRAMES)
        return out

    def of_float32(self, clip: np.ndarray) -> np.ndarray:
        self.clip[:] = clip
        return self.of_clip()

    def of_int16(self, clip: np.ndarray) -> np.ndarray:
        out, frames = np.empty((128, data.FRAMES), np.float32), data.FRAMES
        self.library.logmel_clip_i16(
            clip.ctypes.data, clip.size, self.padded.ctypes.data, frames, out.ctypes.data, frames
        )
        return out
