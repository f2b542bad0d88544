"""Training clips that stay in their files until they are drawn."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from offkey.datasets.channels import decoded_channel
from offkey.datasets.windows import WHOLE, file_windows, starts
from offkey.errors import AudioError, OffkeyError
from offkey.recipe import Features
from offkey.signal.audio import AudioBatch, info, read_batch

__all__ = ["Decoding", "FileClips"]


@dataclasses.dataclass(frozen=True, slots=True)
class Decoding:
    """How clips are read from files."""

    features: Features
    """Rate and channel to decode to."""
    window: int | None
    """How long recordings are cut, in samples; None: they stay whole."""
    max_seconds: float
    """A longer recording is one that cannot be read."""
    num_threads: int | None
    """Threads that decode; None: all cores."""

    def whole(self, paths: Sequence[Path]) -> AudioBatch:
        """Read whole recordings, side by side; those that cannot be read are errors of the batch."""
        return read_batch(
            paths,
            sample_rate=self.features.sample_rate,
            channel=decoded_channel(self.features),
            max_seconds=self.max_seconds,
            on_error="collect",
            num_threads=self.num_threads,
        )

    def windows(
        self, path: Path, wanted: Sequence[int]
    ) -> tuple[int, dict[int, np.ndarray], Exception | None]:
        """Return a file's own rate in Hz, those windows that start at `wanted`, and what is wrong with the others.

        The file is decoded once, up to the last of them.
        """
        rate, clips, missing = 0, {}, set(wanted)
        try:
            rate, stream = file_windows(
                path, self.window or 1, features=self.features, max_seconds=self.max_seconds
            )
            for start, samples in stream:
                if start in missing:
                    clips[start] = samples
                    missing.remove(start)
                if not missing:
                    return rate, clips, None
        except (OffkeyError, OSError) as error:
            return rate, clips, error
        return rate, clips, AudioError(f"{path}: ends before its header says")

    def places_by_header(self, paths: Sequence[Path]) -> tuple[list[int], list[int]]:
        """Return the file and the start of each clip that files will be cut into, by the length in their headers.

        One whose header has none, or cannot be read, stays whole.
        """
        places = [
            (i, start)
            for i, path in enumerate(paths)
            for start in ([WHOLE] if self.window is None else starts(self._samples(path), self.window))
        ]
        return [i for i, _ in places], [start for _, start in places]

    def _samples(self, path: Path) -> int:
        try:
            header = info(path)
        except (OffkeyError, OSError):
            return 0  # whoever reads it will say what is wrong with it
        return -(-(header.frames or 0) * self.features.sample_rate // header.sample_rate)


class FileClips(Sequence[np.ndarray]):
    """Recordings, or windows of them, that are decoded when they are asked for.

    Decoding a recording of some seconds is far faster than a step of training. A window of a long one takes decoding
    what stands before it: `offkey.datasets.cache` spares that.

    Parameters
    ----------
    paths
        The file of each clip.
    decoding
        How they are read.
    starts
        Where in its file each clip starts, in samples at the rate of the features; `WHOLE` for all of it.
    """

    def __init__(self, paths: Sequence[Path], decoding: Decoding, *, starts: Sequence[int]) -> None:
        self._paths = paths
        self._decoding = decoding
        self._starts = starts
        self.rates: dict[int, int] = {}
        """Position -> rate in Hz, of those read so far."""

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> np.ndarray:  # type: ignore[override]  # no slices
        return self.gather([index])[0]

    def gather(self, positions: Sequence[int]) -> list[np.ndarray]:
        """Return some of the clips, decoded side by side; raise what is wrong with the first that cannot be."""
        outcomes = self.attempt(positions)
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome
        return [clip for clip in outcomes if isinstance(clip, np.ndarray)]

    def attempt(self, positions: Sequence[int]) -> list[np.ndarray | Exception]:
        """Return some of the clips, or what is wrong with them."""
        outcomes = self._whole([i for i in positions if self._starts[i] == WHOLE])
        windows: dict[Path, list[int]] = {}
        for i in positions:
            if self._starts[i] != WHOLE:
                windows.setdefault(self._paths[i], []).append(i)
        for path, members in windows.items():
            outcomes |= self._windows(path, members)
        return [outcomes[i] for i in positions]

    def _whole(self, positions: Sequence[int]) -> dict[int, np.ndarray | Exception]:
        if not positions:
            return {}
        batch = self._decoding.whole([self._paths[i] for i in positions])
        self.rates |= dict(zip(positions, batch.source_rates.tolist(), strict=True))
        return {i: batch.errors.get(row, batch[row]) for row, i in enumerate(positions)}

    def _windows(self, path: Path, positions: Sequence[int]) -> dict[int, np.ndarray | Exception]:
        rate, clips, error = self._decoding.windows(path, [self._starts[i] for i in positions])
        self.rates |= dict.fromkeys(positions, rate)
        outcomes = ((i, clips.get(self._starts[i], error)) for i in positions)
        return {i: outcome for i, outcome in outcomes if outcome is not None}

    def name(self, position: int) -> str:
        """Return the path of a recording."""
        return str(self._paths[position])

    def of_same_file(self, position: int) -> list[int]:
        """Return the positions of all clips of the file that a clip is of."""
        return [i for i, path in enumerate(self._paths) if path == self._paths[position]]
