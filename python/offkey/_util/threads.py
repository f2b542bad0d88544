"""What every call of a kernel may be given: a number of threads, and an array to write into."""

from __future__ import annotations

import operator
import sys

import numpy as np
import numpy.typing as npt

from offkey.errors import ArrayError, ParameterError

__all__ = ["output", "threads"]

_FLOAT32 = np.dtype(np.float32)


def threads(num_threads: int | None) -> int | None:
    """Return the number of threads of a call; None stands for all cores that the process may use.

    Without a number given that is one in a worker of a torch `DataLoader`, whose workers share the cores already.

    Raises
    ------
    ParameterError
        If the number is below 1 or no integer.
    """
    if num_threads is None:
        # Whoever is in such a worker has imported this module; nobody else must.
        data = sys.modules.get("torch.utils.data")
        return None if data is None or data.get_worker_info() is None else 1
    try:
        count = operator.index(num_threads)
    except TypeError:
        count = 0
    if not 1 <= count <= 1024:
        raise ParameterError(
            f"num_threads = {num_threads!r}: expected 1 to 1024, or None for one for each core"
        )
    return count


def output(out: object, shape: tuple[int | str, ...]) -> npt.NDArray[np.float32]:
    """Check an array to write into; sizes that are names are left to the kernel.

    Raises
    ------
    ArrayError
        If it is not a C-contiguous float32 array of this shape that can be written to.
    """
    if isinstance(out, np.ndarray):
        fits = out.ndim == len(shape) and all(
            isinstance(wanted, str) or size == wanted for size, wanted in zip(out.shape, shape, strict=True)
        )
        if fits and out.dtype == _FLOAT32 and out.flags.carray:
            return out
        found = (
            f"dtype {out.dtype}, shape {out.shape}, strides {out.strides}, "
            f"writeable {out.flags.writeable}, aligned {out.flags.aligned}"
        )
    else:
        found = type(out).__name__
    sizes = ", ".join(map(str, shape)) + "," * (len(shape) == 1)
    raise ArrayError(
        f"out: {found}; expected a C-contiguous float32 array of shape ({sizes}) that can be written to"
    )
