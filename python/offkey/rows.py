"""The rows of a score table while a detector fills them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from offkey import inputs
from offkey.datasets import Clips, LogMelArrays, find_audio, parse_machine_id
from offkey.errors import DatasetError
from offkey.recipe import Recipe
from offkey.scores import ScoreTable
from offkey.scoring.fusion import Fused

__all__ = ["Recordings", "Rows"]

Recordings: TypeAlias = (
    str | os.PathLike[str] | Sequence[str] | Sequence[os.PathLike[str]] | Clips | LogMelArrays
)
"""A folder, a file, several of them, a table of clips, or log-Mel arrays."""


class Rows:
    """The columns of a score table while they are filled, chunk by chunk."""

    def __init__(
        self,
        source: Sequence[Path] | LogMelArrays,
        *,
        machine: str | None,
        machine_ids: Sequence[str | None],
        labels: Sequence[int | None],
        paths: Sequence[str],
    ) -> None:
        self.machine_ids = list(machine_ids)
        self.errors: dict[int, Exception] = {}
        self.paths = list(paths)
        self._source = source
        self._machine = machine
        self._labels = list(labels)
        self._scores: dict[str, np.ndarray] = {}
        self._scored_as: list[str | None] = [None] * len(paths)
        self._decision: list[int | None] = [None] * len(paths)

    @classmethod
    def of(
        cls, recordings: Recordings, machine: str | None, machine_id: str | None, known: Sequence[str]
    ) -> Rows:
        """Return a row for each recording; `machine_id` is that of all of them, or None.

        `known` IDs are also recognised in the names of folders, where a layout has no ``id_XX``.
        """
        if isinstance(recordings, LogMelArrays):
            ids: list[str | None] = [machine_id or own for own in recordings.machine_ids]
            names = [f"clip {i}" for i in range(len(ids))]
            return cls(recordings, machine=machine, machine_ids=ids, labels=[None] * len(ids), paths=names)
        if isinstance(recordings, Clips):
            if not len(recordings):
                raise DatasetError(
                    "recordings: the table of clips is empty; expected at least one clip to score"
                )
            ids = [machine_id or own for own in recordings.machine_ids]
            paths, labels = recordings.paths, [clip.label for clip in recordings]
        else:
            paths = find_audio(recordings)
            ids = [machine_id or parse_machine_id(path) or _folder_id(path, known) for path in paths]
            labels = [None] * len(paths)
        names = [str(path) for path in paths]
        return cls(paths, machine=machine, machine_ids=ids, labels=labels, paths=names)

    def chunks(
        self, recipe: Recipe, num_threads: int | None, on_progress: inputs.Progress | None
    ) -> Iterator[inputs.Chunk]:
        """Decode chunk by chunk."""
        if isinstance(self._source, LogMelArrays):
            return inputs.chunks_of_arrays(recipe.features, self._source)
        return inputs.chunks_of_files(
            recipe.features, self._source, num_threads=num_threads, on_progress=on_progress
        )

    def fill(
        self, positions: np.ndarray, raw: dict[str, np.ndarray], fused: Fused, known: Sequence[str]
    ) -> None:
        """Enter the scores of some clips: of each clip the column of the ID that it was scored as."""
        rows = np.arange(len(positions))
        own = {name: matrix[rows, fused.column] for name, matrix in raw.items()}
        for name, values in (own | {"anomaly_score": fused.anomaly_score}).items():
            column = self._scores.setdefault(name, np.full(len(self.paths), np.nan))
            column[positions] = values
        for position, column_index, decision in zip(positions, fused.column, fused.decision, strict=True):
            self._scored_as[position] = known[column_index]
            self._decision[position] = int(decision)

    def unknown_ids(self, known: Sequence[str]) -> list[str]:
        """Say which of the IDs are not known."""
        unknown = Counter(i for i in self.machine_ids if i is not None and i not in known)
        return [
            f"ID {machine_id!r} is not known to the detector, which knows {', '.join(known)}: {count} "
            f"recording{'s' * (count > 1)} scored as the ID that each is nearest to (column scored_as)"
            for machine_id, count in sorted(unknown.items())
        ]

    def table(self) -> ScoreTable:
        """Return the finished table."""
        scores: dict[str, Any] = dict(self._scores)
        return ScoreTable(
            path=self.paths,
            machine_type=[self._machine] * len(self.paths),
            machine_id=self.machine_ids,
            scored_as=self._scored_as,
            **scores,
            decision=self._decision,
            label=self._labels,
            error=[str(self.errors[i]) if i in self.errors else None for i in range(len(self.paths))],
        )


def _folder_id(path: Path, known: Sequence[str]) -> str | None:
    """Return the known ID that the folders of a path name: ``press-a``, or ``line-1/press-a``, the nearest first."""
    folders = path.parent.parts
    for end in range(len(folders), 0, -1):
        for start in range(end):
            name = "/".join(folders[start:end])
            if name in known:
                return name
    return None
