"""What every model of normal sound is fitted to."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from offkey.errors import ArrayError, DatasetError
from offkey.signal.statistics import ClipStatistics

__all__ = ["TrainingClips"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingClips:
    """Normal clips of the target machine type, and of other types where there are any: what a model is fitted to.

    The sequences of arrays are read item by item, each item whenever it is needed: one that decodes on access
    keeps a large set out of memory.

    Raises
    ------
    DatasetError
        If there are no clips, or the columns differ in length.
    """

    inputs: Literal["audio", "logmel"]
    """`audio`: 1-D float32 samples at the recipe's rate; `logmel`: ``(n_mels, frames)`` float32 in dB."""
    clips: Sequence[np.ndarray]
    machine_ids: Sequence[str]
    groups: Sequence[str]
    """The recording that a clip was cut from: never split between training and held-out part."""
    paths: Sequence[str] = ()
    """The recordings' names below their common folder, for provenance; none for arrays made elsewhere."""
    others: Sequence[np.ndarray] = ()
    """Normal clips of other machine types: the pseudo-anomalies."""
    other_types: Sequence[str] = ()
    other_groups: Sequence[str] = ()
    notes: tuple[str, ...] = ()
    """What a user should know of the clips."""
    unread: tuple[str, ...] = ()
    """Which recordings could not be read, and why."""
    measure: Callable[[], ClipStatistics] | None = None
    """Computes what `statistics` returns."""

    def __post_init__(self) -> None:
        if not len(self.clips):
            raise DatasetError("training clips: given none; expected normal clips of the target machine type")
        for name, clips, columns in (
            ("clips", self.clips, (self.machine_ids, self.groups)),
            ("others", self.others, (self.other_types, self.other_groups)),
        ):
            if any(len(column) != len(clips) for column in columns):
                given = " and ".join(str(len(column)) for column in columns)
                raise DatasetError(
                    f"training clips: {len(clips)} {name}, but {given} labels and groups for them"
                )

    def statistics(self) -> ClipStatistics:
        """Return the statistics ``(clips, n_mels)`` of the target type's clips.

        Raises
        ------
        ArrayError
            If the clips came without a way to compute them.
        """
        if self.measure is None:
            raise ArrayError("training clips: have no statistics; expected `measure`, which computes them")
        return self.measure()

    def gather(self, positions: np.ndarray) -> list[np.ndarray]:
        """Return clips by their positions, those of other types after those of the target type.

        A sequence with a method `gather` of its own, as one that decodes has, is asked for all of them at once.

        Raises
        ------
        ArrayError
            If one is empty or has the wrong number of dimensions.
        """
        first = len(self.clips)
        found: dict[int, np.ndarray] = {}
        for clips, offset, wanted in (
            (self.clips, 0, positions[positions < first]),
            (self.others, first, positions[positions >= first]),
        ):
            places = (wanted - offset).tolist()
            gather = getattr(clips, "gather", None)
            arrays = gather(places) if gather is not None and places else [clips[i] for i in places]
            found |= dict(zip(wanted.tolist(), arrays, strict=True))
        return [self._checked(found[i], i) for i in positions.tolist()]

    def _checked(self, clip: np.ndarray, index: int) -> np.ndarray:
        own = index < len(self.clips)
        array = np.asarray(clip)
        dimensions = 1 if self.inputs == "audio" else 2
        if array.ndim != dimensions or not array.size:
            where = f"clips[{index}]" if own else f"others[{index - len(self.clips)}]"
            wanted = "(samples,)" if self.inputs == "audio" else "(n_mels, frames)"
            raise ArrayError(f"{where}: given shape {array.shape}; expected {wanted}, not empty")
        return np.ascontiguousarray(array, dtype=np.float32)
