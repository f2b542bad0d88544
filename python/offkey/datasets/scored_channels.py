"""Notices recordings whose channels are not those that a detector was trained on, or whose scored channel is dead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from offkey._util.parameters import Channel
from offkey.datasets.channels import (
    FAR_BELOW_DB,
    SILENT_DBFS,
    ChannelChoice,
    below_loudest,
    channel_levels,
    levels_of,
)
from offkey.datasets.recordings import Item, Samples
from offkey.datasets.source import Chunk
from offkey.errors import OffkeyError

__all__ = ["ScoredChannels"]

_MOST_MEASURED = 20  # recordings of a call, all their channels
_A_FEW = 4096  # samples


class ScoredChannels:
    """Looks at the recordings of several channels that are scored.

    Parameters
    ----------
    choice
        What was chosen in training; None where that is not known.
    channel
        The channel that is scored.
    """

    def __init__(self, choice: ChannelChoice | None, channel: Channel) -> None:
        self._choice = choice or ChannelChoice(channel=channel, counts={})
        level = self._choice.level_dbfs
        self._quiet_dbfs = SILENT_DBFS if level is None else max(SILENT_DBFS, level - FAR_BELOW_DB)
        self._others: Counter[int] = Counter()
        self._measured = 0
        self._quiet: list[str] = []
        self._of_another_role: list[str] = []
        self._first: dict[int, str] = {}

    def add(self, chunk: Chunk) -> None:
        """Look at the recordings of a chunk."""
        for position, item in enumerate(chunk.items, chunk.first):
            if item.channels is None or chunk.continues:
                continue
            if item.channels not in (self._choice.counts or {1}):
                self._others[item.channels] += 1
                self._first.setdefault(item.channels, item.name)
            if item.channels == 1:
                continue
            if self._is_of_another_role(item):
                self._of_another_role.append(item.name)
            rows = np.flatnonzero(chunk.positions == position).tolist()
            if rows and self._measured < _MOST_MEASURED and self._is_quiet([chunk.samples[i] for i in rows]):
                self._measure(item)

    def _is_of_another_role(self, item: Item) -> bool:
        channel, roles = self._choice.channel, self._choice.roles
        if channel == "mean" or channel >= len(item.roles):
            return False
        return item.roles[channel] != (roles[channel] if roles else "near")

    def _is_quiet(self, clips: Sequence[np.ndarray]) -> bool:
        power = 10 ** (self._quiet_dbfs / 10)
        # A few samples are enough where there is sound, as nearly always.
        return all(
            clip[:: 1 + len(clip) // _A_FEW].var() < power and clip.var(dtype=np.float64) < power
            for clip in clips
        )

    def _measure(self, item: Item) -> None:
        self._measured += 1
        try:
            levels = _levels(item)
        except (OffkeyError, OSError):
            return  # it was read a moment ago
        if levels is None:
            return
        further_below_db = below_loudest(levels, self._choice.channel) - self._choice.below_db
        if further_below_db >= FAR_BELOW_DB:
            self._quiet.append(item.name)

    def explained(self, error: Exception, item: Item) -> str:
        """Return an error as text, with what to do where the recording lacks the channel."""
        channel = self._choice.channel
        if channel == "mean" or item.channels is None or item.channels > channel:
            return str(error)
        return (
            f"{error}; the detector was trained on {self._choice.name}: record as for training, or train another "
            "detector with --channel mean, or a channel that all recordings have"
        )

    def notes(self) -> tuple[str, ...]:
        """Return what a user should know of the recordings."""
        name, trained = self._choice.name, sorted(self._choice.counts)
        on = f", but the detector was trained on recordings with {_or(trained)}" if trained else ""
        notes = [
            f"{count} recording{'s have' if count > 1 else ' has'} {_or([channels])}{on}; {name} is what is scored; "
            f"the first of them {self._first[channels]}"
            for channels, count in sorted(self._others.items())
        ]
        if self._of_another_role:
            count = len(self._of_another_role)
            notes.append(
                f"{name} is what is scored, but is of the other microphone in {count} recording{'s' * (count > 1)}; "
                f"the first of them {self._of_another_role[0]}"
            )
        if self._quiet:
            count = len(self._quiet)
            notes.append(
                f"{name}, which is scored, is silent or far quieter than another channel in {count} "
                f"recording{'s' * (count > 1)}, unlike in training; is its microphone dead? The first of them "
                f"{self._quiet[0]}"
            )
        return tuple(notes)


def _levels(item: Item) -> np.ndarray | None:
    if isinstance(item.content, Samples):
        return levels_of(item.content.samples)
    if isinstance(item.content, Path | bytes) and item.header is not None:
        return channel_levels(item.content, item.header)
    return None


def _or(counts: list[int]) -> str:
    return " or ".join(map(str, counts)) + (" channels" if counts != [1] else " channel")
