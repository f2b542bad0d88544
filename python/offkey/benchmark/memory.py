"""How much memory a piece of work takes at most."""

from __future__ import annotations

import contextlib
from pathlib import Path
from types import TracebackType
from typing import Self

__all__ = ["PeakMemory"]

_CLEAR_REFS, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


class PeakMemory:
    """Watches the resident memory of this process within its block; `bytes` is the peak, None where unknown."""

    def __init__(self) -> None:
        self.bytes: int | None = None

    def __enter__(self) -> Self:
        with contextlib.suppress(OSError):
            _CLEAR_REFS.write_text("5")  # Linux: the peak counts anew from here
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError, StopIteration, ValueError):
            line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
            self.bytes = int(line.split()[1]) * 1024
