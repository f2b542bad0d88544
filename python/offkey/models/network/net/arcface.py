"""ArcFace: a classifier by angles, with a margin on the target class (Deng et al. 2019)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["ArcFace"]

_EDGE = 1e-6
"""How far the cosine stays from -1 and 1 inside the margin, where the sine's gradient is infinite."""


class ArcFace(nn.Module):
    """Cosines between embeddings and one centre for each class, and logits with the additive angular margin.

    Everything is computed in float32, also under autocast.

    Parameters
    ----------
    embedding_dim, classes : int
        Size of the embeddings, number of classes.
    scale : float
        What the cosines are multiplied with before the softmax.
    margin_rad : float
        The margin in radians, within [0, pi / 2]: beyond, the logit is no longer monotonic in the angle.
    """

    def __init__(self, embedding_dim: int, classes: int, *, scale: float, margin_rad: float) -> None:
        super().__init__()
        self.scale = scale
        self.margin_rad = margin_rad
        self.centres = nn.Parameter(torch.empty(classes, embedding_dim))
        nn.init.xavier_normal_(self.centres)

    def forward(self, embedding: Tensor) -> Tensor:
        """Return the cosines ``(clips, classes)``, float32 within [-1, 1], of ``(clips, embedding_dim)``."""
        with torch.autocast(embedding.device.type, enabled=False):
            unit = functional.normalize(embedding.float(), dim=1)
            return functional.linear(unit, functional.normalize(self.centres.float(), dim=1)).clamp(-1.0, 1.0)

    def logits(self, cosine: Tensor, target: Tensor) -> Tensor:
        """Return logits ``(clips, classes)`` for a cross-entropy, the margin on each clip's own class only.

        The own class gets ``s cos(theta + m)`` up to theta = pi - m, and beyond it, where that would rise
        again, ``s (cos(theta) - m sin(pi - m))``.

        Parameters
        ----------
        cosine : Tensor
            Cosines ``(clips, classes)`` as `forward` returns them.
        target : Tensor
            Class of each clip ``(clips,)`` int64.
        """
        with torch.autocast(cosine.device.type, enabled=False):
            column = target.unsqueeze(1)
            true_cosine = cosine.float().gather(1, column).clamp(-1.0 + _EDGE, 1.0 - _EDGE)
            sine = (1.0 - true_cosine.square()).sqrt()
            shifted = true_cosine * math.cos(self.margin_rad) - sine * math.sin(self.margin_rad)
            extended = true_cosine - self.margin_rad * math.sin(math.pi - self.margin_rad)
            with_margin = torch.where(true_cosine > math.cos(math.pi - self.margin_rad), shifted, extended)
            return self.scale * cosine.float().scatter(1, column, with_margin)
