"""Training recordings that are broken or odd: which they are, and what a user should know of them.

A broken clip (silent, constant, clipped throughout) says nothing of the machine. An odd one does, and stays: clipped in
part, far quieter or louder than the rest, with gaps, the same as another, coded otherwise.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

import numpy as np

from offkey.errors import DatasetError, DetectorFileError
from offkey.signal.quality import ClipQuality

__all__ = ["Conditions", "Recorded", "TrainingQuality", "broken"]

_MOST_NAMED = 5  # clips that a note names
_MOST_BROKEN = 0.5  # of the clips of a machine type
_NORMAL_MAD = 1.4826  # deviations in one median absolute deviation of a normal distribution
_LEVEL_REACH_DB, _LEVEL_DEVIATIONS = 10.0, 6.0  # from the median of an ID, whichever is more: farther is far
_GAPS = 0.25  # of the frames, more than the median clip has


class Recorded(NamedTuple):
    """One clip of a source: what it is called, of which machine, and how it was recorded."""

    name: str
    machine_id: str
    group: str
    """The recording that it was cut from."""
    rate_hz: int
    """0 where it is not known."""
    lossy: bool | None
    """Whether its coding loses something; None where that is not known."""


def broken(quality: ClipQuality) -> dict[str, np.ndarray]:
    """Return what makes a clip useless, and which clips that is true of, ``(clips,)`` bool."""
    return {
        "silent": quality.silent,
        "constant": quality.constant,
        "clipped throughout": quality.clipped_throughout,
    }


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """How the training clips were recorded: what later recordings are compared with."""

    levels_dbfs: Mapping[str, tuple[float, float]]
    """ID -> the median of its clips' RMS, and how many dB from it are far."""
    rates_hz: tuple[int, ...]
    """The recordings' own rates."""
    lossy: tuple[bool, ...]
    """Whether they were lossily coded: False, True, or both; none where that is not known."""

    @classmethod
    def of(cls, quality: ClipQuality, clips: Sequence[Recorded]) -> Self:
        """Take them down of clips that are not broken."""
        ids = np.array([clip.machine_id for clip in clips])
        levels = {str(name): _level_and_reach(quality.rms_dbfs[ids == name]) for name in np.unique(ids)}
        rates = sorted({clip.rate_hz for clip in clips} - {0})
        lossy = sorted({clip.lossy for clip in clips if clip.lossy is not None})
        return cls(levels_dbfs=levels, rates_hz=tuple(rates), lossy=tuple(lossy))

    def unlike(
        self, *, level_dbfs: float, machine_id: str | None, rate_hz: int, lossy: bool | None
    ) -> list[str]:
        """Say in what a recording is unlike the training clips of its ID; nothing of what is not known."""
        texts = []
        if machine_id is not None and machine_id in self.levels_dbfs and math.isfinite(level_dbfs):
            median, reach = self.levels_dbfs[machine_id]
            if abs(level_dbfs - median) > reach:
                texts.append(f"{_decibels(level_dbfs - median)} than in training")
        if rate_hz and self.rates_hz and rate_hz not in self.rates_hz:
            texts.append(f"{rate_hz} Hz, in training {', '.join(map(str, self.rates_hz))} Hz")
        if lossy is not None and self.lossy and lossy not in self.lossy:
            kinds = ("lossless", "lossy")
            texts.append(f"{kinds[lossy]} coding, in training {kinds[not lossy]}")
        return texts

    def state(self) -> dict[str, Any]:
        """Return plain data for JSON: all that `from_state` needs."""
        levels = {name: list(values) for name, values in self.levels_dbfs.items()}
        return {"levels_dbfs": levels, "rates_hz": list(self.rates_hz), "lossy": list(self.lossy)}

    @classmethod
    def from_state(cls, state: Any) -> Self:
        """Restore what `state` gave.

        Raises
        ------
        DetectorFileError
            If it is something else.
        """
        try:
            levels = {name: (float(a), float(b)) for name, (a, b) in state["levels_dbfs"].items()}
            rates, lossy = tuple(state["rates_hz"]), tuple(state["lossy"])
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise DetectorFileError(f"training: conditions: {error!r}") from None
        numbers = [number for pair in levels.values() for number in pair]
        sound = all(type(rate) is int for rate in rates) and all(type(flag) is bool for flag in lossy)
        if not sound or not all(map(math.isfinite, numbers)):
            raise DetectorFileError("training: conditions: expected numbers of levels and rates")
        return cls(levels_dbfs=levels, rates_hz=rates, lossy=lossy)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TrainingQuality:
    """What was seen of the training clips of a machine type."""

    usable: np.ndarray
    """``(clips,)`` bool: False for those that are left out."""
    groups: tuple[str, ...]
    """``(clips,)``: what is held out together; that of a copy is its original's."""
    left_out: tuple[str, ...]
    """A sentence for each kind of broken clips that are left out."""
    notes: tuple[str, ...]
    """A sentence for each kind of odd clips, and of broken ones that were kept."""
    conditions: Conditions

    @classmethod
    def of(
        cls,
        quality: ClipQuality,
        contents: np.ndarray,
        clips: Sequence[Recorded],
        *,
        machine: str,
        keep_broken: bool,
    ) -> Self:
        """Judge the clips, of which `clip_contents` are given too.

        Raises
        ------
        DatasetError
            If more than half of them are broken.
        """
        kinds = {kind: rows for kind, rows in broken(quality).items() if rows.any()}
        useless = np.any([np.zeros(len(clips), dtype=bool), *kinds.values()], axis=0)
        texts = [_broken_note(kind, np.flatnonzero(rows), clips, keep_broken) for kind, rows in kinds.items()]
        if np.count_nonzero(useless) > _MOST_BROKEN * len(clips) and not keep_broken:
            raise DatasetError(
                f"machine type {machine!r}: {np.count_nonzero(useless)} of its {len(clips)} normal training clips are "
                f"broken: {'; '.join(texts)}"
            )
        usable = np.ones(len(clips), dtype=bool) if keep_broken else ~useless
        rows = np.flatnonzero(~useless).tolist()
        sound, sound_clips = quality.take(np.array(rows, dtype=np.int64)), [clips[i] for i in rows]
        conditions = Conditions.of(sound, sound_clips)
        copies = _copies(contents, usable, clips)
        return cls(
            usable=usable,
            groups=_joined_groups(copies, clips),
            left_out=() if keep_broken else tuple(texts),
            notes=(
                *(texts if keep_broken else ()),
                *_clipping_note(sound, sound_clips),
                *_level_note(sound, sound_clips, conditions),
                *_gaps_note(sound, sound_clips),
                *_coding_note(sound_clips),
                *_copies_note(copies, clips),
            ),
            conditions=conditions,
        )


