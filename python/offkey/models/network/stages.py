"""Two stages, inside out, and the losses of each (Zhang et al. 2023, sections 2.2 and 2.2.4)."""

from __future__ import annotations

import dataclasses
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from offkey.errors import TrainingError
from offkey.models.network.net.multitask import Model, Outputs
from offkey.recipe import Training

__all__ = ["NO_ID", "Batch", "Stage", "plan_stages", "stage_losses"]

NO_ID = -1
Task = Literal["id", "augmentation", "type"]


class Batch(NamedTuple):
    """One step's input and targets."""

    logmels: Tensor
    """``(clips, n_mels, frames)`` float32, dB."""
    ids: Tensor
    """``(clips,)`` int64: number of the machine ID, `NO_ID` for a pseudo-anomaly."""
    augmentations: Tensor
    """``(clips,)`` int64: number of the augmentation class."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What one stage trains."""

    number: int
    epochs: int
    tasks: tuple[Task, ...]

    @property
    def pseudo_anomalies(self) -> bool:
        """Whether clips of other types join each batch."""
        return "type" in self.tasks


def plan_stages(
    training: Training, *, machine_ids: int, others: bool, augmentation_classes: int
) -> tuple[Stage, ...]:
    """Return the stages that can be trained with what there is; those without epochs or tasks are left out.

    The ID task needs two IDs, the type task clips of other types, the augmentation task two classes.
    Without clips of other types stage 2 still trains the other tasks, so that the network gets as many
    epochs as it would with them.

    Raises
    ------
    TrainingError
        If no task can be trained.
    """
    ids: tuple[Task, ...] = ("id",) if machine_ids > 1 else ()
    augmentations: tuple[Task, ...] = ("augmentation",) if augmentation_classes > 1 else ()
    first = ids + (augmentations if training.stage1_tasks == "id+aug" else ())
    second = ids + augmentations + (("type",) if others else ())
    stages = (
        Stage(number=1, epochs=training.stage1_epochs, tasks=first),
        Stage(number=2, epochs=training.stage2_epochs, tasks=second),
    )
    planned = tuple(stage for stage in stages if stage.epochs and stage.tasks)
    if not planned:
        raise TrainingError(
            f"nothing to train: {machine_ids} machine ID(s), {'some' if others else 'no'} clips of other "
            f"types and {augmentation_classes} augmentation class(es) in {training.stage1_epochs} + "
            f"{training.stage2_epochs} epochs; give clips of a second machine ID or of another machine type, "
            "or use recipe 'spectral', which needs neither"
        )
    return planned


def stage_losses(
    model: Model, outputs: Outputs, batch: Batch, stage: Stage, training: Training
) -> dict[str, Tensor]:
    """Return each task's loss of a batch and "total", their weighted sum L_type + alpha L_id + beta L_aug.

    Each loss is the mean over the clips that its task applies to (`loss_reduction` "sum": the sum);
    pseudo-anomalies have no ID and are masked from that task.
    """
    reduction = training.loss_reduction
    losses: dict[str, Tensor] = {}
    if "id" in stage.tasks and model.id_head is not None and outputs.cosine is not None:
        logits = model.id_head.logits(outputs.cosine, batch.ids.clamp_min(0))
        losses["id"] = functional.cross_entropy(logits, batch.ids, ignore_index=NO_ID, reduction=reduction)
    if "augmentation" in stage.tasks and outputs.augmentation_logits is not None:
        logits = outputs.augmentation_logits.float()
        losses["augmentation"] = functional.cross_entropy(logits, batch.augmentations, reduction=reduction)
    if "type" in stage.tasks and outputs.type_logit is not None:
        target = (batch.ids != NO_ID).float()
        losses["type"] = functional.binary_cross_entropy_with_logits(
            outputs.type_logit.float(), target, reduction=reduction
        )
    weights = {"id": training.alpha, "augmentation": training.beta, "type": 1.0}
    losses["total"] = torch.stack([weights[name] * loss for name, loss in losses.items()]).sum()
    return losses
