"""The training loop: stages, epochs, steps, and a checkpoint after each epoch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice

import torch
from torch import Tensor, nn

from offkey._util import ranks
from offkey.errors import TrainingError
from offkey.models.base import ignore
from offkey.models.network.batches import Prefetcher
from offkey.models.network.checkpoint import Checkpoint, Progress
from offkey.models.network.device import Compute, full_float32, seeded
from offkey.models.network.distributed import averaged, check_agreement, shared
from offkey.models.network.events import (
    CheckpointSaved,
    EpochEnded,
    Observer,
    Resumed,
    StageStarted,
    StepEnded,
    TrainingStarted,
)
from offkey.models.network.net.batch_norm import separate
from offkey.models.network.net.multitask import Model
from offkey.models.network.sampling import derived_seed
from offkey.models.network.stages import NO_ID, Batch, Stage, stage_losses
from offkey.recipe import Training

__all__ = ["Trainer"]

_DROPOUT = 4  # first part of the key of the dropout's random streams

Batches = Callable[[Stage, int], Iterator[Batch]]
"""Makes the batches of an epoch, which is counted from 0 over all stages."""


class Trainer:
    """Trains a model through its stages with Adam, each stage with the moments of the one before or with fresh ones.

    In a group of processes (see `offkey.models.network.distributed`) the first one tells of the progress and saves the
    state, and all end with the same weights.

    Parameters
    ----------
    model : Model
        On the device that computes.
    training : recipe.Training
        Learning rate, weights of the losses, what of the weights is kept.
    stages : sequence of Stage
        What to train, in order.
    batches : callable
        Makes the batches of an epoch, in a background thread.
    steps : callable
        Says how many batches an epoch of a stage has.
    seed : int
        Seed of the dropout.
    compute : Compute, optional
        Device and numbers; None: the model's device, in float32.
    checkpoint : Checkpoint, optional
        Where the state is saved after each epoch, and taken from if it is there.
    observer : callable
        Is given the events.
    """

    def __init__(
        self,
        model: Model,
        *,
        training: Training,
        stages: Sequence[Stage],
        batches: Batches,
        steps: Callable[[Stage], int],
        seed: int,
        compute: Compute | None = None,
        checkpoint: Checkpoint | None = None,
        observer: Observer = ignore,
    ) -> None:
        self._model = model
        self._training = training
        self._stages = tuple(stages)
        self._batches = batches
        self._steps = steps
        self._seed = seed
        self._checkpoint = checkpoint
        self._observe = ignore if ranks.rank() else observer
        self._compute = compute or Compute(device=next(model.parameters()).device)
        self._optimiser = self._adam()

    def _adam(self) -> torch.optim.Adam:
        return torch.optim.Adam(self._model.parameters(), lr=self._training.learning_rate, fused=True)

    def run(self) -> list[dict[str, float]]:
        """Train to the end and leave the kept weights in the model; return the losses of each epoch.

        An interruption (Ctrl-C) leaves the checkpoint of the last finished epoch, from which `run` goes on
        to the result that it would have had without.

        Raises
        ------
        TrainingError
            If a loss is not finite, the checkpoint is damaged or of another training, or the processes of a group
            have different ones.
        """
        self._observe(TrainingStarted(device=self._compute.device.type, precision=self._compute.precision))
        progress = self._restore()
        check_agreement("checkpoints (epochs done)", progress.epochs_done)
        first = 0
        for stage in self._stages:
            done = min(max(progress.epochs_done - first, 0), stage.epochs)
            if done < stage.epochs:
                self._run_stage(stage, first, done, progress)
            first += stage.epochs
        if progress.kept:
            self._model.load_state_dict(progress.kept)
        self._model.eval()
        return progress.history

    def _restore(self) -> Progress:
        if self._checkpoint is None:
            return Progress()
        progress = self._checkpoint.restore(self._model, self._optimiser)
        if progress is None:
            return Progress()
        self._observe(
            Resumed(path=self._checkpoint.path, epochs_done=progress.epochs_done, spent_s=progress.spent_s)
        )
        return progress

    def _run_stage(self, stage: Stage, first: int, done: int, progress: Progress) -> None:
        steps = self._steps(stage)
        self._observe(
            StageStarted(stage=stage.number, epochs=stage.epochs, steps_per_epoch=steps, tasks=stage.tasks)
        )
        if first and not done and self._training.stage2_adam == "fresh":
            self._optimiser = self._adam()
        forward = self._forward_of(stage)
        # One thread for the whole stage: the first batch of an epoch is ready when the epoch before ends.
        with Prefetcher(self._stage_batches(stage, first, done)) as batches:
            ahead = iter(batches)
            for epoch in range(done, stage.epochs):
                started = time.perf_counter()
                losses = self._run_epoch(stage, epoch, first + epoch, forward, islice(ahead, steps))
                seconds = time.perf_counter() - started
                self._finish_epoch(stage, losses, seconds, progress)
                self._observe(
                    EpochEnded(
                        stage=stage.number,
                        epoch=epoch + 1,
                        epochs=stage.epochs,
                        losses=losses,
                        steps_per_s=steps / seconds,
                        eta_s=seconds * self._epochs_left(stage, epoch + 1),
                    )
                )

    def _forward_of(self, stage: Stage) -> nn.Module:
        """Freeze the heads that a stage has no task for; return the model as it is called in the stage."""
        heads = {
            "id": self._model.id_head,
            "augmentation": self._model.augmentation_head,
            "type": self._model.type_head,
        }
        for task, head in heads.items():
            if head is not None:
                head.requires_grad_(task in stage.tasks)
        model = shared(self._model)
        if not self._compute.compile:
            return model
        if model is not self._model:  # one graph: gradients of so few weights need not be averaged in parts
            torch._dynamo.config.optimize_ddp = False
        mode = "reduce-overhead" if self._compute.graphs else None
        return torch.compile(model, dynamic=False, mode=mode)  # type: ignore[return-value]

    def _stage_batches(self, stage: Stage, first: int, done: int) -> Iterator[Batch]:
        for epoch in range(done, stage.epochs):
            yield from self._batches(stage, first + epoch)

    def _run_epoch(
        self, stage: Stage, epoch: int, total_epoch: int, forward: nn.Module, batches: Iterable[Batch]
    ) -> dict[str, float]:
        steps = self._steps(stage)
        self._model.train()
        sums: dict[str, Tensor] = {}
        for step, batch in enumerate(batches):
            losses = self._step(stage, forward, batch, self._dropout_seed(total_epoch, step))
            for name, loss in losses.items():
                sums[name] = sums.get(name, 0) + loss.detach()
            self._observe(StepEnded(stage=stage.number, epoch=epoch + 1, step=step + 1, steps=steps))
        values = averaged(torch.stack(list(sums.values()))) / steps
        means = dict(zip(sums, values.tolist(), strict=True))
        if not math.isfinite(means["total"]):
            raise TrainingError(
                f"stage {stage.number}, epoch {epoch + 1}: the loss is {means['total']}; a lower "
                f"training.learning_rate than {self._training.learning_rate} may help"
            )
        return means

    def _dropout_seed(self, epoch: int, step: int) -> int:
        """Return a seed for each process of a group, the first one's being that of a single process."""
        key = (ranks.rank(),) if ranks.rank() else ()
        return derived_seed(self._seed, _DROPOUT, epoch, step, *key)

    def _step(self, stage: Stage, forward: nn.Module, batch: Batch, seed: int) -> dict[str, Tensor]:
        device = self._compute.device
        if self._training.batch_norm_others == "separate":
            separate(self._model, int((batch.ids != NO_ID).sum()) if stage.pseudo_anomalies else None)
        batch = Batch(*(tensor.to(device, non_blocking=True) for tensor in batch))
        with seeded(seed, device), full_float32(device):
            if self._compute.graphs:  # what the graphs of the step before have left may be overwritten
                torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=self._compute.autocast):
                outputs = forward(batch.logmels)
            losses = stage_losses(self._model, outputs, batch, stage, self._training)
            if self._training.loss_reduction == "sum":  # over the joint batch; gradients are averaged
                losses = {name: ranks.world_size() * loss for name, loss in losses.items()}
            self._optimiser.zero_grad()
            losses["total"].backward()  # type: ignore[no-untyped-call]
        self._optimiser.step()
        return losses

    def _finish_epoch(
        self, stage: Stage, losses: dict[str, float], seconds: float, progress: Progress
    ) -> None:
        progress.epochs_done += 1
        progress.spent_s += seconds
        progress.history.append(losses)
        # Losses of two stages are sums of different tasks: only those of the last can be compared.
        if stage is self._stages[-1]:
            self._keep(stage, losses["total"], progress)
        if self._checkpoint is not None and not ranks.rank():
            self._checkpoint.save(self._model, self._optimiser, progress)
            self._observe(CheckpointSaved(path=self._checkpoint.path, epochs_done=progress.epochs_done))

    def _keep(self, stage: Stage, loss: float, progress: Progress) -> None:
        """Let the weights after an epoch of the last stage join what is kept, as far as that is not the last ones."""
        weights = self._model.state_dict()
        if self._training.keep == "lowest_loss" and (progress.best_loss is None or loss < progress.best_loss):
            progress.best_loss = loss
            progress.kept = {name: value.clone() for name, value in weights.items()}
        left = sum(each.epochs for each in self._stages) - progress.epochs_done
        averaged_epochs = min(self._training.mean_epochs, stage.epochs) - left
        if self._training.keep == "mean" and averaged_epochs > 0:
            progress.kept = _running_mean(progress.kept, weights, averaged_epochs)

    def _epochs_left(self, stage: Stage, done: int) -> float:
        """Epochs still to come, in units of those of `stage`: with pseudo-anomalies they take longer."""
        remaining = float(stage.epochs - done)
        for later in self._stages[self._stages.index(stage) + 1 :]:
            remaining += later.epochs * self._clips_per_epoch(later) / self._clips_per_epoch(stage)
        return remaining

    def _clips_per_epoch(self, stage: Stage) -> int:
        training = self._training
        clips = training.batch_size
        if stage.pseudo_anomalies:
            clips = (training.stage2_normals or clips) + training.pseudo_anomalies
        return clips * self._steps(stage)


def _running_mean(
    mean: Mapping[str, Tensor], weights: Mapping[str, Tensor], number: int
) -> dict[str, Tensor]:
    """Return the mean over `number` epochs from that over one fewer; counts are those of the last."""
    if number == 1:
        return {name: value.clone() for name, value in weights.items()}
    return {
        name: mean[name].to(value.device).lerp(value, 1.0 / number)
        if value.is_floating_point()
        else value.clone()
        for name, value in weights.items()
    }