def _level_and_reach(levels_dbfs: np.ndarray) -> tuple[float, float]:
    median = np.median(levels_dbfs)
    deviation = _NORMAL_MAD * np.median(np.abs(levels_dbfs - median))
    return float(median), float(max(_LEVEL_REACH_DB, _LEVEL_DEVIATIONS * deviation))


def _decibels(difference_db: float) -> str:
    return f"{abs(difference_db):.0f} dB {'louder' if difference_db > 0 else 'quieter'}"


def _clips(rows: Sequence[int] | np.ndarray, clips: Sequence[Recorded]) -> str:
    """Return ``3 training clips (a.wav, b.wav, c.wav)``."""
    listed = ", ".join(clips[i].name for i in list(rows)[:_MOST_NAMED]) + ", ..." * (len(rows) > _MOST_NAMED)
    return f"{len(rows)} training clip{'s' * (len(rows) > 1)} ({listed})"


def _broken_note(kind: str, rows: np.ndarray, clips: Sequence[Recorded], keep_broken: bool) -> str:
    if keep_broken:
        return f"{kind}, kept as asked: {_clips(rows, clips)}: such sounds count as healthy, and faults may be missed"
    return f"left out of training, {kind}: {_clips(rows, clips)}: nothing to learn from (`keep_broken` keeps them)"


def _clipping_note(quality: ClipQuality, clips: Sequence[Recorded]) -> list[str]:
    rows = np.flatnonzero(quality.clipped_in_part)
    if not rows.size:
        return []
    most = 100 * quality.clipped_share[rows].max()
    return [
        f"clipped: {_clips(rows, clips)}, up to {most:.1f}% of the samples: the overtones of clipping count as "
        "healthy; record at a lower gain"
    ]


def _level_note(quality: ClipQuality, clips: Sequence[Recorded], conditions: Conditions) -> list[str]:
    median, reach = (
        np.array([conditions.levels_dbfs[clip.machine_id][column] for clip in clips]) for column in (0, 1)
    )
    differences = quality.rms_dbfs - median
    rows = np.flatnonzero(np.abs(differences) > reach)
    if not rows.size:
        return []
    farthest = differences[rows[np.abs(differences[rows]).argmax()]]
    return [
        f"level unlike the rest: {_clips(rows, clips)}, up to {_decibels(float(farthest))} than the median of the ID: "
        "was the gain changed, or a microphone moved?"
    ]


def _gaps_note(quality: ClipQuality, clips: Sequence[Recorded]) -> list[str]:
    rows = (
        np.flatnonzero(quality.still > np.median(quality.still) + _GAPS) if clips else np.empty(0, np.int64)
    )
    if not rows.size:
        return []
    most = 100 * quality.still[rows].max()
    return [
        f"gaps: {_clips(rows, clips)}, up to {most:.0f}% without a sound, unlike the others: did the recorder drop out?"
    ]


def _coding_note(clips: Sequence[Recorded]) -> list[str]:
    lossy = [i for i, clip in enumerate(clips) if clip.lossy]
    lossless = [i for i, clip in enumerate(clips) if clip.lossy is False]
    if not lossy or not lossless:
        return []
    kind, rows = min((("lossily", lossy), ("losslessly", lossless)), key=lambda pair: len(pair[1]))
    return [
        f"coding unlike the rest: {_clips(rows, clips)} {kind} coded, the others not: what a lossy coding takes away "
        "counts as a difference"
    ]


def _copies_note(copies: Mapping[int, int], clips: Sequence[Recorded]) -> list[str]:
    if not copies:
        return []
    copy, original = next(iter(copies.items()))
    return [
        f"identical: {_clips(list(copies), clips)} with the samples of another ({clips[copy].name} those of "
        f"{clips[original].name}): no further evidence; held out together, so that thresholds stay true"
    ]


def _copies(contents: np.ndarray, usable: np.ndarray, clips: Sequence[Recorded]) -> dict[int, int]:
    """Return which clips have the samples of one of another recording before them, and of which."""
    first: dict[int, int] = {}
    pairs = {i: first.setdefault(contents[i].item(), i) for i in np.flatnonzero(usable).tolist()}
    return {copy: original for copy, original in pairs.items() if clips[copy].group != clips[original].group}


def _joined_groups(copies: Mapping[int, int], clips: Sequence[Recorded]) -> tuple[str, ...]:
    """Return the groups of clips, those of copies and originals made one."""
    parents: dict[str, str] = {}

    def root(group: str) -> str:
        while group in parents:
            group = parents[group]
        return group

    for copy, original in copies.items():
        copied, kept = root(clips[copy].group), root(clips[original].group)
        if copied != kept:
            parents[copied] = kept
    return tuple(root(clip.group) for clip in clips)
