"""Batches of clips as the log-Mel kernels take them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from offkey.errors import ArrayError

__all__ = ["Batch", "clips_of"]

Batch: TypeAlias = Sequence[np.ndarray] | np.ndarray
"""A 2-D array `(clips, samples)` or a sequence of 1-D arrays, float32 in [-1, 1] or int16."""


def clips_of(batch: Batch, sample_rate: int) -> list[np.ndarray]:
    """Return the clips of a batch: 1-D, contiguous, aligned.

    Parameters
    ----------
    batch
        Clips; an `AudioBatch` knows its rate.
    sample_rate
        The rate in Hz that they must have, as far as they know it.

    Raises
    ------
    ArrayError
        If they have another rate, shape or dtype.
    """
    rate = getattr(batch, "sample_rate", None) or sample_rate
    if rate != sample_rate:
        raise ArrayError(f"batch: {rate} Hz; expected {sample_rate} Hz: read with sample_rate={sample_rate}")
    if isinstance(batch, np.ndarray) and batch.ndim != 2:
        hint = "; for one clip give clip[None]" if batch.ndim == 1 else ""
        raise ArrayError(f"batch: shape {batch.shape}; expected (clips, samples){hint}")
    return [_clip(index, np.asarray(clip)) for index, clip in enumerate(batch)]


def _clip(index: int, clip: np.ndarray) -> np.ndarray:
    if clip.ndim != 1:
        hint = "; for one clip give [clip]" if clip.ndim == 0 else ""
        raise ArrayError(f"batch[{index}]: shape {clip.shape}; expected (samples,){hint}")
    if clip.dtype not in (np.float32, np.int16):
        raise ArrayError(
            f"batch[{index}]: {clip.dtype}; expected float32 (full scale 1) or int16 (full scale 32768)"
        )
    return np.require(clip, requirements=["C", "A"])
