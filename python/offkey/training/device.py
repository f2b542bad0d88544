"""Which device computes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Literal

import torch

from offkey.errors import DeviceError, ParameterError

__all__ = ["Device", "resolve_device", "seeded"]

Device = Literal["auto", "cpu", "cuda"]


def resolve_device(device: Device) -> torch.device:
    """Return the torch device of a name: `auto` takes CUDA where there is any, the CPU otherwise.

    Raises
    ------
    DeviceError
        If `cuda` is asked for and there is none.
    ParameterError
        If the name is none of `auto`, `cpu` and `cuda`.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise ParameterError(f"device: given {device!r}; expected 'auto', 'cpu' or 'cuda'")
    if device == "cpu" or (device == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        built = (
            "this torch was built without CUDA" if torch.version.cuda is None else "torch finds no CUDA GPU"
        )
        raise DeviceError(f"device 'cuda': {built}; use device 'cpu', or 'auto' to take what there is")
    return torch.device("cuda", torch.cuda.current_device())


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
