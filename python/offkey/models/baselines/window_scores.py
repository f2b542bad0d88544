"""Clips through networks that look at windows of frames: their mean errors."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import cast

import numpy as np
from torch import nn

from offkey.errors import ArrayError
from offkey.models.baselines.window_net import WindowNet
from offkey.models.baselines.windows import windows_of
from offkey.models.network.device import inference, on_device
from offkey.recipe import ScoringPrecision

__all__ = ["checked_logmel", "clip_errors"]

_BATCH = 1 << 13  # windows that go through a network at once, about: 21 MB of 5 frames of 128 Mels


def checked_logmel(logmel: np.ndarray, clip: int, n_mels: int) -> np.ndarray:
    """Return a log-Mel ``(n_mels, frames)`` as float32; `clip` says which one it is.

    Raises
    ------
    ArrayError
        If it has another shape, or values that are not finite.
    """
    array = np.asarray(logmel, dtype=np.float32)
    if array.ndim != 2 or array.shape[0] != n_mels or not array.shape[1]:
        raise ArrayError(
            f"log-Mel of clip {clip}: given shape {array.shape}; expected ({n_mels}, frames) and at least one frame"
        )
    if not np.isfinite(array).all():
        raise ArrayError(f"log-Mel of clip {clip}: has values that are not finite")
    return array


def clip_errors(
    nets: Iterable[nn.Module],
    logmels: Sequence[np.ndarray],
    *,
    frames: int,
    n_ids: int,
    precision: ScoringPrecision = "float32",
) -> np.ndarray:
    """Return the mean errors ``(clips, ids)`` float64 over the windows of each clip, in eval mode.

    Parameters
    ----------
    nets
        One for all IDs, or one for each.
    logmels
        ``(n_mels, frames)`` float32 in dB each.
    frames
        Of a window.
    n_ids
        How many IDs there are.
    precision
        The numbers of matrix products; where float16 does not reach, float32.
    """
    networks = [cast(WindowNet, net) for net in nets]
    errors = np.empty((len(logmels), n_ids))
    for clips in _batches([max(1, logmel.shape[1] - frames + 1) for logmel in logmels]):
        windows = [windows_of(logmel, frames) for logmel in logmels[clips]]
        counts = np.array([len(part) for part in windows])
        batch = np.concatenate(windows)
        means = [_mean_of_clips(_forward(net, batch, precision), counts) for net in networks]
        errors[clips] = np.concatenate(means, axis=1)  # one column fills all
    return errors


def _batches(lengths: Sequence[int]) -> list[slice]:
    """Return slices of clips whose windows go through a network together."""
    ends = np.cumsum(lengths)
    cuts = np.flatnonzero(np.diff(ends // _BATCH)) + 1
    return [slice(a, b) for a, b in itertools.pairwise([0, *cuts.tolist(), len(lengths)])]


def _mean_of_clips(errors: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the means ``(clips, 1)`` or ``(clips, ids)`` of what windows, clip after clip, have."""
    starts = np.cumsum(counts) - counts
    means: np.ndarray = np.add.reduceat(errors, starts, axis=0).reshape(len(counts), -1) / counts[:, None]
    return means


def _forward(net: WindowNet, windows: np.ndarray, precision: ScoringPrecision) -> np.ndarray:
    device = net.mean.device
    with inference(device, precision):
        errors = net.errors(on_device(windows, device)).float()
    if precision != "float32" and not bool(errors.isfinite().all()):  # beyond the range of float16
        return _forward(net, windows, "float32")
    array: np.ndarray = errors.double().cpu().numpy()
    return array
