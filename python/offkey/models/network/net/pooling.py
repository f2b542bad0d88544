"""Attentive statistics pooling with global context (Okabe et al. 2018; Desplanques et al. 2020)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["AttentiveStatisticsPooling"]

_MIN_VARIANCE = 1e-7
"""The gradient of a square root is infinite at 0, which a clip of one frame would reach."""


class AttentiveStatisticsPooling(nn.Module):
    """Weighted mean and standard deviation over time, the weights chosen for each channel and frame.

    The attention sees a frame beside the clip's plain mean and deviation (the global context):
    ``a = softmax over time of V tanh(W [x_t, mean, std] + b) + c``.

    Parameters
    ----------
    dim : int
        Channels of the input.
    attention_channels : int
        Width of the hidden layer of the attention.
    score_bias : bool
        Whether there is c, which changes nothing: the softmax is over time, and c the same at all times.
    """

    def __init__(self, dim: int, attention_channels: int, *, score_bias: bool = True) -> None:
        super().__init__()
        # W in two parts, since the context is the same for all frames of a clip and is multiplied once.
        self.frame = nn.Linear(dim, attention_channels)
        self.context = nn.Linear(2 * dim, attention_channels, bias=False)
        self.score = nn.Linear(attention_channels, dim, bias=score_bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(clips, 2 * dim)``, means then deviations, from ``(clips, frames, dim)``."""
        frames = x.float()  # under autocast the deviation of half-precision values would lose its digits
        even = torch.full_like(frames[:, :, :1], 1.0 / frames.shape[1])
        context = torch.cat(_statistics(frames, even), dim=-1)
        hidden = torch.tanh(self.frame(x) + self.context(context).unsqueeze(1))
        weights = torch.softmax(self.score(hidden).float(), dim=1)
        return torch.cat(_statistics(frames, weights), dim=-1)


def _statistics(x: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    mean = (weights * x).sum(dim=1)
    variance = (weights * (x - mean.unsqueeze(1)).square()).sum(dim=1)
    return mean, variance.clamp_min(_MIN_VARIANCE).sqrt()
