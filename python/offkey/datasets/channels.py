"""Which channel of recordings with several is learned and scored, and how loud it is beside the others."""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np

from offkey._util import parameters
from offkey._util.parameters import Channel
from offkey.datasets.clips import Clips, Dataset, Role, check_roles
from offkey.errors import DatasetError, DetectorFileError, OffkeyError, RecipeError
from offkey.recipe import Features
from offkey.signal.audio import AudioInfo, info, read, read_blocks

__all__ = [
    "FAR_BELOW_DB",
    "SILENT_DBFS",
    "ChannelChoice",
    "below_loudest",
    "channel_levels",
    "decoded_channel",
    "is_silent",
    "levels_of",
    "rounded",
]

SILENT_DBFS = -100.0
"""What is below says nothing: the rounding of 16 bits alone is at -101 dBFS."""

FAR_BELOW_DB = 20.0
"""A channel that far below another is hardly the one of the microphone at the machine."""

_MEASURED_PER_ID = 20  # recordings
_MEASURED_S = 60.0  # of each
_OPTION = "with --channel (in Python features.channel of the recipe); channels count from 0"


def decoded_channel(features: Features) -> Channel:
    """Return the channel to decode: the first where the features ask for none.

    Raises
    ------
    RecipeError
        If it is the loudest, which only a training can tell.
    """
    if features.channel == "loudest":
        raise RecipeError(
            "features.channel = 'loudest': which one that is, training recordings tell; expected a number or 'mean'"
        )
    return features.channel or 0


def channel_levels(file: Path | bytes, header: AudioInfo) -> np.ndarray:
    """Return the levels of a file's channels in its first minute, as `levels_of` does.

    Raises
    ------
    AudioError, OSError
        If it cannot be read.
    """
    if isinstance(file, bytes) or (header.duration_s is not None and header.duration_s <= _MEASURED_S):
        return levels_of(read(file).samples)
    first = [
        next(read_blocks(file, seconds=_MEASURED_S, channel=channel), np.zeros(1, np.float32))
        for channel in range(header.channels)
    ]
    return levels_of(np.stack(first))


def levels_of(samples: np.ndarray) -> np.ndarray:
    """Return the RMS level of each channel of ``(channels, samples)``, and last that of their mean.

    A constant part does not count.

    Returns
    -------
    (channels + 1,) float64
        In dB of full scale; -inf for silence.
    """
    if not samples.size:
        return np.full(len(samples) + 1, -np.inf)
    powers = [_power(channel) for channel in (*samples, samples.mean(axis=0))]
    with np.errstate(divide="ignore"):
        levels: np.ndarray = 10 * np.log10(np.array(powers))
    return levels


