"""DCASE 2020 Task 2: development, additional training and evaluation data (Koizumi et al. 2020)."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, Self

from offkey._util.csv_text import read_csv
from offkey._util.words import shortlist
from offkey.datasets.checks import checked, unique_type
from offkey.datasets.clips import Clip, Dataset
from offkey.datasets.ids import IN_NAME
from offkey.datasets.names import refuse_doubts, rows_by_name
from offkey.datasets.passed_over import PassedOver
from offkey.datasets.paths import Listing, PathLike, existing_folder, folder_name, outside, subfolders, walk
from offkey.errors import DatasetError

__all__ = [
    "EVAL_LIST",
    "dcase2020",
    "every_type",
    "follows_names",
    "parts_of",
    "read_eval_list",
    "type_folders",
]

EVAL_LIST = "eval_data_list.csv"
"""The label list that was published for the evaluation data."""

_NAME = re.compile(r"(?:(?P<label>normal|anomaly)_)?id_(?P<id>[0-9A-Za-z]+)_[^/]*$")
_SPLITS: tuple[Literal["train", "test"], ...] = ("train", "test")


def dcase2020(
    root: PathLike,
    *,
    machine: str,
    also: PathLike | Sequence[PathLike] | None = None,
    eval_list: PathLike | None = None,
) -> Dataset:
    """Load DCASE 2020 Task 2 data, or any folder of that layout.

    Parameters
    ----------
    root
        A part such as `dev_data`, with ``<type>/{train,test}/{normal,anomaly}_id_XX_NNNNNNNN.wav``; or a
        folder that holds such parts (`dev_data`, `eval_data`, ...), of which all are read; or the folder of one
        machine type, with `train` and `test` directly inside.
    machine
        The target type, such as ``"fan"``.
    also
        Further parts: the additional training data, the evaluation data.
    eval_list
        `eval_data_list.csv`, with the labels of the evaluation clips (``id_XX_NNNNNNNN.wav``). By default it
        is searched for in each part and in its parent folder. Without it those clips have no label.

    Returns
    -------
    Dataset
        All clips of `machine`, and the training clips of the other types of the same recording chain: the
        Toy* types are never mixed with those of MIMII, because the recording chain alone separates them. Each
        file is a separate recording (`group`).

    Raises
    ------
    FileNotFoundError
        If a folder or the label list does not exist.
    DatasetError
        If a folder is empty or not of that layout, the type is missing (those found are named), a file name
        does not follow the pattern, there is no normal training clip, or the label list does not match the
        files.
    """
    parts = _Parts.of(root, also)
    machine = unique_type((folder_name(kind) for _, kind in parts.types), machine, where=root)
    labels = _Labels(None if eval_list is None else Path(eval_list))
    passed_over = parts.outside()
    clips: list[Clip] = []
    toys = set()
    for part, kind in parts.types:
        if folder_name(kind) == machine:
            for split in _SPLITS:
                clips += _read(kind, split, labels.near(part), passed_over)
        elif folder_name(kind).startswith("Toy") == machine.startswith("Toy"):
            clips += _read(kind, "train", {}, passed_over)
        else:
            toys.add(folder_name(kind))
    notes = [f"{part}: {machine!r} is not in this part" for part in parts.parts if not _has(part, machine)]
    notes += labels.notes()
    if toys:
        notes.append(f"{', '.join(sorted(toys))} left out: recorded by another chain than {machine}")
    return checked(machine, clips, where=root, notes=notes, passed_over=passed_over)


def every_type(
    root: PathLike, *, also: Sequence[PathLike] = (), eval_list: PathLike | None = None
) -> tuple[list[Clip], list[PassedOver], list[str]]:
    """Return all clips of all machine types, what was passed over, and notes; see `dcase2020`."""
    parts = _Parts.of(root, also)
    labels = _Labels(None if eval_list is None else Path(eval_list))
    passed_over = parts.outside()
    clips = [
        clip
        for part, kind in parts.types
        for split in _SPLITS
        for clip in _read(kind, split, labels.near(part), passed_over)
    ]
    return clips, passed_over, labels.notes()


@dataclasses.dataclass(frozen=True, slots=True)
class _Parts:
    """The parts of the data set, and the machine types in each."""

    roots: list[Path]
    parts: list[Path]

    @classmethod
    def of(cls, root: PathLike, also: PathLike | Sequence[PathLike] | None) -> Self:
        further = [] if also is None else [also] if isinstance(also, (str, os.PathLike)) else list(also)
        roots = [existing_folder(root_or_part) for root_or_part in (root, *further)]
        parts = [part for folder in roots for part in parts_of(folder)]
        _refuse_same(parts)
        return cls(roots, parts)

    @property
    def types(self) -> list[tuple[Path, Path]]:
        """The part and the folder of each machine type."""
        return [(part, kind) for part in self.parts for kind in type_folders(part)]

    def outside(self) -> list[PassedOver]:
        """Return what lies beside the recordings."""
        places = {kind / split for _, kind in self.types for split in _SPLITS}
        return [passed for folder in self.roots for passed in outside(folder, places, layout="dcase2020")]


def read_eval_list(path: PathLike) -> dict[str, dict[str, Literal[0, 1]]]:
    """Return the labels in `eval_data_list.csv` by machine type and file name.

    The file has a line of one column for each machine type, and below it lines of three: the name in the
    evaluation data, the original name, and 0 (normal) or 1 (anomaly).

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    DatasetError
        If a line has another form, or a file is listed twice.
    """
    table: dict[str, dict[str, Literal[0, 1]]] = {}
    current: dict[str, Literal[0, 1]] | None = None
    text = read_csv(Path(path), header=False)
    for number, row in text.lines:
        cells = [cell.strip() for cell in row]
        while not cells[-1]:
            cells.pop()
        if len(cells) == 1:
            current = table.setdefault(cells[0], {})
            continue
        if current is None or len(cells) != 3 or cells[2] not in ("0", "1"):
            raise DatasetError(
                f"{path}, line {number}: expected a machine type alone, or below it "
                f"'eval_name,original_name,0 or 1', given {','.join(row)!r}"
            )
        if cells[0] in current:
            raise DatasetError(f"{path}, line {number}: {cells[0]} is listed twice for one machine type")
        current[cells[0]] = 1 if cells[2] == "1" else 0
    return table


class _Labels:
    """The label lists by the part that they belong to."""

    def __init__(self, path: Path | None) -> None:
        if path is not None and not path.is_file():
            raise FileNotFoundError(f"{path}: no such label list")
        self._path = path
        self._tables: dict[Path, dict[str, dict[str, Literal[0, 1]]]] = {}

    def near(self, part: Path) -> dict[str, dict[str, Literal[0, 1]]]:
        candidates = [self._path] if self._path else [part / EVAL_LIST, part.resolve().parent / EVAL_LIST]
        for path in candidates:
            if path.is_file():
                if path not in self._tables:
                    self._tables[path] = read_eval_list(path)
                return self._tables[path]
        return {}

    def notes(self) -> list[str]:
        return [f"evaluation labels from {path}" for path in self._tables]


def parts_of(folder: Path) -> list[Path]:
    """Return the parts that a folder is or holds.

    Raises
    ------
    DatasetError
        If there is no machine type in it.
    """
    if _is_type(folder) or any(_is_type(inner) for inner in subfolders(folder)):
        return [folder]
    held = [inner for inner in subfolders(folder) if any(_is_type(kind) for kind in subfolders(inner))]
    if not held:
        raise DatasetError(
            f"{folder}: no machine type found; expected <type>/train and <type>/test inside, found "
            f"{shortlist(p.name for p in subfolders(folder)) or 'no folder'}"
        )
    return held


def type_folders(part: Path) -> list[Path]:
    """Return the folders of the machine types of a part."""
    return [part] if _is_type(part) else [kind for kind in subfolders(part) if _is_type(kind)]


def follows_names(kind: Path) -> bool:
    """Return whether any recording of a machine type is named with ``id_XX`` as DCASE 2020 names it."""
    parts = [kind / split for split in _SPLITS if (kind / split).is_dir()]
    return any(isinstance(path, Path) and _NAME.match(path.name) for part in parts for path in walk(part))


def _is_type(folder: Path) -> bool:
    return any(os.path.isdir(folder / split) for split in _SPLITS)  # noqa: PTH112 - False if it may not be seen


def _has(part: Path, machine: str) -> bool:
    return any(folder_name(kind) == machine for kind in type_folders(part))


def _refuse_same(parts: Iterable[Path]) -> None:
    seen: set[Path] = set()
    for part in parts:
        if part.resolve() in seen:
            raise DatasetError(f"{part}: given twice, in `root` and `also`")
        seen.add(part.resolve())


def _read(
    kind: Path,
    split: Literal["train", "test"],
    tables: dict[str, dict[str, Literal[0, 1]]],
    passed_over: list[PassedOver],
) -> list[Clip]:
    folder = kind / split
    listing = Listing.of(folder) if folder.is_dir() else Listing([], [])
    passed_over += listing.passed_over
    files = listing.files
    parsed = [(path, _NAME.match(path.name)) for path in files]
    bad = [path for path, match in parsed if not match or (split == "train" and not match["label"])]
    if bad:
        raise DatasetError(
            f"{folder}: {len(bad)} of {len(files)} file names do not follow DCASE 2020, the first: "
            f"{bad[0].name}; expected normal_id_XX_*, anomaly_id_XX_*{' or id_XX_*' * (split == 'test')}; "
            "any other names are read by offkey.datasets.folder"
        )
    refuse_doubts(
        rows_by_name(kind, [path for path, match in parsed if match and match["label"]]), where=kind
    )
    nameless = {path.name for path, match in parsed if match and not match["label"]}
    labels = _match_labels(kind, nameless, tables) if nameless else {}
    return [
        Clip(
            path=path,
            machine_type=folder_name(kind),
            machine_id=match["id"],
            split=split,
            label=labels.get(path.name) if not match["label"] else 1 if match["label"] == "anomaly" else 0,
            group=str(path),
            label_from="the file name" if match["label"] else EVAL_LIST if path.name in labels else "nothing",
            id_from=IN_NAME,
        )
        for path, match in parsed
        if match
    ]


def _match_labels(
    kind: Path, names: set[str], tables: dict[str, dict[str, Literal[0, 1]]]
) -> dict[str, Literal[0, 1]]:
    """Return the labels of exactly these files; a missing list is tolerated, a wrong one is not."""
    if not tables:
        return {}
    labels = tables.get(folder_name(kind), {})
    unlisted, missing = sorted(names - labels.keys()), sorted(labels.keys() - names)
    if unlisted or missing:
        raise DatasetError(
            f"{kind / 'test'}: the label list does not match the files of {folder_name(kind)!r}: "
            f"{len(unlisted)} files not in the list ({shortlist(unlisted, most=3) or 'none'}), "
            f"{len(missing)} listed files not in the folder ({shortlist(missing, most=3) or 'none'})"
        )
    return labels
