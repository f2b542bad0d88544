"""Encoders that users bring, such as BEATs, EAT or PANNs: samples or a log-Mel in, one vector or several out.

One is found by the name that it is registered under, here or by a package's entry point, or is an ONNX file. A saved
detector has that name and never says what to import.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.metadata
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from offkey._util.threads import cores, threads
from offkey.errors import ArrayError, ParameterError

__all__ = ["ENCODERS_FOLDER", "Encode", "Encoder", "find_encoder", "register_encoder"]

Encode: TypeAlias = Callable[[np.ndarray], Any]
"""From ``(samples,)`` float32 in [-1, 1] or a log-Mel ``(n_mels, frames)`` float32 in dB to floats: a vector
``(dim,)``, vectors over time ``(times, dim)``, or those of frequency bands ``(times, bands, dim)``."""

ENCODERS_FOLDER = "OFFKEY_ENCODERS"
"""The environment variable that names a folder of ONNX files, for those that are not where a recipe says."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Encoder:
    """A way from a clip to vectors."""

    name: str
    encode: Encode
    sample_rate: int | None = None
    """That it hears, in Hz; None: any."""
    sha256: str | None = None
    """Of its file; None for a function."""
    parallel: bool = False
    """Whether several threads may call it at once."""

    def vectors(
        self, arrays: Sequence[np.ndarray], *, names: Sequence[str], num_threads: int | None
    ) -> list[np.ndarray]:
        """Return what it makes of each clip, float64 of 1 to 3 dimensions.

        Parameters
        ----------
        arrays
            Samples or log-Mels.
        names
            Of the clips, for messages.
        num_threads
            How many clips are encoded at once, by an encoder that may; all cores if None.

        Raises
        ------
        ArrayError
            If it fails on a clip, or gives something else than finite floats of 1 to 3 dimensions.
        """
        count = min(threads(num_threads) or cores(), len(arrays)) if self.parallel else 1
        if count < 2:
            return list(map(self._checked, arrays, names))
        with ThreadPoolExecutor(count, thread_name_prefix="offkey-encode") as pool:
            return list(pool.map(self._checked, arrays, names))

    def _checked(self, array: np.ndarray, name: str) -> np.ndarray:
        try:
            given = np.asarray(self.encode(np.array(array, dtype=np.float32)))  # a copy, which it may change
        except Exception as error:
            text = " ".join(str(error).split())
            raise ArrayError(
                f"{name}: encoder {self.name!r} fails on an array of shape {array.shape}: "
                f"{type(error).__name__}: {text}"
            ) from error
        if given.dtype.kind != "f" or not 1 <= given.ndim <= 3 or not given.size:
            raise ArrayError(
                f"{name}: encoder {self.name!r} gives {given.dtype} of shape {given.shape}; expected floats, (dim,), "
                "(times, dim) or (times, bands, dim)"
            )
        with np.errstate(over="ignore"):
            finite = np.isfinite(given.astype(np.float32)).all()
        if not finite:
            raise ArrayError(f"{name}: encoder {self.name!r} gives values that are not finite")
        return given.astype(np.float64)


_REGISTERED: dict[str, Encoder] = {}


def register_encoder(
    name: str, encode: Encode | str | os.PathLike[str], *, sample_rate: int | None = None
) -> None:
    """Let recipes name an encoder: ``{"knn": {"encoder": name}}``.

    Parameters
    ----------
    name
        What recipes, and detectors fitted with it, call it.
    encode
        A function (see `Encode`), or the path of an ONNX file. A function is called by one thread at a time.
    sample_rate
        That it hears, in Hz; a recipe of another `features.sample_rate` is refused. None: any.

    Raises
    ------
    ParameterError
        If the name is empty, the rate is below 1, there is no such file, or `encode` is neither function nor path.

    Examples
    --------
    >>> from offkey.models import register_encoder
    >>> def loudness(samples):  # of each of 20 stretches
    ...     return [[float((part**2).mean() ** 0.5)] for part in np.array_split(samples, 20)]
    >>> register_encoder("loudness", loudness)
    """
    if not isinstance(name, str) or not name:
        raise ParameterError(f"encoder {name!r}: expected a name")
    if sample_rate is not None and (not isinstance(sample_rate, int) or sample_rate < 1):
        raise ParameterError(f"encoder {name!r}: sample_rate = {sample_rate!r}; expected Hz, or None")
    if isinstance(encode, str | os.PathLike):
        encoder = _of_file(name, Path(encode))
        _REGISTERED[name] = dataclasses.replace(encoder, sample_rate=sample_rate)
    elif callable(encode):
        _REGISTERED[name] = Encoder(name=name, encode=encode, sample_rate=sample_rate)
    else:
        raise ParameterError(
            f"encoder {name!r}: given {type(encode).__name__}; expected a function or the path of an ONNX file"
        )


def find_encoder(name: str) -> Encoder:
    """Return the encoder that a recipe names.

    Raises
    ------
    ParameterError
        If none of that name is registered, and there is no such ONNX file.
    MissingExtraError
        If it is an ONNX file and onnxruntime is not installed.
    """
    if name not in _REGISTERED:
        point = next((point for point in _installed() if point.name == name), None)
        if point is not None:
            point.load()
    if name in _REGISTERED:
        return _REGISTERED[name]
    if not name.endswith(".onnx"):
        known = sorted({*_REGISTERED, *(point.name for point in _installed())})
        raise ParameterError(
            f"there is no encoder {name!r}; register it (`offkey.models.register_encoder`) or give the path of a file "
            f"that ends in .onnx; registered are {', '.join(known) or 'none'}"
        )
    path = Path(name)
    folder = os.environ.get(ENCODERS_FOLDER)
    if not path.is_file() and folder:
        path = Path(folder) / path.name
    return _of_file(name, path)


@functools.cache
def _installed() -> tuple[importlib.metadata.EntryPoint, ...]:
    return tuple(importlib.metadata.entry_points(group="offkey.encoders"))


def _of_file(name: str, path: Path) -> Encoder:
    if not path.is_file():
        raise ParameterError(
            f"encoder {name!r}: there is no file {path}; put it there, name its folder in the environment variable "
            f"{ENCODERS_FOLDER}, or register it: offkey.models.register_encoder({name!r}, path)"
        )
    from offkey.models.onnx_encoder import OnnxEncode

    encode = OnnxEncode.of(path)
    return Encoder(name=name, encode=encode, sha256=encode.sha256, parallel=True)
