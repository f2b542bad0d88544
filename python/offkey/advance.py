"""How far a run over recordings has come."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TypeAlias

__all__ = ["Advance", "OnAdvance"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Advance:
    """How far a scoring has come."""

    done: int
    """Recordings that have scores, or a reason why not."""
    total: int | None
    """Of how many; None for an iterator, whose end nobody knows."""
    before: int = 0
    """Those of `done` that an earlier run has scored, which was stopped."""
    errors: int = 0
    """Recordings of this run without a score."""
    audio_s: float = 0.0
    """How long the recordings are that this run has decoded, in seconds; log-Mels count as nothing."""


OnAdvance: TypeAlias = Callable[[Advance], None]
