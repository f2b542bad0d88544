"""Counts what a scoring has done: recordings, hours of audio, errors."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from offkey.advance import Advance, OnAdvance
from offkey.datasets.source import Chunk, Progress, Source

__all__ = ["ScoringProgress"]


class ScoringProgress:
    """Tells whoever wants to know how far a scoring has come.

    Parameters
    ----------
    source
        Its recordings are counted if anybody wants to know.
    on_progress
        Called with (done, total).
    on_advance
        Called with more than that, and once before the first recording.
    before
        Recordings that an earlier run has scored.
    share
        How many of so many recordings are this run's; None where that is not known.
    """

    def __init__(
        self,
        source: Source,
        on_progress: Progress | None,
        on_advance: OnAdvance | None,
        *,
        before: int = 0,
        share: Callable[[int], int | None] = lambda recordings: recordings,
    ) -> None:
        self._on_progress, self._on_advance = on_progress, on_advance
        recordings = None if on_progress is None and on_advance is None else source.count()
        total = None if recordings is None else share(recordings)
        self._now = Advance(done=before, total=total, before=before)
        self._end = 0  # in samples, of the last window of a recording that goes on in the next chunk
        if on_advance is not None:
            on_advance(self._now)

    def add(self, chunk: Chunk, *, errors: int) -> None:
        """Enter a chunk that is scored, and how many recordings of this run have no score so far."""
        recordings = 0 if chunk.continues else len(chunk.items)
        self.add_block(recordings, errors=errors, audio_s=self._samples(chunk) / chunk.sample_rate)

    def add_block(self, recordings: int, *, errors: int, audio_s: float) -> None:
        """Enter recordings that are scored, how many of this run have no score so far, and how long they are."""
        self._now = dataclasses.replace(
            self._now,
            done=self._now.done + recordings,
            errors=errors,
            audio_s=self._now.audio_s + audio_s,
        )
        if self._on_progress is not None:
            self._on_progress(self._now.done, self._now.total)
        if self._on_advance is not None:
            self._on_advance(self._now)

    def _samples(self, chunk: Chunk) -> int:
        """Return how many samples a chunk's recordings have, those that windows share once."""
        if isinstance(chunk.clips, np.ndarray):
            return 0
        lengths = chunk.lengths
        starts = np.maximum(chunk.starts, 0)
        ends = starts + lengths
        goes_on = np.diff(chunk.positions, prepend=chunk.first if self._end else -1) == 0
        ends_before = np.concatenate([[self._end], ends[:-1]]) if len(ends) else ends
        shared = np.where(goes_on, ends_before - starts, 0)
        self._end = int(ends[-1]) if chunk.continues else 0
        return int((lengths - shared).sum())
