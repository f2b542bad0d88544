"""MIMII, the sounds of malfunctioning industrial machines (Purohit et al. 2019)."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from offkey._util.words import shortlist
from offkey.datasets.checks import checked, unique_type
from offkey.datasets.clips import Clip, Dataset
from offkey.datasets.ids import IN_FOLDER
from offkey.datasets.names import refuse_doubts, rows_by_name
from offkey.datasets.passed_over import PassedOver
from offkey.datasets.paths import Listing, PathLike, existing_folder, folder_name, outside, rank, subfolders
from offkey.errors import DatasetError, ParameterError

__all__ = ["Split", "every_type", "holds_ids", "id_folders", "mimii", "places_of", "snr_folders", "types_at"]

Split = Literal["hitachi", "random75"]

_SNR = re.compile(
    r"(?P<sign>min(?:us)?_?|[mp+-])?(?P<db>\d+(?:\.\d+)?)_?dB(?:_(?P<type>\w+))?", re.IGNORECASE
)
_KINDS = ("normal", "abnormal")
_ID = re.compile(r"id_([0-9A-Za-z]+)")


def mimii(root: PathLike, *, machine: str, snr_db: float, split: Split = "hitachi", seed: int = 0) -> Dataset:
    """Load MIMII at one signal-to-noise ratio.

    Parameters
    ----------
    root
        The folder in which the archives were unpacked: ``<snr>/<type>/id_XX/{normal,abnormal}/NNNNNNNN.wav``.
        The folder of an SNR may have the name of its archive (``-6_dB_fan``, with or without ``fan`` inside) or a
        name for all types (``-6_dB``, ``-6dB``, ``min6dB``). It may itself be `root`.
    machine
        The target type, such as ``"fan"``. The other types at the same SNR are the pseudo-anomalies.
    snr_db
        -6, 0 or 6 in the original.
    split
        Which normal clips of each ID are for testing. ``"hitachi"``, as in the authors' baseline: the first N
        sorted by name, where N is the number of abnormal clips. ``"random75"``: a random quarter.
    seed
        Seed of ``"random75"``; the same files are drawn on every platform.

    Returns
    -------
    Dataset
        Each file is a separate recording (`group`). The clips of MIMII have eight channels; the recipe's
        ``channel`` chooses one when they are read.

    Raises
    ------
    FileNotFoundError
        If `root` does not exist.
    DatasetError
        If there is no folder of that SNR or type (the error lists those that exist), a type has no ID folder,
        or the split leaves an ID without a normal training clip.
    ParameterError
        If `split` is neither of the two.
    """
    if split not in get_args(Split):
        raise ParameterError(f"split = {split!r}: expected one of {', '.join(get_args(Split))}")
    base = existing_folder(root)
    types = types_at(base, snr_db)
    machine = unique_type((name for name, _ in types), machine, where=f"{base} at {snr_db:g} dB")
    clips: list[Clip] = []
    notes: list[str] = []
    passed_over = outside(base, places_of(base), layout="mimii")
    for name, folder in types:
        tests = notes if name == machine else None
        clips += _read_type(name, folder, split, seed, passed_over, tests)
    return checked(machine, clips, where=base, notes=notes, passed_over=passed_over)


def every_type(
    root: PathLike, *, snr_db: float | None = None, split: Split = "hitachi", seed: int = 0
) -> tuple[list[Clip], list[PassedOver], list[str]]:
    """Return all clips of all machine types, what was passed over, and notes; see `mimii`.

    Without `snr_db` they are those at every ratio, which is their `domain`.
    """
    base = existing_folder(root)
    clips: list[Clip] = []
    notes: list[str] = []
    passed_over = outside(base, places_of(base), layout="mimii")
    for db in sorted({db for _, db, _ in snr_folders(base)}) if snr_db is None else [snr_db]:
        for name, folder in types_at(base, db):
            at_ratio = _read_type(name, folder, split, seed, passed_over, notes)
            clips += [dataclasses.replace(clip, domain=f"{db:g} dB") for clip in at_ratio]
    return clips, passed_over, notes


def _read_type(
    name: str, folder: Path, split: Split, seed: int, passed_over: list[PassedOver], tests: list[str] | None
) -> list[Clip]:
    """Return the clips of one machine type, and those for testing if `tests` takes notes on them."""
    clips: list[Clip] = []
    for id_folder, machine_id in id_folders(folder):
        listings = [_sounds(id_folder / kind) for kind in _KINDS]
        passed_over += [passed for listing in listings for passed in listing.passed_over]
        normal, abnormal = (listing.files for listing in listings)
        refuse_doubts(rows_by_name(id_folder, [*normal, *abnormal]), where=id_folder)
        train, test = _split(normal, len(abnormal), split, f"{seed}/{name}/{machine_id}")
        if normal and not train:
            raise DatasetError(
                f"{id_folder}: {len(normal)} normal and {len(abnormal)} abnormal clips: split {split!r} "
                "leaves no normal clip to train on; use split='random75'"
            )
        rows: list[tuple[Sequence[Path], Literal["train", "test"], Literal[0, 1]]] = [(train, "train", 0)]
        if tests is not None:
            rows += [(test, "test", 0), (abnormal, "test", 1)]
            if not normal:
                tests.append(f"{id_folder}: no normal clips")
        clips += [
            Clip(
                path=path,
                machine_type=name,
                machine_id=machine_id,
                split=part,
                label=label,
                group=str(path),
                label_from=f"folder {'abnormal' if label else 'normal'!r}",
                id_from=IN_FOLDER,
            )
            for paths, part, label in rows
            for path in paths
        ]
    return clips


def places_of(root: Path) -> set[Path]:
    """Return the folders in which the layout has recordings, at every SNR."""
    types = {kind for folder, _, _ in snr_folders(root) for kind in (folder, *subfolders(folder))}
    return {id_folder / kind for folder in types for id_folder, _ in id_folders(folder) for kind in _KINDS}


def snr_folders(root: Path) -> list[tuple[Path, float, str | None]]:
    """Return the folders of an SNR (`root` or inside it), the SNR, and the type if the name says one."""
    return [
        (folder, _db(match), match["type"])
        for folder in (root, *subfolders(root))
        if (match := _SNR.fullmatch(folder_name(folder)))
    ]


def holds_ids(root: Path) -> bool:
    """Return whether folders of an SNR hold folders ``id_XX``, themselves or in those of machine types."""
    return any(
        id_folders(folder) or any(id_folders(inner) for inner in subfolders(folder))
        for folder, _, _ in snr_folders(root)
    )


def types_at(root: Path, snr_db: float) -> list[tuple[str, Path]]:
    """Return the machine types at an SNR with their folders, which hold `id_XX`."""
    named = snr_folders(root)
    if not named:
        raise DatasetError(
            f"{root}: no folder of an SNR; expected names such as -6_dB_fan, 0_dB, 6dB or min6dB, found "
            f"{shortlist(p.name for p in subfolders(root)) or 'no folder'}"
        )
    at = [(folder, archive) for folder, db, archive in named if db == snr_db]
    if not at:
        ratios = ", ".join(f"{db:g}" for db in sorted({db for _, db, _ in named}))
        raise DatasetError(f"{root}: nothing at {snr_db:g} dB; found: {ratios} dB")
    types: dict[str, Path] = {}
    for folder, archive in at:
        inside = [p for p in subfolders(folder) if id_folders(p)]
        if id_folders(folder) and not archive:
            raise DatasetError(f"{folder}: holds id_XX, but its name does not say of which machine type")
        found_here = [(archive, folder)] if archive and id_folders(folder) else [(p.name, p) for p in inside]
        for name, path in found_here:
            if name in types:
                raise DatasetError(f"{root}: {name!r} at {snr_db:g} dB comes twice: {types[name]} and {path}")
            types[name] = path
    if not types:
        raise DatasetError(f"{at[0][0]}: no machine type found; expected <type>/id_XX/normal inside")
    return sorted(types.items())


def _db(match: re.Match[str]) -> float:
    negative = (match["sign"] or "").lower().startswith(("-", "m"))
    return -float(match["db"]) if negative else float(match["db"])


def id_folders(folder: Path) -> list[tuple[Path, str]]:
    """Return the folders ``id_XX`` with their IDs."""
    return [(p, match[1]) for p in subfolders(folder) if (match := _ID.fullmatch(p.name))]


def _sounds(folder: Path) -> Listing:
    return Listing.of(folder) if os.path.isdir(folder) else Listing([], [])  # noqa: PTH112 - False if it may not be seen


def _split(normal: list[Path], abnormal: int, split: Split, key: str) -> tuple[list[Path], list[Path]]:
    """Return the training and the test part of the normals of one ID."""
    if split == "hitachi":
        return normal[abnormal:], normal[:abnormal]
    drawn = set(sorted(normal, key=lambda path: rank(key, path.name))[: round(len(normal) / 4)])
    return [p for p in normal if p not in drawn], [p for p in normal if p in drawn]
