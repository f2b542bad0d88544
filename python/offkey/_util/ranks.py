"""Which of torchrun's processes this is, by the environment that torchrun sets; the only one without it."""

from __future__ import annotations

import os

__all__ = ["launched", "local_rank", "local_world_size", "rank", "world_size"]


def launched() -> bool:
    """Return whether torchrun has started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def rank() -> int:
    """Return the number of this process among all, from 0: the one that writes files and speaks."""
    return _number("RANK", 0)


def world_size() -> int:
    """Return the number of processes, on all machines."""
    return _number("WORLD_SIZE", 1)


def local_rank() -> int:
    """Return the number of this process on its machine, from 0: its GPU."""
    return _number("LOCAL_RANK", 0)


def local_world_size() -> int:
    """Return the number of processes on this machine, which share its cores."""
    return _number("LOCAL_WORLD_SIZE", 1)


def _number(name: str, alone: int) -> int:
    return int(os.environ[name]) if launched() else alone
