"""The training of the networks, one after the other, each without its share of the recordings."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from offkey.models.near import Near
from offkey.models.near.batches import Batch, Batches
from offkey.models.near.clips import NormalClips
from offkey.models.near.deviations import DeviationSets
from offkey.models.near.gate import Plan
from offkey.models.near.member import Member
from offkey.models.near.net import NearNet, Outputs
from offkey.models.network.checkpoint import Checkpoint, Progress
from offkey.models.network.device import full_float32, seeded
from offkey.models.network.epochs import Part, run_epochs
from offkey.models.network.events import CheckpointSaved, Observer, Resumed, TrainingStarted
from offkey.models.network.sampling import derived_seed
from offkey.models.spectral.folds import Folds

__all__ = ["train"]

_WEIGHTS, _DROPOUT = 14, 15  # first parts of keys of random streams
_EPOCHS = 10  # into which the steps are divided for those who watch
_LARGEST_GRADIENT = 5.0
_RISING = 0.2  # of the steps
_MEASURED = (1 / 3, 2 / 3)  # of the steps: when it is seen how well IDs are told apart


def train(
    clips: NormalClips,
    plan: Plan,
    folds: Folds,
    *,
    settings: Near,
    seed: int,
    device: torch.device,
    num_threads: int | None,
    checkpoint: Checkpoint | None,
    observer: Observer,
) -> tuple[list[Member], list[dict[str, float]]]:
    """Train every network; return them, and the losses of each epoch.

    An interruption (Ctrl-C) leaves the checkpoint of the last finished network, from which a later call goes on.

    Raises
    ------
    TrainingError
        If a loss is not finite, or the checkpoint is damaged or of another training.
    """
    observer(TrainingStarted(device=device.type, precision="float32"))
    batches = [
        Batches(
            clips,
            folds.fold != number,
            plan,
            settings,
            seed=seed,
            number=number,
            num_threads=num_threads,
        )
        for number in range(int(folds.fold.max()) + 1)
    ]
    nets = [
        new_net(clips, plan, of_net.final, settings, seed=derived_seed(seed, _WEIGHTS, number)).to(device)
        for number, of_net in enumerate(batches)
    ]
    every = nn.ModuleList(nets)
    progress = Progress()
    if checkpoint is not None and (saved := checkpoint.restore(every, None)) is not None:
        progress = saved
        observer(Resumed(path=checkpoint.path, epochs_done=progress.epochs_done, spent_s=progress.spent_s))
    for number, of_net in enumerate(batches):
        if progress.epochs_done >= (number + 1) * _EPOCHS:
            continue
        trainer = _Trainer(nets[number], clips, of_net, settings, seed=seed, number=number, observer=observer)
        trainer.run(progress, left=len(batches) - number - 1)
        if checkpoint is not None:
            checkpoint.save(every, None, progress)
            observer(CheckpointSaved(path=checkpoint.path, epochs_done=progress.epochs_done))
    members = [
        Member(net=net.eval(), deviations=of_net.final) for net, of_net in zip(nets, batches, strict=True)
    ]
    return members, progress.history


def new_net(
    clips: NormalClips, plan: Plan, deviations: DeviationSets, settings: Near, *, seed: int
) -> NearNet:
    """Return a network with its first weights, the same on every device."""
    with seeded(seed, torch.device("cpu")):
        return NearNet(
            deviations.sizes,
            n_mels=clips.extract.n_mels,
            kinds=len(plan.kinds),
            ids=len(clips.names) if settings.arcface_weight and len(clips.names) > 1 else 0,
            conformer=plan.conformer,
        )


class _Trainer:
    """Trains one network."""

    def __init__(
        self,
        net: NearNet,
        clips: NormalClips,
        batches: Batches,
        settings: Near,
        *,
        seed: int,
        number: int,
        observer: Observer,
    ) -> None:
        self._net, self._clips, self._batches, self._settings = net, clips, batches, settings
        self._seed, self._number, self._observe = seed, number, observer
        self._device = next(net.parameters()).device
        of_frames = [part for part in (net.conformer, net.arcface) if part is not None]
        fast = [parameter for part in of_frames for parameter in part.parameters()]
        chosen = set(map(id, fast))
        slow = [parameter for parameter in net.parameters() if id(parameter) not in chosen]
        rates = [settings.statistics_learning_rate, *([settings.conformer_learning_rate] if fast else ())]
        self._optimiser = torch.optim.AdamW(
            [{"params": group, "lr": rate} for group, rate in zip([slow, fast], rates, strict=False)],
            weight_decay=settings.weight_decay,
        )
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(
            self._optimiser, max_lr=rates, total_steps=settings.steps, pct_start=_RISING
        )
        self._measured = {round(settings.steps * share) for share in _MEASURED}
        self._id_share = 1.0

    def run(self, progress: Progress, *, left: int) -> None:
        """Train from the first step to the last, and write down the losses; `left` networks are still to come."""
        run_epochs(
            Part(
                number=self._number + 1,
                epochs=_EPOCHS,
                left=left,
                steps=lambda epoch: len(self._steps_of(epoch)),
                tasks=("near", "kind", *(("id",) if self._net.arcface is not None else ())),
                advice=f"a lower near.statistics_learning_rate than {self._settings.statistics_learning_rate} may help",
            ),
            self._epoch,
            progress,
            self._observe,
        )

    def _steps_of(self, epoch: int) -> range:
        first, end = (round(self._settings.steps * number / _EPOCHS) for number in (epoch, epoch + 1))
        return range(first, end)

    def _epoch(self, epoch: int) -> Iterator[dict[str, Tensor]]:
        self._net.train()
        for step in self._steps_of(epoch):
            yield self._step(step)

    def _step(self, step: int) -> dict[str, Tensor]:
        if self._net.arcface is not None and step in self._measured:
            self._id_share = self._ids_told_apart()
        batch = self._batches.step(step)
        with (
            seeded(derived_seed(self._seed, _DROPOUT, self._number, step), self._device),
            full_float32(self._device),
        ):
            outputs = self._net(*self._inputs(batch))
            losses = self._losses(outputs, batch)
            self._optimiser.zero_grad()
            losses["total"].backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._net.parameters(), _LARGEST_GRADIENT)
        self._optimiser.step()
        self._schedule.step()
        return {name: loss.detach() for name, loss in losses.items()}

    def _ids_told_apart(self) -> float:
        """Return how often held-out clips are nearest to their own ID's centre: 0 at chance, 1 always."""
        cosines = Member(self._net.eval(), self._batches.final).cosines(self._batches.held_out_inputs())
        self._net.train()
        ids = self._clips.ids[self._batches.held_out]
        right = cosines.argmax(axis=1) == ids
        accuracy = float(np.mean([right[ids == i].mean() for i in np.unique(ids)]))
        chance = 1 / len(self._clips.names)
        return max(0.0, (accuracy - chance) / (1 - chance))

    def _inputs(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        deviations = torch.from_numpy(batch.deviations).to(self._device)
        dynamics = None if batch.dynamics is None else torch.from_numpy(batch.dynamics).to(self._device)
        return deviations, dynamics

    def _losses(self, outputs: Outputs, batch: Batch) -> dict[str, Tensor]:
        normals = len(batch.ids)
        target = torch.zeros_like(outputs.logit)
        target[normals:] = 1.0
        near = functional.binary_cross_entropy_with_logits(outputs.logit, target)
        kinds = torch.from_numpy(batch.kinds).to(self._device)
        kind = functional.cross_entropy(outputs.kinds[normals:], kinds)
        losses = {"near": near, "kind": kind}
        total = near + self._settings.kind_weight * kind
        if self._net.arcface is not None and outputs.cosines is not None:
            ids = torch.from_numpy(batch.ids).to(self._device)
            logits = self._net.arcface.logits(outputs.cosines[:normals], ids)
            losses["id"] = functional.cross_entropy(logits, ids)
            total = total + self._settings.arcface_weight * self._id_share * losses["id"]
        return {"total": total, **losses}
