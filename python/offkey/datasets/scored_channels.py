"""Notices recordings whose channels are not those that a detector was trained on, or whose scored channel is dead."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from offkey._util.parameters import Channel
from offkey._util.words import reason
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
        quiet_dbfs = SILENT_DBFS if level is None else max(SILENT_DBFS, level - FAR_BELOW_DB)
        self._quiet_power = 10 ** (quiet_dbfs / 10)
        self._others: Counter[int] = Counter()
        self._quiet: dict[int, str] = {}  # of the chunk that was looked at last
        self._quiet_recordings, self._first_quiet = 0, ""
        self._of_another_role, self._first_of_another = 0, ""
        self._first: dict[int, str] = {}

    def add(self, chunk: Chunk) -> None:
        """Look at the recordings of a chunk."""
        self._quiet = {}
        for position, item in enumerate(chunk.items, chunk.first):
            if item.channels is None or chunk.continues:
                continue
            if item.channels not in (self._choice.counts or {1}):
                self._others[item.channels] += 1
                self._first.setdefault(item.channels, item.name)
            if item.channels == 1:
                continue
            if self._is_of_another_role(item):
                self._of_another_role += 1
                self._first_of_another = self._first_of_another or item.name
            if self._is_quiet(chunk, np.flatnonzero(chunk.positions == position)) and (
                text := self._louder(item)
            ):
                self._quiet[position] = text
                self._quiet_recordings += 1
                self._first_quiet = self._first_quiet or item.name

    def _is_of_another_role(self, item: Item) -> bool:
        channel, roles = self._choice.channel, self._choice.roles
        if channel == "mean" or channel >= len(item.roles):
            return False
        return item.roles[channel] != (roles[channel] if roles else "near")

    def _is_quiet(self, chunk: Chunk, rows: np.ndarray) -> bool:
        if chunk.quality is None or not len(rows):
            return False
        quality = chunk.quality.take(rows)
        return bool((quality.silent | quality.constant | (quality.mean_square < self._quiet_power)).all())

    def _louder(self, item: Item) -> str:
        """Return what is to be said where another channel is louder, unlike in training; nothing otherwise."""
        try:
            levels = _levels(item)
        except (OffkeyError, OSError):
            return ""  # it was read a moment ago
        below_db = below_loudest(levels, self._choice.channel)
        if not below_db - self._choice.below_db >= FAR_BELOW_DB:
            return ""
        far = "silent" if below_db == np.inf else f"{below_db:.0f} dB quieter"
        return f"{self._choice.name} is {far}, unlike {self._choice.name_of(int(np.argmax(levels[:-1])))}"

    def warning(self, position: int) -> str:
        """Return what is to be said of a recording of a chunk that was looked at; empty where there is nothing."""
        return self._quiet.get(position, "")

    def explained(self, error: Exception, item: Item) -> str:
        """Return an error as text, with what to do where the recording lacks the channel."""
        channel = self._choice.channel
        if channel == "mean" or item.channels is None or item.channels > channel:
            return reason(error)
        return (
            f"{error}; the detector was trained on {self._choice.name}: record as for training, or train another "
            "detector with --channel mean, or a channel that all recordings have"
        )

    def join(self, others: ScoredChannels) -> None:
        """Enter what was noticed elsewhere, of later recordings."""
        self._others += others._others
        self._first = others._first | self._first
        self._quiet_recordings += others._quiet_recordings
        self._first_quiet = self._first_quiet or others._first_quiet
        self._of_another_role += others._of_another_role
        self._first_of_another = self._first_of_another or others._first_of_another

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
            count = self._of_another_role
            notes.append(
                f"{name} is what is scored, but is of the other microphone in {count} recording{'s' * (count > 1)}; "
                f"the first of them {self._first_of_another}"
            )
        if self._quiet_recordings:
            count = self._quiet_recordings
            notes.append(
                f"{name}, which is scored, is silent or far quieter than another channel in {count} "
                f"recording{'s' * (count > 1)}, unlike in training; is its microphone dead? The first of them "
                f"{self._first_quiet}"
            )
        return tuple(notes)


def _levels(item: Item) -> np.ndarray:
    """Return the levels of the channels of a recording that has several."""
    if isinstance(item.content, Samples):
        return levels_of(item.content.samples)
    assert isinstance(item.content, Path | bytes)  # what else there is has no channels
    assert item.header is not None
    return channel_levels(item.content, item.header)


def _or(counts: list[int]) -> str:
    return " or ".join(map(str, counts)) + (" channels" if counts != [1] else " channel")
