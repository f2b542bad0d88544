"""The table of clips that every dataset loader yields."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from offkey.errors import DatasetError

__all__ = ["NO_OTHERS", "Clip", "Clips", "Dataset"]

NO_OTHERS = "no clips of other machine types: nothing to serve as pseudo-anomalies"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """One recording, or a part of one, and what is known about it."""

    path: Path
    machine_type: str
    machine_id: str | None
    """None where the ID is not known."""
    split: Literal["train", "test"]
    label: Literal[0, 1] | None
    """1 = anomaly, 0 = normal, None = not known."""
    domain: str | None = None
    group: str
    """The recording that the clip was cut from: clips of one group are never split between folds."""


class Clips(Sequence[Clip]):
    """An immutable table of clips: a sequence of `Clip`, with its columns as numpy arrays."""

    def __init__(self, clips: Sequence[Clip] = ()) -> None:
        self._clips = tuple(clips)

    def __len__(self) -> int:
        return len(self._clips)

    def __iter__(self) -> Iterator[Clip]:
        return iter(self._clips)

    def __getitem__(self, index: int) -> Clip:  # type: ignore[override]  # a slice is made with `where`
        return self._clips[index]

    def __add__(self, other: Clips) -> Clips:
        return Clips(self._clips + other._clips)

    def __repr__(self) -> str:
        kinds = sorted({f"{c.machine_type}/{c.machine_id or '?'}" for c in self._clips})
        shown = ", ".join(kinds[:8]) + ", ..." * (len(kinds) > 8)
        return f"Clips({len(self)} clips of {len(kinds)} machines: {shown})"

    def where(self, **columns: object) -> Clips:
        """Return the clips whose columns equal the values given: ``clips.where(split="train", label=0)``."""
        return Clips([c for c in self._clips if all(getattr(c, k) == v for k, v in columns.items())])

    def take(self, indices: Sequence[int] | np.ndarray) -> Clips:
        """Return the clips at the given positions, in that order."""
        return Clips([self._clips[int(i)] for i in indices])

    @property
    def paths(self) -> list[Path]:
        """The files, in the order of the table."""
        return [c.path for c in self._clips]

    @property
    def machine_ids(self) -> list[str | None]:
        """The machine IDs, in the order of the table."""
        return [c.machine_id for c in self._clips]

    @property
    def groups(self) -> list[str]:
        """The recordings that the clips were cut from, in the order of the table."""
        return [c.group for c in self._clips]

    @property
    def labels(self) -> np.ndarray:
        """Labels as ``(clips,)`` int8: 1 anomaly, 0 normal, -1 not known."""
        return np.array([-1 if c.label is None else c.label for c in self._clips], dtype=np.int8)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Clips of several machine types, seen from one of them: the target type `machine`."""

    machine: str
    clips: Clips
    notes: tuple[str, ...] = ()
    """What a user should know: what is missing, what was left out. The command line prints them."""

    def __post_init__(self) -> None:
        if not any(c.machine_type == self.machine for c in self.clips):
            known = ", ".join(sorted({c.machine_type for c in self.clips})) or "none"
            raise DatasetError(f"machine type {self.machine!r}: no clip is of that type; found: {known}")

    @property
    def train(self) -> Clips:
        """Normal training clips of the target type."""
        return self.clips.where(machine_type=self.machine, split="train", label=0)

    @property
    def others(self) -> Clips:
        """Normal training clips of the other types: the pseudo-anomalies."""
        return Clips([c for c in self.clips.where(split="train", label=0) if c.machine_type != self.machine])

    @property
    def test(self) -> Clips:
        """Test clips of the target type."""
        return self.clips.where(machine_type=self.machine, split="test")

    def with_others(self, *datasets: Dataset) -> Dataset:
        """Return this dataset with the normal training clips of other machine types as pseudo-anomalies.

        Raises
        ------
        DatasetError
            If one of them has the target type too: its clips would be trained on.
        """
        clips = self.clips
        for other in datasets:
            if any(c.machine_type == self.machine for c in other.clips):
                raise DatasetError(
                    f"with_others: {self.machine!r} is the target type, and given as another too"
                )
            clips += other.clips.where(split="train", label=0)
        notes = (
            self.notes if len(clips) == len(self.clips) else tuple(n for n in self.notes if n != NO_OTHERS)
        )
        return dataclasses.replace(self, clips=clips, notes=notes)
