"""Checks of what `offkey.signal.augment` is given: errors name the array, what it is and what was expected."""

from __future__ import annotations

import operator
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from offkey._util.threads import output
from offkey.errors import ArrayError, ParameterError

Batch = npt.NDArray[np.floating] | Sequence[npt.NDArray[np.floating]]
Float32 = npt.NDArray[np.float32]
Int64 = npt.NDArray[np.int64]

_FLOAT32 = np.dtype(np.float32)


def floats(name: str, values: npt.ArrayLike, axes: tuple[str, ...]) -> Float32:
    """Check kind and number of axes; return a contiguous float32 array, without a copy where it is one."""
    array = np.asarray(values)
    if array.dtype == _FLOAT32 and array.ndim == len(axes) and array.flags.c_contiguous:
        return array
    expected = f"a floating-point array of shape ({', '.join(axes)}{',' * (len(axes) == 1)})"
    if array.dtype.kind != "f":
        raise ArrayError(
            f"{name}: dtype {array.dtype}; expected {expected}; integer samples must be scaled to [-1, 1]"
        )
    if array.ndim != len(axes):
        raise ArrayError(f"{name}: shape {array.shape}; expected {expected}")
    with np.errstate(over="ignore"):  # what overflows becomes infinite, which the kernels refuse by its place
        return np.ascontiguousarray(array, dtype=np.float32)


def apart(out: object, samples: Float32, shape: tuple[int | str, ...]) -> Float32:
    """Check an array to write into that must not be the input."""
    target = output(out, shape)
    if np.may_share_memory(target, samples):
        raise ArrayError("out: shares memory with the input, which is still read while out is written")
    return target


def in_place(out: object, given: object, name: str, axes: tuple[str, ...]) -> Float32:
    """Check an array to change in place; copy the input into it unless it is the input."""
    if (
        out is given
        and isinstance(out, np.ndarray)
        and out.dtype == _FLOAT32
        and out.ndim == len(axes)
        and out.flags.carray
    ):
        return out  # the usual case: a mask takes no longer than these checks
    values = floats(name, given, axes)  # type: ignore[arg-type]
    target = output(out, values.shape)
    if out is not given:
        np.copyto(target, values)
    return target


def clip(values: npt.ArrayLike) -> Float32:
    """Check one clip."""
    return floats("clip", values, ("samples",))


def batch(clips: Batch) -> Float32:
    """Check clips of one length and stack them."""
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


def numbers(name: str, values: npt.ArrayLike | None, default: Int64) -> npt.NDArray[np.uint64]:
    """Check one number for each clip."""
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


def index(name: str, value: int) -> int:
    """Check an integer of any size."""
    try:
        return operator.index(value)
    except TypeError:
        raise ParameterError(f"{name} = {value!r}: expected an integer") from None


def integer(name: str, value: int, low: int, high: int) -> int:
    """Check an integer from `low` to `high`."""
    number = index(name, value)
    if not low <= number <= high:
        raise ParameterError(f"{name} = {number}: expected an integer from {low} to {high}")
    return number


def unsigned(name: str, value: int) -> int:
    """Check an integer from 0."""
    if (
        type(value) is int and 0 <= value < 2**63
    ):  # nearly all, and a mask takes little longer than this check
        return value
    return integer(name, value, 0, 2**63 - 1)


def rate(value: int) -> int:
    """Check a sample rate."""
    return integer("sample_rate", value, 1_000, 768_000)
