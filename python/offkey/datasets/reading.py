"""One pass over the training clips of a machine type: which can be used, and what was computed of them meanwhile."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from offkey.datasets.clips import Clips
from offkey.datasets.quality import Recorded, TrainingQuality
from offkey.datasets.source import Chunk, Progress, Source
from offkey.datasets.source_rates import SourceRates
from offkey.errors import DatasetError
from offkey.recipe import Features
from offkey.signal.quality import ClipQuality, clip_contents
from offkey.signal.statistics import ClipStatistics, FrameMoments

__all__ = ["Reading", "check_share", "groups_of", "relative_names"]

_MOST_UNREAD = 0.5  # of the clips of a machine type


class Reading:
    """What one pass over the target's clips tells: which can be used, their rates, and what was computed of them."""

    def __init__(self, features: Features, *, statistics: bool, moments: bool) -> None:
        self.errors: dict[int, Exception] = {}
        """Position in the source -> why the recording is left out."""
        self.rates = SourceRates(features.sample_rate)
        self.statistics: list[ClipStatistics] = []
        self.moments: list[FrameMoments] = []
        self._quality: list[ClipQuality] = []
        self._contents: list[np.ndarray] = []
        self._places: list[tuple[int, int]] = []
        self._coding: list[tuple[int, bool | None]] = []  # rate in Hz, and whether it is lossy
        self._broken: set[int] = set()  # rows
        self._wants_statistics, self._wants_moments = statistics, moments

    def add_all(self, source: Source, num_threads: int | None, on_progress: Progress | None) -> None:
        """Read all of a source."""
        for chunk in source.chunks(num_threads=num_threads, on_progress=on_progress):
            for part, (statistics, moments, quality) in chunk.attempt(self._measure):
                positions = part.positions.tolist()
                self._places += zip(positions, part.starts.tolist(), strict=True)
                lossy = (part.items[position - part.first].lossy for position in positions)
                self._coding += zip(part.source_rates.tolist(), lossy, strict=True)
                self.rates.add(part)
                self.statistics += [statistics] if statistics else []
                self.moments += [moments] if moments else []
                if quality:
                    self._quality.append(quality)
                    self._contents.append(clip_contents(part.samples, num_threads=num_threads))
            self.errors = chunk.errors | self.errors

    def judge(self, recordings: Clips, *, machine: str, keep_broken: bool) -> TrainingQuality:
        """Judge the clips that could be read; those that are broken count as not read, unless they are kept.

        Parameters
        ----------
        recordings
            For each position in the source the recording that it is of.
        machine
            The machine type, for messages.
        keep_broken
            Whether broken clips are used.

        Raises
        ------
        DatasetError
            If more than half of the recordings cannot be read, or of the clips are broken.
        """
        files = len(
            set(recordings.paths)
        )  # of a cut one, each clip stands in a source of its own where it is cached
        check_share(len(self.errors), files, machine, self.sorted_errors)
        names = relative_names(recordings.paths)
        groups = groups_of(recordings, names)
        rows = self._usable().tolist()
        clips = []
        for position, (rate, lossy) in ((self._places[row][0], self._coding[row]) for row in rows):
            machine_id = recordings[position].machine_id or "?"
            clips.append(Recorded(names[position], machine_id, groups[position], rate, lossy))
        quality = ClipQuality.joined(self._quality).take(np.array(rows))
        contents = np.concatenate(self._contents)[rows]
        judged = TrainingQuality.of(quality, contents, clips, machine=machine, keep_broken=keep_broken)
        self._broken = {row for row, usable in zip(rows, judged.usable, strict=True) if not usable}
        return judged

    @property
    def sorted_errors(self) -> list[Exception]:
        """What is wrong with recordings, in the order of the source."""
        return [error for _, error in sorted(self.errors.items())]

    @property
    def positions(self) -> list[int]:
        """Where in the source the recording of each clip stands."""
        return [self._places[row][0] for row in self._usable()]

    @property
    def starts(self) -> list[int]:
        """Where each clip starts in its recording, in samples."""
        return [self._places[row][1] for row in self._usable()]

    def joined_statistics(self) -> ClipStatistics:
        """Return the statistics of all clips."""
        return ClipStatistics.joined(self.statistics).take(self._usable())

    def joined_moments(self) -> FrameMoments:
        """Return the moments of all clips."""
        return FrameMoments.joined(self.moments).take(self._usable())

    def statistics_again(self, source: Source, num_threads: int | None) -> ClipStatistics:
        """Return the statistics of all clips, which are read once more, from recordings of which some are used."""
        parts = []
        for chunk in source.chunks(num_threads=num_threads):
            for error in chunk.errors.values():
                raise error
            parts.append(chunk.statistics)
        used = set(self.positions)
        rows = [row for row, (position, _) in enumerate(self._places) if position in used]
        usable = np.isin(rows, self._usable())
        return ClipStatistics.joined(parts).take(usable)

    def _usable(self) -> np.ndarray:
        """Return the rows of recordings that could be read to their end, without broken clips."""
        places = enumerate(self._places)
        usable = [row for row, (at, _) in places if at not in self.errors and row not in self._broken]
        return np.array(usable, dtype=np.int64)

    def _measure(self, chunk: Chunk) -> tuple[ClipStatistics | None, FrameMoments | None, ClipQuality | None]:
        return (
            chunk.statistics if self._wants_statistics else None,
            FrameMoments.of(chunk.logmels) if self._wants_moments else None,
            chunk.quality,
        )


def check_share(unread: int, clips: int, machine_type: str, errors: Sequence[Exception]) -> None:
    """Refuse clips of which too many cannot be read.

    Raises
    ------
    DatasetError
        If that is more than half of them.
    """
    if unread > _MOST_UNREAD * clips:
        share = "none of" if unread == clips else f"only {clips - unread} of"
        reasons = "; ".join([*map(str, errors[:3]), *["..."] * (len(errors) > 3)])
        raise DatasetError(
            f"machine type {machine_type!r}: {share} its {clips} normal training clips can be read: {reasons}"
        )


def relative_names(paths: Sequence[Path]) -> tuple[str, ...]:
    """Return the names of files below their common folder, with ``/`` between folders."""
    full = [path.absolute() for path in paths]
    common = os.path.commonpath([path.parent for path in full]) if full else ""
    return tuple(path.relative_to(common).as_posix() for path in full)


def groups_of(clips: Clips, names: Sequence[str]) -> tuple[str, ...]:
    """Return the recordings that clips were cut from, by names that stay the same where the folder is moved."""
    return tuple(
        name if clip.group == str(clip.path) else clip.group for clip, name in zip(clips, names, strict=True)
    )
