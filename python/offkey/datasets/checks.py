"""What every loader checks before it hands over a dataset."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from offkey._util.words import shortlist
from offkey.datasets.clips import NO_OTHERS, Clip, Clips, Dataset
from offkey.datasets.passed_over import PassedOver, notes_on
from offkey.errors import DatasetError

__all__ = ["check_trainable", "checked", "unique_type"]


def checked(
    machine: str,
    clips: Sequence[Clip],
    *,
    where: object,
    notes: Iterable[str] = (),
    passed_over: Iterable[PassedOver] = (),
) -> Dataset:
    """Return the dataset, with a note on each gap that can be lived with.

    Without normal training clips there is nothing to learn from; test clips can be scored and evaluated all the same.

    Raises
    ------
    DatasetError
        If no clip is of the type `machine`, if it has neither a normal training clip nor a test clip, or if a file
        comes twice.
    """
    _refuse_duplicates(clips, where)
    dataset = Dataset(machine=machine, clips=Clips(clips))
    if not len(dataset.test):
        check_trainable(dataset, where=where)
    passed_over = tuple(passed_over)
    said = (*notes, *notes_on(passed_over, root=Path(str(where))), *_gaps(dataset))
    return dataclasses.replace(dataset, notes=said, passed_over=passed_over)


def check_trainable(dataset: Dataset, *, where: object = "data") -> None:
    """Refuse a dataset that nothing can be learned from.

    Raises
    ------
    DatasetError
        If its type has no normal training clip.
    """
    if not len(dataset.train):
        clips = dataset.clips.where(machine_type=dataset.machine)
        raise DatasetError(
            f"{where}: machine type {dataset.machine!r} has {len(clips)} clips, but no normal training clip among "
            "them; a detector learns from normal clips"
        )


def unique_type(types: Iterable[str], machine: str | None, *, where: object) -> str:
    """Return the machine type asked for, or the only one there is.

    Raises
    ------
    DatasetError
        If the type is not there, or none was asked for and there are several.
    """
    known = sorted(set(types))
    if machine is None and len(known) == 1:
        return known[0]
    if machine is None:
        raise DatasetError(f"{where}: several machine types: {shortlist(known)}; name one with `machine`")
    if machine not in known:
        raise DatasetError(
            f"{where}: no machine type {machine!r}; found: {shortlist(known, most=20) or 'none'}"
        )
    return machine


def _refuse_duplicates(clips: Sequence[Clip], where: object) -> None:
    twice = [path for path, n in Counter(c.path for c in clips).items() if n > 1]
    if twice:
        raise DatasetError(
            f"{where}: {len(twice)} files are listed more than once, the first: {twice[0]}; each file "
            "belongs to one machine, one split and one label"
        )


def _gaps(dataset: Dataset) -> list[str]:
    notes = []
    train, test = dataset.train, dataset.test
    if not len(train):
        return ["no normal training clips: nothing to train on", *_test_gaps(test)]
    faulty = len(dataset.clips.where(machine_type=dataset.machine, split="train", label=1))
    if faulty:
        notes.append(f"{faulty} anomalous training clips are left out: training uses normal clips only")
    unlabelled = len(dataset.clips.where(machine_type=dataset.machine, split="train", label=None))
    if unlabelled:
        notes.append(f"{unlabelled} training clips without a label are left out: they may be anomalous")
    counts = Counter(c.machine_id for c in train)
    single = sorted(str(i) for i, n in counts.items() if n == 1)
    if single:
        notes.append(f"only one normal training clip for ID {shortlist(single)}")
    if None in counts:
        notes.append(f"{counts[None]} training clips have no machine ID")
    untrained = sorted({str(c.machine_id) for c in test if c.machine_id is not None} - set(map(str, counts)))
    if untrained:
        notes.append(f"ID {shortlist(untrained)} only in the test part: scored as unknown")
    notes += _test_gaps(test)
    shared = {c.group for c in train} & {c.group for c in test if c.label == 0}
    if shared:
        notes.append(
            f"{len(shared)} recordings have clips in both training and test, the first: {min(shared)}; test "
            "scores of such clips look better than those of new recordings"
        )
    if not len(dataset.others):
        notes.append(NO_OTHERS)
    return notes


def _test_gaps(test: Clips) -> list[str]:
    if not len(test):
        return ["no test clips: nothing to evaluate on"]
    notes = []
    unlabelled = len(test.where(label=None))
    if unlabelled:
        notes.append(
            f"{unlabelled} of {len(test)} test clips have no label: they can be scored, not evaluated"
        )
    for label, name in ((0, "normal"), (1, "anomalous")):
        ids = {str(c.machine_id) for c in test if c.label is not None}
        missing = sorted(ids - {str(c.machine_id) for c in test if c.label == label})
        if missing:
            notes.append(f"no {name} test clip of ID {shortlist(missing)}: no AUC for it")
    return notes
