"""The table of clips that every dataset loader yields."""

from __future__ import annotations

import dataclasses
import os
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, TypeAlias, overload

import numpy as np

from offkey._util.files import atomic_path
from offkey.datasets.passed_over import PassedOver
from offkey.datasets.paths import PathLike
from offkey.datasets.survey import Progress, Survey, survey_of
from offkey.errors import ArrayError, DatasetError, ParameterError

__all__ = ["NO_OTHERS", "Clip", "Clips", "Dataset", "LogMelArrays", "Role", "check_roles"]

Role: TypeAlias = Literal["near", "far"]
"""Which microphone a channel is of: the one at the machine, or the one that hears its surroundings."""

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
    channels: tuple[Role, ...] = ()
    """Which microphone each channel is of: ``("near", "far")`` or the reverse; empty where that is not known."""
    label_from: str = dataclasses.field(default="", compare=False)
    """What said the label: a folder, the file name, a manifest, a pattern, the user, or ``nothing``."""
    id_from: str = dataclasses.field(default="", compare=False)
    """What said the machine ID, in words that follow `from`; empty where nothing did."""


class Clips(Sequence[Clip]):
    """An immutable table of clips: a sequence of `Clip`, with its columns as numpy arrays."""

    def __init__(self, clips: Sequence[Clip] = ()) -> None:
        self._clips = tuple(clips)

    def __len__(self) -> int:
        return len(self._clips)

    def __iter__(self) -> Iterator[Clip]:
        return iter(self._clips)

    @overload
    def __getitem__(self, index: int) -> Clip: ...
    @overload
    def __getitem__(self, index: slice) -> Clips: ...
    def __getitem__(self, index: int | slice) -> Clip | Clips:
        return Clips(self._clips[index]) if isinstance(index, slice) else self._clips[index]

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
    passed_over: tuple[PassedOver, ...] = ()
    """The files and folders that were left out, and why."""

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

    def survey(self, *, num_threads: int | None = None, on_progress: Progress | None = None) -> Survey:
        """Return how many recordings of the target type there are, and how they were recorded, by their headers.

        Parameters
        ----------
        num_threads
            Headers read side by side; as many as there are cores if None.
        on_progress
            Called with (done, total) headers.
        """
        return survey_of(
            self.clips.where(machine_type=self.machine),
            passed_over=self.passed_over,
            num_threads=num_threads,
            on_progress=on_progress,
            notes=self.notes,
        )

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

    def with_channels(self, *roles: Role) -> Dataset:
        """Return this dataset with the roles of the two channels of every recording.

        Parameters
        ----------
        roles
            ``"near"``, the microphone at the machine, and ``"far"``, the one that hears its surroundings, in the order
            of the channels.

        Raises
        ------
        ParameterError
            If they are others.

        Examples
        --------
        >>> data = offkey.datasets.load("recordings").with_channels("near", "far")  # doctest: +SKIP
        """
        channels = check_roles(roles)
        return dataclasses.replace(
            self, clips=Clips([dataclasses.replace(clip, channels=channels) for clip in self.clips])
        )


def check_roles(roles: Sequence[str]) -> tuple[Role, ...]:
    """Return the roles of two channels.

    Raises
    ------
    ParameterError
        If they are not `near` and `far`.
    """
    if tuple(roles) == ("near", "far"):
        return ("near", "far")
    if tuple(roles) == ("far", "near"):
        return ("far", "near")
    raise ParameterError(f"channels = {','.join(map(str, roles))!r}: expected 'near,far' or 'far,near'")


