"""Where in a clip a network's score comes from: integrated gradients (Sundararajan, Taly and Yan 2017).

The gradient of the score is averaged on the straight way from a healthy clip to the clip that is explained, and
multiplied by what lies between them: the products sum to the difference of the two scores.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from offkey.models.attribution import Attribution, ExplainedClip
from offkey.models.network.device import full_float32
from offkey.models.network.net.multitask import Model, Outputs

__all__ = ["PATTERN", "attribution", "healthy_like", "integrals", "weighted_score"]

PATTERN = "pattern"
"""What a network hears, as a kind of statistic."""

_NODES = 64  # of the Gauss-Legendre rule on the way
_BATCH = 8  # clips that go through the network together


def integrals(
    score: Callable[..., Tensor],
    way: Callable[[Tensor], tuple[Tensor, ...]],
    *,
    device: torch.device,
) -> list[np.ndarray]:
    """Return the integral of the score's gradient by each input, over the way's parameter from 0 to 1.

    Parameters
    ----------
    score
        Takes inputs ``(points, ...)`` and returns ``(points,)``.
    way
        Takes parameters ``(points,)`` and returns inputs.
    device
        Where it is computed.
    """
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    places, shares = (nodes + 1) / 2, weights / 2
    totals: list[np.ndarray] = []
    for first in range(0, _NODES, _BATCH):
        batch = slice(first, first + _BATCH)
        at = torch.tensor(places[batch], dtype=torch.float32, device=device)
        inputs = tuple(part.detach().requires_grad_() for part in way(at))
        with torch.enable_grad(), full_float32(device):
            gradients = torch.autograd.grad(score(*inputs).sum(), inputs)
        parts = [np.tensordot(shares[batch], part.double().cpu().numpy(), axes=1) for part in gradients]
        totals = [total + part for total, part in zip(totals, parts, strict=True)] if totals else parts
    return totals


def healthy_like(clip: ExplainedClip, levels: np.ndarray) -> np.ndarray:
    """Return the clip's log-Mel with levels and deviations of healthy clips, ``(n_mels, frames)`` float64.

    Parameters
    ----------
    clip
        The clip.
    levels
        ``(n_mels,)`` in dB: those where no healthy clips are kept; deviations are the clip's own then.
    """
    logmel = clip.picture.logmel
    own = logmel.mean(axis=1, keepdims=True)
    ratio = np.ones(len(logmel))
    if clip.healthy is not None:
        levels = clip.healthy.mean.mean(axis=0)
        ratio = np.exp(clip.healthy.lstd.mean(axis=0) - clip.statistics.lstd[0])
    like: np.ndarray = levels[:, None] + (logmel - own) * ratio[:, None]
    return like


def attribution(
    model: Model, clip: ExplainedClip, score: Callable[[Outputs], Tensor], *, longest: int
) -> Attribution:
    """Return where in a clip a score of the network's outputs comes from.

    Parameters
    ----------
    model
        In eval mode.
    clip
        The clip.
    score
        Takes outputs for clips, and returns ``(clips,)``.
    longest
        Frames that the network is given at most; longer clips are cut into windows, whose scores are averaged.
    """
    device = model.mean.device
    end = clip.picture.logmel
    start = healthy_like(clip, model.mean.cpu().numpy().astype(np.float64))
    windows = [
        torch.tensor(index, device=device) for index in _windows(end.shape[1], model.min_frames, longest)
    ]
    ends = torch.tensor(np.stack([start, end]), dtype=torch.float32, device=device)

    def of_logmels(logmels: Tensor) -> Tensor:
        return torch.stack([score(model(logmels[:, :, index])) for index in windows]).mean(dim=0)

    (gradient,) = integrals(
        of_logmels, lambda at: (torch.lerp(ends[0], ends[1], at[:, None, None]),), device=device
    )
    added = gradient * (end - start)
    return Attribution(map=added, raised=float(added.sum()), spoken={PATTERN: added.sum(axis=1)})


def weighted_score(
    slopes: Mapping[str, float],
    *,
    column: int,
    factor: np.ndarray,
    mean: np.ndarray,
    angular: str,
    scale: float,
) -> Callable[[Outputs], Tensor]:
    """Return the function from a network's outputs to the weighted sum of its raw scores against one ID.

    Parameters
    ----------
    slopes
        Raw score -> its weight.
    column
        The position of the ID.
    factor, mean
        Of healthy embeddings: ``|factor' (e - mean)|`` is the Mahalanobis distance.
    angular, scale
        How `a_arc` is computed (see `Scorer`).
    """

    def score(outputs: Outputs) -> Tensor:
        embedding = outputs.embedding.double()
        apart = embedding - torch.tensor(mean, device=embedding.device)
        distance = (
            (apart @ torch.tensor(factor, device=embedding.device)).square().sum(dim=1).clamp_min(1e-20)
        )
        total = slopes.get("a_maha", 0.0) * distance.sqrt()
        if outputs.type_logit is not None:
            total = total + slopes.get("a_out", 0.0) * torch.nn.functional.softplus(
                -outputs.type_logit.double()
            )
        if outputs.cosine is not None:
            total = total + slopes.get("a_arc", 0.0) * _angular(
                outputs.cosine.double(), column, angular, scale
            )
        return total

    return score


def _angular(cosines: Tensor, column: int, angular: str, scale: float) -> Tensor:
    if angular == "cosine":
        return 1.0 - cosines[:, column]
    minus_log = -torch.log_softmax(scale * cosines, dim=1)[:, column]
    return minus_log if angular == "log_prob" else -torch.expm1(-minus_log)


def _windows(frames: int, shortest: int, longest: int) -> list[np.ndarray]:
    """Return which frames each window has, as scoring takes them."""
    if frames < shortest:
        return [np.arange(shortest) % frames]
    if frames <= longest:
        return [np.arange(frames)]
    starts = np.linspace(0, frames - longest, -(-frames // longest)).round().astype(int)
    return [np.arange(start, start + longest) for start in starts.tolist()]