def _power(samples: np.ndarray) -> float:
    """Return the variance of ``(samples,)``: by a product, several times as fast as `numpy.var`."""
    moved = samples - samples[0]  # what is constant is 0 then, exactly
    return max(0.0, float(np.dot(moved, moved)) / len(moved) - float(moved.mean()) ** 2)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ChannelChoice:
    """The channel that a detector learns and scores, and what is known of it beside the others."""

    channel: Channel
    """Its number, from 0, or the mean of all."""
    counts: Mapping[int, int]
    """Number of channels -> how many of the training recordings have so many."""
    roles: tuple[Role, ...] = ()
    """Which microphone each channel is of, where that is known."""
    levels_dbfs: tuple[float, ...] = ()
    """Of each channel, and last of their mean: the median of the RMS levels of the recordings that were measured, -inf
    for silence. Empty where all have one channel."""
    measured: int = 0
    """In how many recordings the levels were measured."""
    silent: tuple[str, ...] = ()
    """Those whose chosen channel is silent while another is not."""

    @classmethod
    def of(cls, data: Dataset, features: Features, *, max_seconds: float) -> Self:
        """Choose the channel for a dataset, by its normal training clips of the target type.

        Levels are measured in the first 20 recordings of each ID that have several channels, a minute of each at most.
        The loudest is chosen among the channels that more than half of the recordings have.

        Raises
        ------
        DatasetError
            If near and far microphone are on different channels in different recordings, or recordings of which these
            are told have another number of channels than two; if the chosen channel is silent in all recordings that
            were measured, and another is not.
        """
        clips = data.train
        headers = _headers(clips, max_seconds)
        counts = Counter(header.channels for header in headers.values())
        usual = max((n for n in counts if n > 1), key=lambda n: counts[n], default=1)
        roles = _roles(clips, headers)
        levels = _measured(clips, {i: header for i, header in headers.items() if header.channels > 1})
        of_usual = [row for row in levels.values() if len(row) == usual + 1]
        medians = np.median(of_usual, axis=0) if of_usual else np.empty(0)
        channel = features.channel
        if channel is None:
            channel = roles.index("near") if roles else 0
        elif channel == "loudest":
            common = sum(2 * sum(counts[n] for n in counts if n > i) > len(headers) for i in range(usual))
            channel = int(np.argmax(medians[: max(1, common)])) if of_usual else 0
        silent = [i for i, row in levels.items() if is_silent(row, channel)]
        choice = cls(
            channel=channel,
            counts=dict(sorted(counts.items())),
            roles=roles,
            levels_dbfs=tuple(medians.tolist()),
            measured=len(levels),
            silent=tuple(str(clips[i].path) for i in silent),
        )
        if silent and len(silent) == len(levels):
            alive = choice.name_of(int(np.argmax(levels[silent[0]][:-1])))
            raise DatasetError(
                f"machine type {data.machine!r}: {choice.name} is silent in all {len(silent)} training recordings that "
                f"were measured, and {alive} is not; choose the channel of the microphone {_OPTION}"
            )
        return choice

    @property
    def name(self) -> str:
        """What the chosen channel is called."""
        return self.name_of(self.channel)

    @property
    def level_dbfs(self) -> float | None:
        """The level of the chosen channel in training; None where it is not known."""
        return None if not self._is_measured else self.levels_dbfs[_row_of(self.channel)]

    @property
    def below_db(self) -> float:
        """How far the chosen channel is below the loudest in training, in dB; 0 where that is not known."""
        return below_loudest(np.array(self.levels_dbfs), self.channel) if self._is_measured else 0.0

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know of the choice; nothing where all recordings have one channel."""
        return () if max(self.counts, default=1) == 1 else (self._sentence, *self._silent_note)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Those of the notes that speak against the choice."""
        return (*([self._sentence] if self.below_db >= FAR_BELOW_DB else []), *self._silent_note)

    @property
    def _sentence(self) -> str:
        first, *others = [
            f"{count} {f'training recording{plural} ' if row == 0 else ''}{'have' if plural else 'has'} {channels}"
            for row, (channels, count) in enumerate(self.counts.items())
            for plural in ["s" * (count > 1)]
        ]
        differ = ", not recorded alike" * bool(others)
        text = f"{', '.join([first, *others])} channels{differ}; {self.name} is what is learned{self._beside}"
        if self.below_db < FAR_BELOW_DB:
            return f"{text}; choose another {_OPTION}"
        reason = (
            "do the channels cancel each other" if self.channel == "mean" else "is it the right microphone"
        )
        return f"{text}, far quieter: {reason}? Choose another {_OPTION}"

    @property
    def _silent_note(self) -> tuple[str, ...]:
        if not self.silent:
            return ()
        return (
            f"{self.name} is silent in {len(self.silent)} of the {self.measured} training recordings that were "
            f"measured, while another channel is not; the first of them {self.silent[0]}",
        )

    @property
    def _is_measured(self) -> bool:
        return bool(self.levels_dbfs) and _has(len(self.levels_dbfs) - 1, self.channel)

    @property
    def _beside(self) -> str:
        """Say in brackets how loud the channel is beside the others."""
        if not self._is_measured:
            return ""
        channels = np.array(self.levels_dbfs[:-1])
        level = self.levels_dbfs[_row_of(self.channel)]
        others = [i for i in range(len(channels)) if i != self.channel]
        other = max(others, key=lambda i: channels[i])
        gap = _gap(level, channels[other])
        how = f"by the median RMS level of {self.measured} recording{'s' * (self.measured != 1)}"
        return f" ({gap} {self.name_of(other)}, {how})"

    def name_of(self, channel: Channel) -> str:
        """Return what a channel is called."""
        if channel == "mean":
            return "the mean of all channels"
        return f"channel {channel}" + (f" ({self.roles[channel]})" if channel < len(self.roles) else "")

    def describe(self) -> dict[str, Any]:
        """Return what `offkey info` says of it."""
        return {
            "recordings": {str(channels): count for channels, count in self.counts.items()},
            "roles": list(self.roles),
            "rms_dbfs": rounded(self.levels_dbfs[:-1]),
            "measured": self.measured,
        }

    def state(self) -> dict[str, Any]:
        """Return plain data: all that `from_state` needs."""
        return {
            "channel": self.channel,
            "counts": sorted(self.counts.items()),
            "roles": list(self.roles),
            "levels_dbfs": [None if level == -np.inf else level for level in self.levels_dbfs],
            "measured": self.measured,
            "silent": list(self.silent),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Restore what `state` gave.

        Raises
        ------
        DetectorFileError
            If it is not what `state` gives.
        """
        try:
            levels = tuple(-np.inf if level is None else float(level) for level in state["levels_dbfs"])
            counts = {int(channels): int(count) for channels, count in state["counts"]}
            whole = np.less(levels, np.inf).all() and all(n > 0 < count for n, count in counts.items())
            if not whole or len(levels) in (1, 2):
                raise DetectorFileError("levels or counts outside their range")
            parameters.channel(state["channel"])
            return cls(
                channel=state["channel"],
                counts=counts,
                roles=check_roles(state["roles"]) if state["roles"] else (),
                levels_dbfs=levels,
                measured=int(state["measured"]),
                silent=tuple(map(str, state["silent"])),
            )
        except (OffkeyError, LookupError, TypeError, ValueError, ArithmeticError) as error:
            raise DetectorFileError(f"channels: {error}") from None


def below_loudest(levels: np.ndarray, channel: Channel) -> float:
    """Return how far a channel is below the loudest, in dB, of levels as `levels_of` returns them."""
    loudest, level = levels[:-1].max(), levels[_row_of(channel)]
    return 0.0 if loudest < SILENT_DBFS else float(loudest - level)


def _row_of(channel: Channel) -> int:
    return -1 if channel == "mean" else channel


def _has(channels: int, channel: Channel) -> bool:
    return channel == "mean" or channel < channels


def is_silent(levels: np.ndarray, channel: Channel) -> bool:
    """Say whether a channel is silent while another is not."""
    exists = _has(len(levels) - 1, channel)
    return bool(exists and levels[_row_of(channel)] < SILENT_DBFS <= levels[:-1].max())


def _gap(level_dbfs: float, other_dbfs: float) -> str:
    """Return how a level differs from another, in words that the name of the other follows."""
    if level_dbfs < SILENT_DBFS <= other_dbfs:
        return "silent, unlike"
    if other_dbfs < SILENT_DBFS:
        return "heard, unlike" if level_dbfs >= SILENT_DBFS else "as silent as"
    difference_db = level_dbfs - other_dbfs
    if abs(difference_db) < 0.5:
        return "as loud as"
    return f"{abs(difference_db):.0f} dB {'above' if difference_db > 0 else 'below'}"


def rounded(levels_dbfs: Iterable[float]) -> list[float | None]:
    """Return levels to be shown; None for silence."""
    return [None if level == -np.inf else round(float(level), 1) for level in levels_dbfs]


def _headers(clips: Clips, max_seconds: float) -> dict[int, AudioInfo]:
    """Return the headers of the recordings that can be read, by their positions."""
    headers = {}
    for i, clip in enumerate(clips):
        try:
            header = info(clip.path)
        except (OffkeyError, OSError):
            continue  # whoever reads it will say what is wrong with it
        if (header.duration_s or 0.0) <= max_seconds:
            headers[i] = header
    return headers


def _measured(clips: Clips, headers: Mapping[int, AudioInfo]) -> dict[int, np.ndarray]:
    """Return the levels of the first recordings of each ID."""
    levels: dict[int, np.ndarray] = {}
    of_id: defaultdict[str | None, int] = defaultdict(int)
    for i, header in headers.items():
        if of_id[clips[i].machine_id] == _MEASURED_PER_ID:
            continue
        try:
            levels[i] = channel_levels(clips[i].path, header)
        except (OffkeyError, OSError):
            continue
        of_id[clips[i].machine_id] += 1
    return levels


def _roles(clips: Clips, headers: Mapping[int, AudioInfo]) -> tuple[Role, ...]:
    """Return the roles of the channels, which all recordings whose roles are known have to share, and to have."""
    known = Counter(clip.channels for clip in clips if clip.channels)
    if not known:
        return ()
    if len(known) > 1:
        counts = ", ".join(f"{','.join(roles)} in {count}" for roles, count in known.items())
        raise DatasetError(
            f"channels: {counts} training recordings; a detector takes one channel: expected one order in all of them"
        )
    (roles,) = known
    others = [i for i, header in headers.items() if clips[i].channels and header.channels != len(roles)]
    if others:
        channels = Counter(headers[i].channels for i in others)
        have = ", ".join(
            f"{count} {'have' if count > 1 else 'has'} {n}" for n, count in sorted(channels.items())
        )
        raise DatasetError(
            f"channels = {','.join(roles)!r}: for recordings of two channels, but of {len(headers)} training "
            f"recordings {have}, the first: {clips[others[0]].path}; leave these out, say the roles of the others "
            f"alone (column channel_roles of a manifest), or choose one channel for all {_OPTION}"
        )
    return roles