# what numpy and zipfile raise on bytes that lie about checksum, method, header or shape
_DAMAGED = (ValueError, OSError, EOFError, RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LogMelArrays:
    """Log-Mel spectrograms of normal clips, with the machine ID of each.

    Parameters
    ----------
    logmels
        ``(clips, n_mels, frames)`` in dB, finite; converted to float32.
    machine_ids
        The ID of each clip.
    groups
        The recording that each clip was cut from: clips of one group are never split between folds. By
        default each clip is a recording of its own.
    others
        The same for normal clips of other machine types, the pseudo-anomalies, with as many Mel bins; or
        None. Their IDs count as types: each is drawn equally often.

    Raises
    ------
    ArrayError
        If an array has another shape, is not of real numbers or not finite, or the counts differ.
    """

    logmels: np.ndarray
    machine_ids: tuple[str, ...]
    groups: tuple[str, ...] = ()
    others: LogMelArrays | None = None

    def __post_init__(self) -> None:
        logmels = _logmels(self.logmels)
        clips = len(logmels)
        object.__setattr__(self, "logmels", logmels)
        object.__setattr__(self, "machine_ids", _column("machine_ids", self.machine_ids, clips))
        groups = self.groups if len(self.groups) else tuple(f"clip {i}" for i in range(clips))
        object.__setattr__(self, "groups", _column("groups", groups, clips))
        if self.others is None:
            return
        if self.others.others is not None:
            raise ArrayError("others.others: expected None; pseudo-anomalies have none of their own")
        if self.others.n_mels != self.n_mels:
            raise ArrayError(
                f"others.logmels: {self.others.n_mels} Mel bins, but logmels has {self.n_mels}; make both "
                "with the same settings"
            )

    def __len__(self) -> int:
        return len(self.logmels)

    @property
    def n_mels(self) -> int:
        """The number of Mel bins."""
        return int(self.logmels.shape[1])

    @property
    def frames(self) -> int:
        """The number of frames of each clip."""
        return int(self.logmels.shape[2])

    def save(self, path: PathLike) -> None:
        """Write everything to one ``.npz`` file, whole or not at all."""
        arrays = {
            "logmels": self.logmels,
            "machine_ids": np.array(self.machine_ids),
            "groups": np.array(self.groups),
        }
        if self.others is not None:
            arrays["other_logmels"] = self.others.logmels
            arrays["other_machine_ids"] = np.array(self.others.machine_ids)
            arrays["other_groups"] = np.array(self.others.groups)
        with atomic_path(os.fspath(path)) as scratch, scratch.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)

    @classmethod
    def load(cls, path: PathLike) -> LogMelArrays:
        """Read what `save` wrote, or any ``.npz`` with ``logmels`` and ``machine_ids``. Pickles are refused.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        DatasetError
            If it is no ``.npz`` file, is damaged, holds pickled objects, or lacks an array.
        ArrayError
            If the arrays do not fit together.
        """
        if not Path(path).exists():
            raise FileNotFoundError(f"{path}: no such file")
        try:
            arrays = _read_npz(Path(path))
        except _DAMAGED as error:
            raise DatasetError(f"{path}: not an .npz file of plain arrays: {error}") from None
        missing = [name for name in ("logmels", "machine_ids") if name not in arrays]
        if missing:
            raise DatasetError(
                f"{path}: no array {' and no '.join(missing)}; it has {', '.join(arrays) or 'none'}"
            )
        others = None
        if "other_logmels" in arrays:
            count = len(np.atleast_1d(arrays["other_logmels"]))
            others = cls(
                logmels=arrays["other_logmels"],
                machine_ids=_texts(arrays.get("other_machine_ids", np.full(count, "other"))),
                groups=_texts(arrays.get("other_groups", np.array([]))),
            )
        return cls(
            logmels=arrays["logmels"],
            machine_ids=_texts(arrays["machine_ids"]),
            groups=_texts(arrays.get("groups", np.array([]))),
            others=others,
        )


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    # not np.load, which looks at the first bytes and may take the file for a pickle or for one array
    with zipfile.ZipFile(path) as archive:
        arrays = {}
        for name in archive.namelist():
            with archive.open(name) as member:
                arrays[name.removesuffix(".npy")] = np.lib.format.read_array(member, allow_pickle=False)
        return arrays


def _logmels(given: np.ndarray) -> np.ndarray:
    array = np.asarray(given)
    if array.ndim != 3 or 0 in array.shape:
        raise ArrayError(
            f"logmels: expected a shape (clips, n_mels, frames) without zeros, given {array.shape}"
        )
    if array.dtype.kind not in "fiu":
        raise ArrayError(f"logmels: expected real numbers, given dtype {array.dtype}")
    with np.errstate(over="ignore"):
        array = np.ascontiguousarray(array, dtype=np.float32)
    # by clip, so that no copy of everything is made
    bad = next((i for i, clip in enumerate(array) if not np.isfinite(clip).all()), None)
    if bad is not None:
        raise ArrayError(f"logmels: clip {bad} has a value that is not finite (in float32)")
    return array


def _column(name: str, given: Sequence[str], clips: int) -> tuple[str, ...]:
    if isinstance(given, str):
        raise ArrayError(f"{name}: expected a sequence of {clips} texts, given one text {given!r}")
    column = tuple(given)
    if len(column) != clips:
        raise ArrayError(f"{name}: expected {clips}, one for each clip of logmels, given {len(column)}")
    wrong = next((value for value in column if not isinstance(value, str) or not value), None)
    if wrong is not None or None in column:
        raise ArrayError(f"{name}: expected texts that are not empty, given {wrong!r}")
    return tuple(str(value) for value in column)


def _texts(array: np.ndarray) -> tuple[str, ...]:
    return tuple(str(value) for value in np.atleast_1d(array).ravel())
