"""How long recordings are cut: into windows of the length of a clip, the last one ending where the recording ends.

A recording of up to twice that length stays whole. The last window overlaps the one before it where the length is no
multiple: no sample is lost, and all windows have the same length, as their statistics over time have to.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from os import PathLike

import numpy as np

from offkey.datasets.channels import decoded_channel
from offkey.errors import AudioError
from offkey.recipe import Features
from offkey.signal.audio import info, read_blocks

__all__ = ["WHOLE", "cut", "cut_blocks", "file_windows", "starts", "window_samples"]

WHOLE = -1
"""In place of where a window starts: the whole recording."""


def window_samples(clip_seconds: float, features: Features) -> int:
    """Return how many samples a window has."""
    return max(1, round(clip_seconds * features.sample_rate))


def starts(samples: int, window: int) -> list[int]:
    """Return where the windows of a recording start, in samples; `WHOLE` alone if it stays whole.

    Examples
    --------
    >>> starts(20, 10), starts(25, 10), starts(30, 10)
    ([-1], [0, 10, 15], [0, 10, 20])
    """
    if samples <= 2 * window:
        return [WHOLE]
    places = list(range(0, samples - window + 1, window))
    return places if samples % window == 0 else [*places, samples - window]


def cut(samples: np.ndarray, window: int) -> list[tuple[int, np.ndarray]]:
    """Return the windows ``(window,)`` of ``(samples,)``, views of it, and where each starts."""
    places = starts(len(samples), window)
    if places == [WHOLE]:
        return [(WHOLE, samples)]
    return [(start, samples[start : start + window]) for start in places]


def cut_blocks(blocks: Iterable[np.ndarray], window: int) -> Iterator[tuple[int, np.ndarray]]:
    """Yield what `cut` returns for the joined blocks, which have `window` samples each, the last one maybe fewer.

    Three blocks at most are in memory.
    """
    stream = iter(blocks)
    head = list(itertools.islice(stream, 3))
    if len(head) < 3:
        yield WHOLE, np.concatenate(head) if head else np.empty(0, np.float32)
        return
    before = head[0]
    for number, block in enumerate(itertools.chain(head, stream)):
        start = number * window
        if len(block) < window:
            start -= window - len(block)
            block = np.concatenate([before[len(block) :], block])
        yield start, block
        before = block


def file_windows(
    path: str | PathLike[str], window: int, *, features: Features, max_seconds: float
) -> tuple[int, Iterator[tuple[int, np.ndarray]]]:
    """Return a file's own rate in Hz and its windows, as `cut_blocks` yields them.

    Raises
    ------
    OSError, AudioError
        As `offkey.read_blocks`, or if the file is longer than `max_seconds`; for damage on the way, and for a length
        that no header tells, when that is reached.
    """
    too_long = AudioError(
        f"{path}: longer than {max_seconds:g} s; give max_seconds to read longer recordings"
    )
    if (info(path).duration_s or 0.0) > max_seconds:
        raise too_long
    blocks = read_blocks(
        path,
        seconds=window / features.sample_rate,
        sample_rate=features.sample_rate,
        channel=decoded_channel(features),
    )

    def checked() -> Iterator[np.ndarray]:
        samples = 0
        for block in blocks:
            samples += len(block)
            if samples > max_seconds * features.sample_rate + 1:  # a rounding of the resampled length
                raise too_long
            yield block

    return blocks.source_rate, cut_blocks(checked(), window)
