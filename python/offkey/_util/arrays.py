"""Checks of arrays: errors name the array, what it is and what was expected."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from offkey.errors import ArrayError

__all__ = [
    "Batch",
    "Float32",
    "Int64",
    "apart",
    "counts",
    "finite_vector",
    "floats",
    "in_place",
    "output",
    "stacked",
]

Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]
Batch = NDArray[np.floating] | Sequence[NDArray[np.floating]]
"""A 2-D array ``(clips, samples)`` or a sequence of 1-D arrays."""

_FLOAT32 = np.dtype(np.float32)


def floats(name: str, values: ArrayLike, axes: tuple[int | str, ...]) -> Float32:
    """Return floating-point numbers as a C-contiguous float32 array, without a copy where they are one.

    Parameters
    ----------
    name : str
        The array's name in errors.
    values : array-like of float
        The numbers; what overflows float32 becomes infinite, which the kernels refuse by its place.
    axes : tuple of int or str
        The shape: a size that is asked for, or the name of an axis of any size.

    Raises
    ------
    ArrayError
        If it is of another kind or shape.
    """
    array = np.asarray(values)
    if array.dtype.kind == "f" and _fits(array, axes):
        flags = array.flags
        if array.dtype == _FLOAT32 and flags.c_contiguous and flags.aligned:
            return array
        with np.errstate(over="ignore"):
            return np.require(array, np.float32, ["C", "A"])
    kind = f"dtype {array.dtype}" if array.dtype.kind != "f" else f"shape {array.shape}"
    scale = (
        "; integer samples must be scaled to [-1, 1]"
        if "samples" in axes and array.dtype.kind in "iu"
        else ""
    )
    raise ArrayError(f"{name}: {kind}; expected a floating-point array of shape {_shape(axes)}{scale}")


def stacked(clips: Batch) -> Float32:
    """Return clips of one length as one ``(clips, samples)`` float32 array.

    Raises
    ------
    ArrayError
        If a clip is no floating-point vector or of another length than the first.
    """
    if isinstance(clips, np.ndarray):
        return floats("batch", clips, ("clips", "samples"))
    rows = [floats(f"batch[{i}]", clip, ("samples",)) for i, clip in enumerate(clips)]
    for i, row in enumerate(rows):
        if len(row) != len(rows[0]):
            raise ArrayError(
                f"batch[{i}]: {len(row)} samples, but batch[0] has {len(rows[0])}; "
                "expected clips of one length"
            )
    return np.stack(rows) if rows else np.empty((0, 0), np.float32)


def counts(name: str, values: ArrayLike | None, default: Int64) -> NDArray[np.uint64]:
    """Return one integer from 0 for each clip as ``(clips,)`` uint64.

    Raises
    ------
    ArrayError
        If they are no integers, negative, or not as many as the default has.
    """
    array = default if values is None else np.asarray(values)
    expected = f"{len(default)} integers from 0, one for each clip"
    if array.size == 0:
        array = array.astype(np.int64)
    if array.dtype.kind not in "iu":
        raise ArrayError(f"{name}: dtype {array.dtype}; expected {expected}")
    if array.shape != default.shape:
        raise ArrayError(f"{name}: shape {array.shape}; expected {expected}")
    if array.size and array.min() < 0:
        raise ArrayError(f"{name}: {array.min()} at position {array.argmin()}; expected {expected}")
    return np.ascontiguousarray(array, dtype=np.uint64)


def finite_vector(values: ArrayLike, name: str, length: int | None = None) -> NDArray[np.float64]:
    """Return real numbers as ``(n,)`` float64.

    Raises
    ------
    ArrayError
        If they are of another kind, shape or length, or one is NaN or infinite.
    """
    vector = np.asarray(values)
    if vector.ndim != 1 or vector.dtype.kind not in "fiu":
        raise ArrayError(
            f"{name}: dtype {vector.dtype}, shape {vector.shape}; expected real numbers of shape (n,)"
        )
    if length is not None and len(vector) != length:
        raise ArrayError(f"{name}: {len(vector)} values; expected {length}, one for each clip")
    vector = vector.astype(np.float64)
    bad = np.flatnonzero(~np.isfinite(vector))
    if bad.size:
        raise ArrayError(f"{name}: {vector[bad[0]]} at position {bad[0]}; expected finite numbers only")
    return vector


def output(out: object, shape: tuple[int | str, ...]) -> Float32:
    """Return an array to write into; sizes that are names are left to the kernel.

    Raises
    ------
    ArrayError
        If it is not a C-contiguous float32 array of this shape that can be written to.
    """
    if isinstance(out, np.ndarray):
        if _fits(out, shape) and out.dtype == _FLOAT32 and out.flags.carray:
            return out
        description = (
            f"dtype {out.dtype}, shape {out.shape}, strides {out.strides}, "
            f"writeable {out.flags.writeable}, aligned {out.flags.aligned}"
        )
    else:
        description = type(out).__name__
    raise ArrayError(
        f"out: {description}; expected a C-contiguous float32 array of shape {_shape(shape)} that can be written to"
    )


def apart(out: object, values: Float32, shape: tuple[int | str, ...]) -> Float32:
    """Return an array to write into that must not be the input.

    Raises
    ------
    ArrayError
        As `output`, and if it shares memory with the input.
    """
    target = output(out, shape)
    if np.may_share_memory(target, values):
        raise ArrayError("out: shares memory with the input, which is still read while out is written")
    return target


def in_place(out: object, values: ArrayLike, name: str, axes: tuple[str, ...]) -> Float32:
    """Return an array to change in place, with the input copied into it unless it is the input.

    Raises
    ------
    ArrayError
        As `floats` and `output`.
    """
    if (
        out is values
        and isinstance(out, np.ndarray)
        and out.dtype == _FLOAT32
        and out.ndim == len(axes)
        and out.flags.carray
    ):
        return out  # the usual case: a mask takes no longer than these checks
    array = floats(name, values, axes)
    target = output(out, array.shape)
    if out is not values:
        np.copyto(target, array)
    return target


def _fits(array: np.ndarray, axes: tuple[int | str, ...]) -> bool:
    if array.ndim != len(axes):
        return False
    for place, axis in enumerate(axes):  # noqa: SIM110 - a generator takes as long as a mask does
        if not isinstance(axis, str) and array.shape[place] != axis:
            return False
    return True


def _shape(axes: tuple[int | str, ...]) -> str:
    return f"({', '.join(map(str, axes))}{',' * (len(axes) == 1)})"
