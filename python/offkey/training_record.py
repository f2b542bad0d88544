"""What a detector keeps of its training: how it was made, of which clips, and statistics of some of them."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import hashlib
import json
import operator
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias

import numpy as np

from offkey import __version__
from offkey._util.named_arrays import prefixed, under
from offkey.datasets import Clips, Dataset, LogMelArrays, TrainingClips
from offkey.datasets.quality import Conditions
from offkey.datasets.statistics_plan import StatisticsPlan
from offkey.errors import DetectorFileError, ParameterError
from offkey.signal.statistics import ClipStatistics

__all__ = ["KeepStatistics", "TrainingRecord", "data_fingerprint", "kept_clips"]

KeepStatistics: TypeAlias = int | Literal["all"]
"""Of how many clips of each ID the statistics are kept: a number from 0, or all."""

_KEEP_BEFORE = 200  # of each ID, in files that do not say it
_KEPT = 11  # first part of the key of a random stream


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRecord:
    """How a detector was made, and of what."""

    provenance: Mapping[str, Any]
    """Seed, versions, a fingerprint of the data, and what each model tells of its training."""
    machine_ids: tuple[str, ...]
    """The ID of each training clip of the target machine type."""
    groups: np.ndarray
    """``(clips,)`` int64: clips of one recording have the same number."""
    paths: tuple[str, ...]
    """The recordings below their common folder; none for log-Mels made elsewhere."""
    indices: np.ndarray
    """``(kept,)`` int64: the clips whose statistics are kept."""
    statistics: ClipStatistics
    """``(kept, n_mels)`` each."""
    conditions: Conditions | None = None
    """How the clips were recorded; None for log-Mels made elsewhere, and in files that do not have it."""
    keep: KeepStatistics = _KEEP_BEFORE
    """Of how many clips of each ID statistics are to be kept; files that do not have it: of 200."""

    @classmethod
    def of(
        cls,
        clips: TrainingClips,
        *,
        plan: StatisticsPlan,
        provenance: Mapping[str, Any],
        keep: KeepStatistics,
        seed: int,
    ) -> Self:
        """Take down what the detector is fitted to, and the statistics of `keep` clips of each ID: a seeded choice.

        They are those of the plan.
        """
        indices = kept_clips(clips.machine_ids, keep=keep, seed=seed)
        empty = np.empty((0, 0), dtype=np.float32)
        statistics = clips.statistics() if len(indices) else ClipStatistics(*[empty] * 4)
        return cls(
            provenance=provenance,
            machine_ids=tuple(clips.machine_ids),
            groups=np.unique(list(clips.groups), return_inverse=True)[1].astype(np.int64),
            paths=tuple(clips.paths),
            indices=indices,
            statistics=plan.part_of(statistics.take(indices)),
            conditions=clips.conditions,
            keep="all" if keep == "all" else operator.index(keep),
        )

    def updated(self, clips: TrainingClips, *, data: str) -> Self:
        """Return the record with further clips after those so far; `data` is their fingerprint.

        Statistics are kept of as many as each ID has room for. How the clips were recorded stays as it is.
        """
        first = len(self.machine_ids)
        rows = self._room(clips.machine_ids)
        statistics = clips.statistics().take(rows)
        if len(self.indices):  # otherwise there is no saying how many bins they would have
            statistics = ClipStatistics.joined([self.statistics, statistics])
        groups = np.unique(list(clips.groups), return_inverse=True)[1].astype(np.int64)
        update = {"data": data, "clips": len(clips.machine_ids), "offkey": __version__}
        return dataclasses.replace(
            self,
            provenance={**self.provenance, "updates": [*self.provenance.get("updates", ()), update]},
            machine_ids=(*self.machine_ids, *clips.machine_ids),
            groups=np.concatenate([self.groups, self.groups.max() + 1 + groups]),
            paths=(*self.paths, *(clips.paths or clips.groups)) if self.paths else (),
            indices=np.concatenate([self.indices, first + rows]),
            statistics=statistics,
        )

    def _room(self, machine_ids: Sequence[str]) -> np.ndarray:
        """Return which of some further clips' statistics are kept, ascending."""
        if self.keep == "all":
            return np.arange(len(machine_ids), dtype=np.int64)
        counts = collections.Counter(self.machine_ids[i] for i in self.indices.tolist())
        rows = []
        for row, name in enumerate(machine_ids):
            if counts[name] < self.keep:
                counts[name] += 1
                rows.append(row)
        return np.array(rows, dtype=np.int64)

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return arrays and plain data: all that `from_state` needs."""
        arrays = {"groups": self.groups, "indices": self.indices}
        arrays |= prefixed("statistics", self.statistics.arrays())
        metadata = {
            "provenance": dict(self.provenance),
            "machine_ids": list(self.machine_ids),
            "paths": list(self.paths),
            "conditions": self.conditions and self.conditions.state(),
            "keep": self.keep,
        }
        return arrays, metadata

    @classmethod
    def from_state(cls, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any]) -> Self:
        """Restore what `state` gave.

        Raises
        ------
        DetectorFileError
            If parts do not fit each other.
        KeyError, TypeError
            If one is missing.
        """
        machine_ids, paths = tuple(metadata["machine_ids"]), tuple(metadata["paths"])
        conditions = metadata.get("conditions")
        groups, indices = arrays["groups"], arrays["indices"]
        statistics = ClipStatistics(**under("statistics", arrays))
        if not all(isinstance(text, str) for text in (*machine_ids, *paths)):
            raise DetectorFileError("training: expected IDs and paths as texts")
        clips = len(machine_ids)
        shapes = {groups.shape, (clips,)} | ({(len(paths),)} if paths else set())
        counts = {array.shape for array in statistics[:4]}
        rows = {array.shape[:1] for array in statistics.arrays().values()}
        fits = len(shapes) == len(counts) == 1 and indices.ndim == 1 and rows == {indices.shape}
        possible = all(np.isin(array, np.arange(clips)).all() for array in (groups, indices))
        keep = metadata.get("keep", _KEEP_BEFORE)
        kept_clips((), keep=keep, seed=0)  # refuses what is no number
        finite = all(np.isfinite(array).all() for array in statistics.arrays().values())
        if not fits or not possible or not finite:
            raise DetectorFileError(f"training: {clips} clips do not fit the rest of what is kept of them")
        return cls(
            provenance=dict(metadata["provenance"]),
            machine_ids=machine_ids,
            groups=groups,
            paths=paths,
            indices=indices,
            statistics=statistics,
            conditions=None if conditions is None else Conditions.from_state(conditions),
            keep=keep,
        )


def kept_clips(machine_ids: Sequence[str], *, keep: KeepStatistics, seed: int) -> np.ndarray:
    """Return which clips' statistics are kept, ascending: `keep` of each ID, or fewer where it has fewer.

    Raises
    ------
    ParameterError
        If `keep` is neither a whole number from 0 nor ``"all"``.
    """
    ids = np.array(machine_ids, dtype=object)
    if keep == "all":
        return np.arange(len(ids), dtype=np.int64)
    try:
        count = operator.index(keep)
    except TypeError:
        count = -1
    if count < 0:
        raise ParameterError(f"keep_statistics = {keep!r}: expected a whole number from 0, or 'all'")
    parts = [np.empty(0, dtype=np.int64)]
    for number, name in enumerate(sorted(set(machine_ids))):
        clips = np.flatnonzero(ids == name)
        order = np.random.default_rng([seed, _KEPT, number]).permutation(len(clips))
        parts.append(clips[order[:count]])
    return np.sort(np.concatenate(parts))


def provenance(seed: int, data: Dataset | LogMelArrays, *, others: bool) -> dict[str, Any]:
    """Return what is to be known of a fit beside its recipe; models add what they know."""
    return {
        "seed": seed,
        "offkey": __version__,
        "numpy": np.__version__,
        "data": data_fingerprint(data, others=others),
    }


def data_fingerprint(data: Dataset | LogMelArrays, *, others: bool) -> str:
    """Return a hash of the training clips: the same wherever a data set lies, another for other clips.

    Of recordings it covers names below their common folder, sizes, types and IDs; of log-Mels every number.

    Parameters
    ----------
    data
        What a detector is fitted to.
    others
        Whether clips of other machine types take part.
    """
    digest = hashlib.sha256()
    if isinstance(data, Dataset):
        clips = data.train + (data.others if others else Clips())
        folder = os.path.commonpath([clip.path.absolute().parent for clip in clips]) if len(clips) else ""
        for clip in clips:
            name = Path(os.path.relpath(clip.path.absolute(), folder)).as_posix()
            row = [name, _size(clip.path), clip.machine_type, clip.machine_id]
            digest.update(json.dumps(row).encode() + b"\n")
        return digest.hexdigest()
    for part in (data, data.others if others else None):
        if part is not None:
            digest.update(json.dumps([part.logmels.shape, list(part.machine_ids)]).encode())
            digest.update(np.ascontiguousarray(part.logmels).tobytes())
    return digest.hexdigest()


def _size(path: Path) -> int | None:
    with contextlib.suppress(OSError):
        return path.stat().st_size
    return None
