"""Epoch after epoch of a network that is trained alone: what the small networks of `near` and the baselines share."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Iterable, Mapping

from torch import Tensor

from offkey.errors import TrainingError
from offkey.models.network.checkpoint import Progress
from offkey.models.network.events import EpochEnded, Observer, StageStarted, StepEnded

__all__ = ["Part", "run_epochs"]

Losses = Mapping[str, Tensor]
"""Of one step: "total", and those that it is made of."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One network of a training."""

    number: int
    """From 1."""
    epochs: int
    left: int
    """Networks that are trained after it, for as many epochs each."""
    steps: Callable[[int], int]
    """How many steps an epoch, counted from 0, has."""
    tasks: tuple[str, ...]
    """The names of its losses."""
    advice: str
    """What may help where the loss is not finite."""


def run_epochs(
    part: Part,
    train_epoch: Callable[[int], Iterable[Losses]],
    progress: Progress,
    observer: Observer,
    *,
    done: int = 0,
    after_epoch: Callable[[], None] = lambda: None,
) -> None:
    """Train one network from an epoch to its last one, write down the losses, and tell of it.

    Parameters
    ----------
    part
        What is trained.
    train_epoch
        Trains an epoch, counted from 0, and yields the losses of each step.
    progress
        Of the whole training; is brought up to date.
    observer
        Is given the events.
    done
        How many of its epochs are done.
    after_epoch
        Called after each, when `progress` has it.

    Raises
    ------
    TrainingError
        If a loss is not finite.
    """
    observer(
        StageStarted(
            stage=part.number,
            part="network",
            epochs=part.epochs,
            steps_per_epoch=part.steps(done),
            tasks=part.tasks,
        )
    )
    for epoch in range(done, part.epochs):
        started = time.perf_counter()
        losses = _mean_losses(part, epoch, train_epoch(epoch), observer)
        seconds = time.perf_counter() - started
        progress.epochs_done += 1
        progress.spent_s += seconds
        progress.history.append(losses)
        observer(
            EpochEnded(
                stage=part.number,
                epoch=epoch + 1,
                epochs=part.epochs,
                losses=losses,
                steps_per_s=part.steps(epoch) / seconds,
                eta_s=seconds * (part.epochs * (part.left + 1) - epoch - 1),
            )
        )
        after_epoch()


def _mean_losses(part: Part, epoch: int, steps: Iterable[Losses], observer: Observer) -> dict[str, float]:
    sums: dict[str, Tensor] = {}  # read at the end alone: a GPU would be waited for at each step
    count = part.steps(epoch)
    for place, step in enumerate(steps, start=1):
        for name, loss in step.items():
            sums[name] = sums[name] + loss if name in sums else loss
        observer(StepEnded(stage=part.number, epoch=epoch + 1, step=place, steps=count))
    means = {name: float(total) / max(1, count) for name, total in sums.items()}
    if not all(map(math.isfinite, means.values())):
        raise TrainingError(
            f"network {part.number}, epoch {epoch + 1}: the loss is {means['total']}; {part.advice}"
        )
    return means
