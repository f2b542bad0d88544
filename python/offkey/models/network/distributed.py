"""One training in several processes, started by torchrun: each takes its share of every batch.

Gradients are averaged by torch's DistributedDataParallel, and every BatchNorm sees the joint batch, so that the
weights go the way that one process with the joint batch would take. Every process ends with the same model.
"""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from offkey._util import ranks
from offkey.errors import ParameterError, TrainingError
from offkey.models.network.net.batch_norm import BatchNorm
from offkey.models.network.net.multitask import Model
from offkey.recipe import Training

__all__ = [
    "JointBatchNorm",
    "averaged",
    "check_agreement",
    "check_shares",
    "join_batch_norms",
    "process_group",
    "shared",
]

_TIMEOUT = datetime.timedelta(minutes=30)  # the first epoch waits for the slowest process to read its clips


@contextlib.contextmanager
def process_group(device: torch.device) -> Iterator[None]:
    """Join torchrun's processes for the block; nothing without torchrun, or where the caller has joined them.

    Raises
    ------
    TrainingError
        If the caller has joined processes of another launcher.
    """
    if distributed.is_initialized() and distributed.get_world_size() != ranks.world_size():
        raise TrainingError(
            f"a group of {distributed.get_world_size()} processes that torchrun has not started: start them by "
            "torchrun, which says which of them each is"
        )
    if not ranks.launched() or distributed.is_initialized():
        yield
        return
    backend = "nccl" if device.type == "cuda" else "gloo"
    distributed.init_process_group(backend, timeout=_TIMEOUT)
    try:
        yield
    finally:
        distributed.destroy_process_group()


def check_agreement(what: str, value: object) -> None:
    """Refuse to go on where the processes of a group differ: their shares would be of different trainings.

    Raises
    ------
    TrainingError
        In every process, if `own` is not the same in all of them.
    """
    if not distributed.is_initialized():
        return
    values: list[object] = [None] * distributed.get_world_size()
    distributed.all_gather_object(values, value)
    if any(other != values[0] for other in values):
        raise TrainingError(
            f"the processes have different {what}: {values}; each must read the same clips, with the same recipe "
            "and seed, and see the same checkpoint"
        )


def check_shares(training: Training) -> None:
    """Refuse numbers of clips that the processes cannot share evenly: their losses would weigh differently.

    Raises
    ------
    ParameterError
        If the number of processes does not divide `batch_size`, `stage2_normals` and `pseudo_anomalies`.
    """
    size = ranks.world_size()
    for name in ("batch_size", "stage2_normals", "pseudo_anomalies"):
        clips = getattr(training, name)
        if clips is not None and clips % size:
            raise ParameterError(
                f"training.{name} = {clips}: expected a multiple of the {size} processes, so that each has as "
                "many clips as the others"
            )


def shared(model: nn.Module) -> nn.Module:
    """Return the model with its gradients averaged over all processes; itself where there is only one."""
    if not distributed.is_initialized():
        return model
    # The statistics of the BatchNorms are the same everywhere already.
    return DistributedDataParallel(model, broadcast_buffers=False)


def averaged(values: Tensor) -> Tensor:
    """Return the mean over all processes of as many numbers."""
    if not distributed.is_initialized():
        return values
    total = values.clone()
    distributed.all_reduce(total)
    return total / distributed.get_world_size()


class _Sum(torch.autograd.Function):
    """The sum over all processes; its gradient is the sum of theirs."""

    @staticmethod
    def forward(_context: Any, values: Tensor) -> Tensor:
        total = values.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(_context: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone()
        distributed.all_reduce(total)
        return total


class JointBatchNorm(BatchNorm):
    """A BatchNorm over the joint batch of all processes, which hold as many clips each.

    As torch's SyncBatchNorm, which has no CPU.
    """

    def whole(self, input: Tensor) -> Tensor:  # noqa: A002  # the name of the base class
        """Normalise a batch by the joint statistics, and remember them."""
        if not self.training or self.alone:
            return super().whole(input)
        normalised, mean, variance = self._by_joint(input)
        self._remember(mean, variance)
        return normalised

    def passing(self, input: Tensor) -> Tensor:  # noqa: A002
        """Normalise a batch by the joint statistics and forget them."""
        return self._by_joint(input)[0]

    def _by_joint(self, input: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # noqa: A002
        """Return the batch, normalised; the joint mean and the joint variance without bias, ``(channels,)``."""
        axes = [0] if input.ndim == 2 else [0, 2]
        shape = (1, -1) if input.ndim == 2 else (1, -1, 1)
        count = input.numel() // input.shape[1] * distributed.get_world_size()
        x = input.float()
        mean: Tensor = _Sum.apply(x.sum(axes)) / count
        centred = x - mean.view(shape)
        variance: Tensor = _Sum.apply(centred.square().sum(axes)) / count
        scale = self.weight * torch.rsqrt(variance + self.eps)
        normalised = (centred * scale.view(shape) + self.bias.view(shape)).to(input.dtype)
        return normalised, mean.detach(), variance.detach() * (count / max(count - 1, 1))

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        assert self.momentum is not None  # torch's default is kept
        assert self.running_mean is not None and self.running_var is not None  # noqa: PT018
        assert self.num_batches_tracked is not None
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)


def join_batch_norms(model: Model) -> None:
    """Let every BatchNorm of a model see the joint batch, with the parameters and statistics that it has."""
    if not distributed.is_initialized():
        return
    for module in list(model.modules()):
        for name, child in module.named_children():
            if type(child) is BatchNorm:
                joint = JointBatchNorm(child.num_features, eps=child.eps, momentum=child.momentum)
                joint.load_state_dict(child.state_dict())
                setattr(module, name, joint.to(child.weight.device))
