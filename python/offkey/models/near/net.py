"""The network: a statistics path that starts as the likelihood ratio, and a conformer path on dynamics."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from offkey.models.network.net.arcface import ArcFace
from offkey.models.network.net.conformer import ConformerBlock
from offkey.models.network.net.pooling import AttentiveStatisticsPooling

__all__ = ["ConformerPath", "NearNet", "Outputs", "StatisticsPath"]

_EMBEDDING_DIM = 64
_HIDDEN = 128
_SMALLEST_SQUARE = 0.1
_SMALLEST_RATIO = 1e-6
_DIM, _HEADS, _FFN_DIM, _KERNEL, _BLOCKS = 64, 4, 128, 7, 2
_ARCFACE_SCALE, _ARCFACE_MARGIN_RAD = 16.0, 0.3


class Outputs(NamedTuple):
    """What the network says of some clips."""

    logit: Tensor
    """``(clips,)``: that it is a near anomaly."""
    embedding: Tensor
    """``(clips, dim)``: the statistics path's, and behind it the conformer path's."""
    kinds: Tensor
    """``(clips, kinds)`` logits of the kind of near anomaly."""
    cosines: Tensor | None
    """``(clips, ids)`` of the conformer path's embedding and the IDs' centres, where there is that task."""


class StatisticsPath(nn.Module):
    """Deviations of feature sets to the likelihood ratio's logit, and to an embedding of what it has learned beside it.

    Parameters
    ----------
    sizes : list of int
        How many numbers each feature set has.
    """

    def __init__(self, sizes: list[int]) -> None:
        super().__init__()
        self.sizes = sizes
        self.ratio_norm = nn.BatchNorm1d(len(sizes), affine=False)
        self.ratio_weights = nn.Parameter(torch.full((len(sizes),), len(sizes) ** -0.5))
        self.norm = nn.BatchNorm1d(sum(sizes), affine=False)
        self.directions = nn.Linear(sum(sizes), _HIDDEN, bias=False)
        nn.init.orthogonal_(self.directions.weight)
        self.hidden_norm = nn.BatchNorm1d(_HIDDEN + len(sizes))
        self.embedding = nn.Linear(_HIDDEN + len(sizes), _EMBEDDING_DIM)

    def forward(self, deviations: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logit ``(clips,)`` and the embedding ``(clips, 64)`` of ``(clips, sum of sizes)``."""
        logarithms = self._logarithms(deviations)
        logit = self.ratio_norm(logarithms) @ self.ratio_weights
        squares = self.directions(self.norm(deviations)).square()
        hidden = torch.cat([torch.log(squares + _SMALLEST_SQUARE), logarithms], dim=1)
        return logit, self.embedding(self.hidden_norm(hidden))

    @torch.no_grad()
    def above_usual(self, deviations: Tensor) -> Tensor:
        """Return by how much the logarithm of each set's ratio lies above its mean in training, ``(clips, sets)``."""
        above: Tensor = self._logarithms(deviations) - self.ratio_norm.get_buffer("running_mean")
        return above

    def _logarithms(self, deviations: Tensor) -> Tensor:
        parts = torch.split(deviations, self.sizes, dim=1)
        ratios = torch.stack([part.square().sum(dim=1) for part in parts], dim=1)
        return torch.log(ratios + _SMALLEST_RATIO)


class ConformerPath(nn.Module):
    """Dynamics ``(clips, n_mels, frames)`` to an embedding: convolutions over time, conformer blocks, pooling.

    Parameters
    ----------
    n_mels : int
        Mel bins of the input.
    """

    min_frames = 9  # fewer leave less than two tokens

    def __init__(self, n_mels: int) -> None:
        super().__init__()
        self.input = nn.Sequential(
            nn.Conv1d(n_mels, _DIM, 5, stride=4, padding=2),
            nn.BatchNorm1d(_DIM),
            nn.SiLU(),
            nn.Conv1d(_DIM, _DIM, 3, stride=2, padding=1),
            nn.BatchNorm1d(_DIM),
            nn.SiLU(),
        )
        blocks = (
            ConformerBlock(_DIM, heads=_HEADS, ffn_dim=_FFN_DIM, kernel_size=_KERNEL) for _ in range(_BLOCKS)
        )
        self.blocks = nn.Sequential(*blocks)
        self.pooling = AttentiveStatisticsPooling(_DIM, _DIM)
        self.norm = nn.BatchNorm1d(4 * _DIM)
        self.embedding = nn.Linear(4 * _DIM, _EMBEDDING_DIM)

    def forward(self, dynamics: Tensor) -> Tensor:
        """Return the embedding ``(clips, 64)``."""
        tokens = self.input(dynamics).transpose(1, 2)
        mean = tokens.mean(dim=1)
        deviation = (tokens - mean[:, None]).square().mean(dim=1).clamp_min(1e-7).sqrt()
        pooled = torch.cat([self.pooling(self.blocks(tokens)), mean, deviation], dim=1)
        return self.embedding(self.norm(pooled))  # type: ignore[no-any-return]


class NearNet(nn.Module):
    """Both paths and their heads.

    Parameters
    ----------
    sizes : list of int
        How many numbers each feature set has.
    n_mels : int
        Mel bins.
    kinds : int
        How many kinds of near anomaly there are.
    ids : int
        How many machine IDs ArcFace tells apart; 0: there is no such task.
    conformer : bool
        Whether there is the conformer path.
    """

    def __init__(self, sizes: list[int], *, n_mels: int, kinds: int, ids: int, conformer: bool) -> None:
        super().__init__()
        self.statistics = StatisticsPath(sizes)
        self.conformer = ConformerPath(n_mels) if conformer else None
        self.arcface = (
            ArcFace(_EMBEDDING_DIM, ids, scale=_ARCFACE_SCALE, margin_rad=_ARCFACE_MARGIN_RAD)
            if conformer and ids
            else None
        )
        self.embedding_dim = width = _EMBEDDING_DIM * (1 + conformer)
        self.near = nn.Linear(width, 1)
        nn.init.zeros_(self.near.weight)
        nn.init.zeros_(self.near.bias)
        self.kinds = nn.Linear(width, kinds)

    def forward(self, deviations: Tensor, dynamics: Tensor | None) -> Outputs:
        """Return what the network says.

        Parameters
        ----------
        deviations
            ``(clips, sum of sizes)``.
        dynamics
            ``(clips, n_mels, frames)`` float32 where there is the conformer path.
        """
        of_frames = None if self.conformer is None else self.conformer(dynamics)
        return self.joined(deviations, of_frames)

    def joined(self, deviations: Tensor, of_frames: Tensor | None) -> Outputs:
        """Return the same, given the conformer path's embedding ``(clips, 64)``."""
        skip, embedding = self.statistics(deviations)
        cosines = None
        if of_frames is not None:
            embedding = torch.cat([embedding, of_frames], dim=1)
            cosines = None if self.arcface is None else self.arcface(of_frames)
        logit = skip + self.near(embedding)[:, 0]
        return Outputs(logit, embedding, self.kinds(embedding), cosines)
