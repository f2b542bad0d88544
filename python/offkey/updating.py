"""From recordings of healthy machines to the detector that has learned them too."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from offkey.datasets import Clip, Clips, Dataset, LogMelArrays, TrainingClips
from offkey.datasets.file_clips import FileClips
from offkey.datasets.passed_over import PassedOver, notes_on
from offkey.datasets.paths import NO_SOUND_FILE
from offkey.datasets.recordings import Recordings, describe, items_of
from offkey.datasets.source import Progress, check_mels
from offkey.datasets.training import read_training_clips
from offkey.errors import DatasetError, ParameterError
from offkey.fitted import Fitted
from offkey.scores import ScoreTable
from offkey.training_record import TrainingRecord, data_fingerprint

__all__ = ["check_record", "new_normals", "updated", "without_anomalous"]

_MOST_NAMED = 5  # recordings that a note names


def new_normals(
    fitted: Fitted, recordings: Recordings, *, machine_id: str | None
) -> tuple[Dataset | LogMelArrays, tuple[PassedOver, ...]]:
    """Return recordings as training clips, and what was passed over in folders.

    Raises
    ------
    DatasetError
        If there are none, one is labelled anomalous, or one is of an ID that the detector does not know.
    ParameterError
        If one is no file.
    """
    known = fitted.fusion.machine_ids
    if isinstance(recordings, LogMelArrays):
        check_mels(fitted.features, recordings, fitted.plan)
        _check_ids(known, [(f"log-Mel {i}", name) for i, name in enumerate(recordings.machine_ids)])
        return recordings, ()
    passed_over: dict[Path, PassedOver] = {}
    clips = recordings.train if isinstance(recordings, Dataset) else recordings
    if not isinstance(clips, Clips):
        clips = _clips_of(fitted, clips, machine_id, passed_over)
    elif machine_id is not None:
        clips = Clips([dataclasses.replace(clip, machine_id=machine_id) for clip in clips])
    if not len(clips):
        raise DatasetError(
            "a table without clips: no recordings to learn from; expected some of healthy machines"
        )
    for clip in clips:
        if clip.label == 1:
            raise DatasetError(f"{clip.path}: labelled anomalous; expected recordings of healthy machines")
    _check_ids(known, [(str(clip.path), clip.machine_id or "?") for clip in clips])
    machine = fitted.machine or clips[0].machine_type
    normals = [dataclasses.replace(clip, machine_type=machine, split="train", label=0) for clip in clips]
    return Dataset(machine=machine, clips=Clips(normals)), tuple(passed_over.values())


def _clips_of(
    fitted: Fitted,
    recordings: Recordings,
    machine_id: str | None,
    passed_over: dict[Path, PassedOver],
) -> Clips:
    """Return files as clips, with the IDs that scoring reads in their names."""
    items = items_of(
        recordings,
        machine_id=machine_id,
        known_ids=fitted.fusion.machine_ids,
        on_passed_over=lambda passed: passed_over.update({passed.path: passed}),
    )
    clips = []
    for item in items:
        if isinstance(item.content, Exception):
            raise item.content
        if not isinstance(item.content, Path):
            raise ParameterError(
                f"{item.name}: no file; expected files, folders or patterns, a Dataset, Clips or LogMelArrays, which "
                "can be read more than once"
            )
        clips.append(
            Clip(
                path=item.content,
                machine_type=fitted.machine or "machine",
                machine_id=item.machine_id,
                split="train",
                label=item.label,
                group=str(item.content),
            )
        )
    if not clips:
        notes = notes_on(passed_over.values())
        raise DatasetError("; ".join([f"{describe(recordings)}: {NO_SOUND_FILE}", *notes]))
    return Clips(clips)


def _check_ids(known: Sequence[str], named: Sequence[tuple[str, str]]) -> None:
    unknown = [(name, machine_id) for name, machine_id in named if machine_id not in known]
    if unknown:
        name, machine_id = unknown[0]
        which = "without a machine ID" if machine_id == "?" else f"of ID {machine_id!r}"
        raise DatasetError(
            f"{name} and {len(unknown) - 1} more: " * (len(unknown) > 1)
            + f"{name}: " * (len(unknown) == 1)
            + f"{which}, which the detector does not know (it knows {', '.join(known)}); give the ID of a known one as "
            "machine_id, or fit again to learn a new machine"
        )


def _others(data: Dataset | LogMelArrays, left_out: np.ndarray) -> Dataset | LogMelArrays:
    """Return the recordings that are not left out, ``(recordings,)`` bool; at least one."""
    rows = np.flatnonzero(~left_out)
    if isinstance(data, Dataset):
        return dataclasses.replace(data, clips=data.clips.take(rows))
    return LogMelArrays(
        logmels=data.logmels[rows],
        machine_ids=tuple(data.machine_ids[i] for i in rows),
        groups=tuple(data.groups[i] for i in rows),
    )


def _named(data: Dataset | LogMelArrays, rows: np.ndarray) -> str:
    """Return ``3 of 40 recordings (a.wav, b.wav, c.wav)``."""
    names = list(data.groups) if isinstance(data, LogMelArrays) else [str(path) for path in data.clips.paths]
    positions = np.flatnonzero(rows).tolist()
    listed = ", ".join(names[i] for i in positions[:_MOST_NAMED]) + ", ..." * (len(positions) > _MOST_NAMED)
    return f"{len(positions)} of {len(names)} recordings ({listed})"


def without_anomalous(
    fitted: Fitted, data: Dataset | LogMelArrays, table: ScoreTable
) -> tuple[Dataset | LogMelArrays, tuple[str, ...]]:
    """Return the recordings that the detector does not call anomalous, and what to say of those that it does.

    Raises
    ------
    DatasetError
        If it calls all of them so.
    """
    rate = fitted.false_alarm_rate
    anomalous = np.nan_to_num(table.p_value, nan=1.0) <= rate
    if not anomalous.any():
        return data, ()
    text = (
        f"called anomalous, and not learned: {_named(data, anomalous)}; about "
        f"{rate * len(anomalous):.2g} of so many healthy ones are. If you know that they are healthy, learn them too "
        "with force=True: without the oddest of the healthy, thresholds come out too low"
    )
    if anomalous.all():
        raise DatasetError(f"nothing to learn from: {text}")
    return _others(data, anomalous), (text,)


def updated(
    fitted: Fitted,
    data: Dataset | LogMelArrays,
    *,
    max_seconds: float,
    num_threads: int | None,
    on_progress: Progress | None,
) -> tuple[Fitted, TrainingClips, tuple[str, ...]]:
    """Read recordings as training clips are read, and return the detector that has learned them too, the clips, notes.

    Those that have been learned already are passed over: as new ones they would make thresholds too low.

    Raises
    ------
    DatasetError
        If more than half of them cannot be read or are broken, or all have been learned already.
    ParameterError
        If the detector has to be fitted again.
    """
    record = check_record(fitted)
    read = functools.partial(
        read_training_clips,
        features=fitted.features,
        plan=fitted.plan,
        clip_seconds=fitted.clip_seconds,
        others=False,
        max_seconds=max_seconds,
        num_threads=num_threads,
        on_progress=on_progress,
    )
    clips = read(data)
    notes: tuple[str, ...] = ()
    again = _learned_already(record, data, clips)
    if again.any():
        notes = (
            f"learned already, and passed over: {_named(data, again)} sound exactly as training clips do",
        )
        if again.all():
            raise DatasetError(f"nothing to learn from: {notes[0]}")
        data = _others(data, again)
        clips = read(data)
    fingerprint = data_fingerprint(data, others=False)
    return fitted.updated(clips, record=record, data=fingerprint, num_threads=num_threads), clips, notes


def check_record(fitted: Fitted) -> TrainingRecord:
    """Return the record of the training.

    Raises
    ------
    ParameterError
        If there is none.
    """
    if fitted.record is None:
        raise ParameterError(
            "update: the file of this detector was written by a version of offkey that kept no record of the training: "
            "fit again, to all recordings"
        )
    return fitted.record


def _learned_already(
    record: TrainingRecord, data: Dataset | LogMelArrays, clips: TrainingClips
) -> np.ndarray:
    """Return which recordings have a clip of the very statistics of a training clip, ``(recordings,)`` bool."""
    learned = {row.tobytes() for row in record.statistics.mean}
    again = [i for i, row in enumerate(clips.statistics().mean) if row.tobytes() in learned]
    if isinstance(data, Dataset) and isinstance(clips.clips, FileClips):
        files = {clips.clips.name(i) for i in again}
        return np.array([str(path) in files for path in data.clips.paths])
    return np.isin(np.arange(len(clips.clips)), again)
