"""What computes, and with which numbers."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Literal

import numpy as np
import torch

from offkey import _native
from offkey._util import ranks
from offkey._util.threads import threads
from offkey.errors import DeviceError
from offkey.models.base import check_device_name, check_precision
from offkey.recipe import Precision, ScoringPrecision

__all__ = [
    "Compute",
    "full_float32",
    "inference",
    "on_device",
    "resolve_device",
    "resolve_precision",
    "seeded",
    "torch_threads",
]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Compute:
    """How a training computes."""

    device: torch.device
    autocast: bool = False
    """Whether matrix products and convolutions are computed in bfloat16; weights and losses stay float32."""
    compile: bool = False
    """Whether the network goes through `torch.compile`."""
    graphs: bool = False
    """Whether what is compiled is also recorded as CUDA graphs, each launched at once; no difference on a CPU."""

    @property
    def precision(self) -> Literal["float32", "bfloat16"]:
        """The name of the numbers that the encoder computes with."""
        return "bfloat16" if self.autocast else "float32"

    @classmethod
    def of(cls, device: str, precision: Precision = "float32", *, compile: bool = False) -> Compute:  # noqa: A002
        """Return what the names stand for here.

        Raises
        ------
        DeviceError, ParameterError
            As `resolve_device` and `resolve_precision`.
        """
        resolved = resolve_device(device)
        return cls(
            device=resolved, autocast=resolve_precision(precision, resolved) == "bfloat16", compile=compile
        )


def resolve_device(device: str) -> torch.device:
    """Return the torch device of a name: `auto` takes CUDA where there is any, the CPU otherwise.

    Under torchrun each process of a machine has a GPU of its own.

    Raises
    ------
    DeviceError
        If a GPU is asked for that is not there, or there are fewer than torchrun's processes.
    ParameterError
        If the name is none of `auto`, `cpu`, `cuda`, `cuda:0` and so on.
    """
    check_device_name(device)
    if device == "cpu" or (device == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        built = (
            "this torch was built without CUDA" if torch.version.cuda is None else "torch finds no CUDA GPU"
        )
        raise DeviceError(f"device {device!r}: {built}; use device 'cpu', or 'auto' to take what there is")
    if device.startswith("cuda:"):
        return _numbered(device)
    if not ranks.launched():
        return torch.device("cuda", torch.cuda.current_device())
    if ranks.local_rank() >= torch.cuda.device_count():
        raise DeviceError(
            f"device 'cuda': {ranks.local_world_size()} processes on a machine of {torch.cuda.device_count()} "
            "GPUs; start at most one process for each"
        )
    torch.cuda.set_device(ranks.local_rank())  # where NCCL and the pinned copies go
    return torch.device("cuda", ranks.local_rank())


def _numbered(device: str) -> torch.device:
    number, gpus = int(device.partition(":")[2]), torch.cuda.device_count()
    if number >= gpus:
        raise DeviceError(f"device {device!r}: this machine has {gpus} GPUs, counted from 0")
    if ranks.launched():
        raise DeviceError(
            f"device {device!r}: torchrun gives each process a GPU of its own; use device 'cuda'"
        )
    return torch.device("cuda", number)


def resolve_precision(precision: Precision, device: torch.device) -> Literal["float32", "bfloat16"]:
    """Return what `auto` stands for: bfloat16 where the device multiplies in it by itself, else float32.

    Raises
    ------
    ParameterError
        If the name is none of `auto`, `float32` and `bfloat16`.
    """
    check_precision(precision)
    if precision == "float32" or precision == "bfloat16":
        return precision
    native = (
        torch.cuda.is_bf16_supported(including_emulation=False)
        if device.type == "cuda"
        else _native.bfloat16_in_hardware()
    )
    return "bfloat16" if native else "float32"


@contextlib.contextmanager
def torch_threads(num_threads: int | None) -> Iterator[None]:
    """Let torch compute with as many threads in the block; None: with as many as it would anyhow.

    Raises
    ------
    ParameterError
        If the number is below 1 or no integer.
    """
    count = threads(num_threads)
    before = torch.get_num_threads()
    if count is None or count == before:
        yield
        return
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def full_float32(device: torch.device) -> Iterator[None]:
    """Let convolutions in float32 be so in the block: cuDNN rounds what goes into them to TF32 unless told.

    Where the caller has set torch's newer switches, one for each kind of operator, those stand.
    """
    cudnn = torch.backends.cudnn
    try:
        rounds = device.type == "cuda" and cudnn.allow_tf32
    except RuntimeError:  # torch refuses to mix the newer switches with this one
        rounds = False
    if not rounds:
        yield
        return
    cudnn.allow_tf32 = False
    try:
        yield
    finally:
        cudnn.allow_tf32 = True


@contextlib.contextmanager
def inference(device: torch.device, precision: ScoringPrecision = "float32") -> Iterator[None]:
    """Compute without gradients in the block; in float16 the matrix products and convolutions alone."""
    with (
        torch.inference_mode(),
        full_float32(device),
        torch.autocast(device.type, dtype=torch.float16, enabled=precision == "float16"),
    ):
        yield


def on_device(array: np.ndarray, device: torch.device) -> torch.Tensor:
    """Return an array as a tensor there; on a GPU by way of pinned memory, so that this does not wait for the copy."""
    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor


@contextlib.contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Make torch's random numbers a function of `seed` in the block, and leave the caller's as they were.

    Only the CPU's generator and that of `device` are touched: `torch.manual_seed` would reseed every GPU.

    Parameters
    ----------
    seed : int
        Within [0, 2**63).
    device : torch.device
        The device that computes within the block.
    """
    gpus = [device.index] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=gpus):
        torch.default_generator.manual_seed(seed)
        for gpu in gpus:
            torch.cuda.default_generators[gpu].manual_seed(seed)
        yield
