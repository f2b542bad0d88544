"""The training of networks that look at windows of frames, one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from offkey.models.baselines.window_net import WindowNet
from offkey.models.baselines.windows import TrainingWindows
from offkey.models.network.batches import Prefetcher
from offkey.models.network.checkpoint import Checkpoint, Progress
from offkey.models.network.device import full_float32, on_device, seeded
from offkey.models.network.epochs import Part, run_epochs
from offkey.models.network.events import CheckpointSaved, Observer, Resumed, TrainingStarted
from offkey.models.network.sampling import derived_seed

__all__ = ["train"]

_NOISE = 20  # first part of the key of random streams


def train(
    nets: nn.ModuleList,
    windows: Sequence[TrainingWindows],
    *,
    epochs: int,
    learning_rate: float,
    section: str,
    seed: int,
    checkpoint: Checkpoint | None,
    observer: Observer,
) -> list[dict[str, float]]:
    """Train every network with Adam on its windows; return the losses of each epoch.

    An interruption (Ctrl-C) leaves the checkpoint of the last finished epoch, from which a later call goes on.

    Parameters
    ----------
    nets
        On the device that computes.
    windows
        Of each network.
    epochs
        Of each.
    learning_rate
        Of Adam.
    section
        Of the recipe, for messages.
    seed
        Of what networks draw at random.
    checkpoint
        Where the state is saved after each epoch, and taken from if it is there.
    observer
        Is given the events.

    Raises
    ------
    TrainingError
        If a loss is not finite, or the checkpoint is damaged or of another training.
    """
    device = cast(WindowNet, nets[0]).mean.device
    observer(TrainingStarted(device=device.type, precision="float32"))
    # One for all: the weights of a network that is not trained have no gradient and no moments.
    optimiser = torch.optim.Adam(nets.parameters(), lr=learning_rate, fused=True)
    progress = Progress()
    if checkpoint is not None and (saved := checkpoint.restore(nets, optimiser)) is not None:
        progress = saved
        observer(Resumed(path=checkpoint.path, epochs_done=progress.epochs_done, spent_s=progress.spent_s))

    def save() -> None:
        if checkpoint is not None:
            checkpoint.save(nets, optimiser, progress)
            observer(CheckpointSaved(path=checkpoint.path, epochs_done=progress.epochs_done))

    for number, of_net in enumerate(windows):
        done = progress.epochs_done - number * epochs
        if done >= epochs:
            continue
        net = cast(WindowNet, nets[number])
        trainer = _Trainer(net, optimiser, of_net, seed=derived_seed(seed, _NOISE, number))
        part = Part(
            number=number + 1,
            epochs=epochs,
            left=len(windows) - number - 1,
            steps=of_net.steps,
            tasks=net.tasks,
            advice=f"a lower {section}.learning_rate than {learning_rate} may help",
        )
        run_epochs(part, trainer.epoch, progress, observer, done=done, after_epoch=save)
        net.zero_grad(set_to_none=True)
    nets.eval()
    return progress.history


class _Trainer:
    """Trains one network."""

    def __init__(
        self, net: WindowNet, optimiser: torch.optim.Optimizer, windows: TrainingWindows, *, seed: int
    ) -> None:
        self._net, self._optimiser, self._windows, self._seed = net, optimiser, windows, seed
        self._device = net.mean.device

    def epoch(self, epoch: int) -> Iterator[dict[str, Tensor]]:
        """Train an epoch, and yield the losses of each step."""
        self._net.train()
        with Prefetcher(self._windows.epoch(epoch)) as batches:
            for step, (windows, ids) in enumerate(batches):
                yield self._step(windows, ids, seed=derived_seed(self._seed, epoch, step))

    def _step(self, windows: np.ndarray, ids: np.ndarray, *, seed: int) -> dict[str, Tensor]:
        with seeded(seed, self._device), full_float32(self._device):
            losses = self._net.losses(on_device(windows, self._device), on_device(ids, self._device))
            self._optimiser.zero_grad()
            losses["total"].backward()  # type: ignore[no-untyped-call]
        self._optimiser.step()
        return {name: loss.detach() for name, loss in losses.items()}
