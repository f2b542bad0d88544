"""The data that was scored, for its labels."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path

from offkey import datasets
from offkey.cli import console
from offkey.cli.options import DataOptions
from offkey.datasets.passed_over import notes_on
from offkey.errors import ParameterError

__all__ = ["tested"]


def tested(reading: DataOptions, data: Path, seed: int) -> datasets.Dataset:
    """Read the data and say what was passed over.

    Where no normal recording would be for testing, those are whose names do not say their split; a note says so.
    """
    dataset = _tested(reading, data, seed)
    for note in notes_on(dataset.passed_over, root=data):
        console.warn(note)
    return dataset


def _tested(reading: DataOptions, data: Path, seed: int) -> datasets.Dataset:
    """Read the data; where no normal recording would be for testing, those are whose names do not say their split."""
    dataset = reading.load(data, seed=seed)
    if reading.test_fraction or len(dataset.test.where(label=0)):
        return dataset
    with contextlib.suppress(ParameterError):  # other layouts than own folders say what is for testing
        every = dataclasses.replace(reading, test_fraction=1.0).load(data, seed=seed)
        normals = len(every.test.where(label=0))
        if normals:
            console.note(
                f"nothing says which normal recordings are for testing: all {normals} are taken to be; if the "
                "detector was trained on some of them, the results are too good (see --test-fraction)"
            )
        return every
    return dataset
