"""Windows of neighbouring frames, which auto-encoders look at: those of a clip, and those of many in random order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from offkey.models.network.batches import KeptLogMels
from offkey.models.network.sampling import derived_seed

__all__ = ["TrainingWindows", "windows_of"]

_CLIPS, _WINDOWS = 16, 17  # first parts of keys of random streams
_BLOCK_FRAMES = 1 << 18  # in memory at a time: 134 MB of 128 Mels


def windows_of(logmel: np.ndarray, frames: int) -> np.ndarray:
    """Return all windows ``(windows, frames, n_mels)`` of a clip ``(n_mels, frames)``, each a frame after the last.

    A shorter clip is repeated from its start until it fills one.
    """
    if logmel.shape[1] < frames:
        logmel = logmel[:, np.arange(frames) % logmel.shape[1]]
    views = np.lib.stride_tricks.sliding_window_view(logmel.T, frames, axis=0)
    windows: np.ndarray = views.transpose(0, 2, 1)
    return windows


class TrainingWindows:
    """Yields every window of some clips once an epoch, in random order.

    Clips are mixed first, and taken in blocks that fit into memory; the windows of a block are mixed. The order is a
    function of seed and epoch alone.

    Parameters
    ----------
    logmels
        Where clips come from.
    clips
        ``(clips,)`` int64: which of them.
    ids
        ``(clips,)`` int64: the machine IDs of those.
    lengths
        ``(clips,)`` int64: their frames.
    frames
        Of a window.
    batch_size
        Windows in a step, at least, where a block has as many: what remains is spread over the steps.
    seed
        Of the order.
    """

    def __init__(
        self,
        logmels: KeptLogMels,
        clips: np.ndarray,
        *,
        ids: np.ndarray,
        lengths: np.ndarray,
        frames: int,
        batch_size: int,
        seed: int,
    ) -> None:
        self._logmels, self._clips, self._ids = logmels, clips, ids
        self._windows = np.maximum(lengths - frames + 1, 1)
        self._blocks = -(-int(np.maximum(lengths, frames).sum()) // _BLOCK_FRAMES)
        self._frames, self._batch_size, self._seed = frames, batch_size, seed

    def __len__(self) -> int:
        """Return the number of windows."""
        return int(self._windows.sum())

    def steps(self, epoch: int) -> int:
        """Return the number of batches of an epoch."""
        return sum(self._batches(rows) for rows in self._rows(epoch))

    def epoch(self, epoch: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield windows ``(n, frames, n_mels)`` float32 and the positions of their IDs ``(n,)`` int64."""
        for block, rows in enumerate(self._rows(epoch)):
            logmels = self._logmels.logmels(self._clips[rows])
            first, joined = _side_by_side(logmels, self._frames)
            ids = np.repeat(self._ids[rows], self._windows[rows])
            random = np.random.default_rng(derived_seed(self._seed, _WINDOWS, epoch, block))
            for batch in np.array_split(random.permutation(len(first)), self._batches(rows)):
                yield joined[first[batch][:, None] + np.arange(self._frames)], ids[batch]

    def _rows(self, epoch: int) -> Sequence[np.ndarray]:
        order = np.random.default_rng(derived_seed(self._seed, _CLIPS, epoch)).permutation(len(self._clips))
        return np.array_split(order, min(self._blocks, len(order)))

    def _batches(self, rows: np.ndarray) -> int:
        return max(1, int(self._windows[rows].sum()) // self._batch_size)


def _side_by_side(logmels: Sequence[np.ndarray], frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Return where each window begins, ``(windows,)``, in all frames ``(sum of frames, n_mels)``, clip after clip."""
    starts, parts, before = [], [], 0
    for logmel in logmels:
        length = max(logmel.shape[1], frames)
        parts.append(logmel.T[np.arange(length) % logmel.shape[1]])
        starts.append(before + np.arange(length - frames + 1))
        before += length
    return np.concatenate(starts), np.concatenate(parts)
