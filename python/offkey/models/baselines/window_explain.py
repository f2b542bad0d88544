"""Where in a clip the error of a network comes from that looks at windows of frames: integrated gradients."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from offkey.models.attribution import Attribution, ExplainedClip
from offkey.models.baselines.window_net import WindowNet
from offkey.models.network.explain import PATTERN, healthy_like, integrals

__all__ = ["attribution"]


def attribution(
    net: WindowNet, clip: ExplainedClip, *, frames: int, column: int, levels: np.ndarray, slope: float
) -> Attribution:
    """Return where in a clip its score comes from, on the way from a clip with the levels of healthy ones.

    Parameters
    ----------
    net
        In eval mode.
    clip
        The clip.
    frames
        Of a window.
    column
        The position of the ID, where errors depend on it.
    levels
        ``(n_mels,)`` in dB: of healthy clips, where none are kept.
    slope
        By how much the anomaly score rises with the mean error.
    """
    device = net.mean.device
    end = clip.picture.logmel
    start = healthy_like(clip, levels)
    ends = torch.tensor(np.stack([start, end]), dtype=torch.float32, device=device)
    index = torch.arange(max(end.shape[1], frames), device=device) % end.shape[1]

    def score(logmels: Tensor) -> Tensor:
        windows = logmels[:, :, index].unfold(2, frames, 1).permute(0, 2, 3, 1)
        errors = net.errors(windows.flatten(0, 1)).double()
        own = errors[:, column] if errors.ndim > 1 else errors
        return slope * own.reshape(windows.shape[:2]).mean(dim=1)

    (gradient,) = integrals(
        score, lambda at: (torch.lerp(ends[0], ends[1], at[:, None, None]),), device=device
    )
    added = gradient * (end - start)
    return Attribution(map=added, raised=float(added.sum()), spoken={PATTERN: added.sum(axis=1)})
