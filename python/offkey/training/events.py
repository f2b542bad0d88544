"""What training tells while it runs: small typed events, handed to a callback. Nothing here prints."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

__all__ = [
    "CheckpointSaved",
    "EpochEnded",
    "Event",
    "Note",
    "Observer",
    "Resumed",
    "StageStarted",
    "StepEnded",
    "TrainingStarted",
    "ignore",
    "several",
]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TrainingStarted:
    """A training begins, or goes on after an interruption: what computes, and with which numbers."""

    device: str
    """"cpu" or "cuda"."""
    precision: str
    """"float32" or "bfloat16"."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StageStarted:
    """A stage begins, or goes on after a resumption."""

    stage: int
    """1 or 2."""
    epochs: int
    steps_per_epoch: int
    tasks: tuple[str, ...]
    """Which losses are summed: some of "id", "augmentation" and "type"."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StepEnded:
    """One step of the optimiser is done."""

    stage: int
    epoch: int
    """Within the stage, from 1."""
    step: int
    """Within the epoch, from 1."""
    steps: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EpochEnded:
    """One epoch is done."""

    stage: int
    epoch: int
    """Within the stage, from 1."""
    epochs: int
    losses: Mapping[str, float]
    """Mean over the epoch's steps of "total" and of each task's loss, before its weight."""
    steps_per_s: float
    eta_s: float
    """Estimate of the time left until the last epoch of the last stage, in seconds."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something that a user should know: what was left out, and why."""

    text: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointSaved:
    """The state after an epoch is on disk; an interrupted run goes on from it."""

    path: Path
    epochs_done: int
    """Over both stages."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """A checkpoint was found and training goes on from it."""

    path: Path
    epochs_done: int
    """Over both stages."""
    spent_s: float
    """How long those epochs took, in seconds."""


Event = TrainingStarted | StageStarted | StepEnded | EpochEnded | Note | CheckpointSaved | Resumed
Observer = Callable[[Event], None]


def several(*observers: Observer) -> Observer:
    """Return an observer that hands each event to all of them, in order."""

    def tell(event: Event) -> None:
        for observe in observers:
            observe(event)

    return tell


def ignore(event: Event) -> None:
    """Do nothing with an event: the observer of those who want none."""
