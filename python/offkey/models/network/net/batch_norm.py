"""BatchNorm, of a whole batch or of normal clips and pseudo-anomalies apart, and its statistics from clean clips."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["BatchNorm", "estimate_anew", "separate"]


class BatchNorm(nn.BatchNorm1d):
    """BatchNorm1d that can normalise a batch in two parts while it trains: its first clips, and the rest.

    Each part then has a mean and a variance of its own; only those of the first enter the running statistics.
    """

    normals: int | None = None
    """How many clips the first part has; None: the whole batch is one."""
    alone: bool = False
    """Of a process in a group: whether its batch is the whole one, not its share of a joint one."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  # the name of the base class
        """Return ``(clips, channels)`` or ``(clips, channels, frames)``, normalised, from the same shape."""
        if not self.training or self.normals is None:
            return self.whole(input)
        return torch.cat([self.whole(input[: self.normals]), self.passing(input[self.normals :])])

    def whole(self, input: Tensor) -> Tensor:  # noqa: A002
        """Normalise a batch as BatchNorm1d does."""
        return super().forward(input)

    def passing(self, input: Tensor) -> Tensor:  # noqa: A002
        """Normalise a batch by its own statistics and forget them."""
        return functional.batch_norm(input, None, None, self.weight, self.bias, training=True, eps=self.eps)


def separate(model: nn.Module, normals: int | None) -> None:
    """Let every BatchNorm of a model treat the first so many clips of a batch apart from the rest; None: no clips."""
    for norm in _norms(model):
        norm.normals = normals


@torch.no_grad()
def estimate_anew(model: nn.Module, batches: Iterable[Tensor]) -> None:
    """Replace the running statistics of every BatchNorm by those of some batches, two clips or more each.

    They are the means over the batches, by their numbers of clips, of what each BatchNorm has seen of them; nothing
    else of the model trains, and no dropout is drawn. Without a batch the statistics stay. The model is left in eval
    mode.
    """
    norms = _norms(model)
    momentum = [norm.momentum for norm in norms]
    separate(model, None)
    model.eval()
    for norm in norms:
        norm.train()
        norm.alone = True  # every process of a group passes all clips
    clips = 0
    for batch in batches:
        clips += len(batch)
        for norm in norms:
            norm.momentum = len(batch) / clips
        model(batch)
    for norm, before in zip(norms, momentum, strict=True):
        norm.momentum, norm.alone = before, False
    model.eval()


def _norms(model: nn.Module) -> list[BatchNorm]:
    return [module for module in model.modules() if isinstance(module, BatchNorm)]
