"""Which layout a folder has, and which machines it holds, from its names alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from offkey.datasets.clips import Dataset
from offkey.datasets.dcase import dcase2020, follows_names, parts_of, type_folders
from offkey.datasets.folder import folder, survey
from offkey.datasets.ids import IdFrom, parse_machine_id
from offkey.datasets.mimii import Split, holds_ids, id_folders, mimii, snr_folders, types_at
from offkey.datasets.names import Labels
from offkey.datasets.paths import PathLike, existing_folder, folder_name, sound_files
from offkey.errors import DatasetError, ParameterError

__all__ = ["Layout", "detect_layout", "list_machines", "load"]

Layout = Literal["dcase2020", "mimii", "folder"]


def detect_layout(root: PathLike) -> Layout:
    """Return the loader that a folder suits: the layout of MIMII, that of DCASE 2020, or any other.

    Names of folders alone make no public set: MIMII has folders ``id_XX`` inside those of an SNR, and DCASE 2020 has
    ``id_XX`` in its file names. A tree that lacks them is the user's own.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    DatasetError
        If it is a file.
    """
    base = existing_folder(root)
    if holds_ids(base):
        return "mimii"
    try:
        kinds = [kind for part in parts_of(base) for kind in type_folders(part)]
    except DatasetError:
        return "folder"
    return "dcase2020" if any(follows_names(kind) for kind in kinds) else "folder"


def list_machines(root: PathLike, *, layout: Layout | None = None) -> dict[str, list[str]]:
    """Return the IDs of each machine type in a folder; files without an ID count as ID ``?``.

    Parameters
    ----------
    root
        The folder.
    layout
        What `detect_layout` says, if None.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    DatasetError
        If it is a file, holds no sound file, or is not of that layout.
    """
    base = existing_folder(root)
    layout = layout or detect_layout(base)
    ids_of: dict[str, set[str]] = {}
    if layout == "dcase2020":
        for kind in (kind for part in parts_of(base) for kind in type_folders(part)):
            ids_of.setdefault(folder_name(kind), set()).update(
                parse_machine_id(p.name) or "?" for p in sound_files(kind)
            )
    elif layout == "mimii":
        for db in {db for _, db, _ in snr_folders(base)}:
            for name, path in types_at(base, db):
                ids_of.setdefault(name, set()).update(machine_id for _, machine_id in id_folders(path))
    else:
        for row in survey(base):
            ids_of.setdefault(str(row.machine_type), set()).add(row.machine_id or "?")
    return {kind: sorted(ids) for kind, ids in sorted(ids_of.items())}


def load(
    root: PathLike,
    *,
    machine: str | None = None,
    layout: Layout | Literal["auto"] = "auto",
    also: Sequence[PathLike] = (),
    eval_list: PathLike | None = None,
    snr_db: float | None = None,
    split: Split = "hitachi",
    pattern: str | None = None,
    manifest: PathLike | None = None,
    labels: Labels | None = None,
    id_from: IdFrom | None = None,
    test_fraction: float = 0.0,
    seed: int = 0,
) -> Dataset:
    """Load a folder with the loader of its layout; see `dcase2020`, `mimii` and `folder` for each parameter.

    Parameters
    ----------
    root
        The folder.
    machine
        The target type; optional if there is only one.
    layout
        Which loader; `auto` is `folder` with a pattern, manifest, `labels` or `id_from`, otherwise the result of
        `detect_layout`.

    Raises
    ------
    FileNotFoundError
        If the folder or a file that it needs does not exist.
    DatasetError
        If the folder is not of that layout, or holds several types and `machine` is not given.
    ParameterError
        If a parameter does not apply to the layout, or a required one is missing.
    """
    guessed = layout == "auto"
    if layout == "auto":
        own = pattern or manifest or labels or id_from is not None
        layout = "folder" if own else detect_layout(root)
    _refuse(layout, "folder", pattern=pattern, manifest=manifest, labels=labels or None, id_from=id_from)
    _refuse(layout, "folder", test_fraction=test_fraction or None)
    _refuse(layout, "mimii", snr_db=snr_db)
    _refuse(layout, "dcase2020", also=tuple(also) or None, eval_list=eval_list)
    if layout == "folder":
        return folder(
            root,
            pattern=pattern,
            manifest=manifest,
            machine=machine,
            labels=labels,
            id_from=id_from,
            test_fraction=test_fraction,
            seed=seed,
        )
    try:
        machine = machine or _only_machine(root, layout)
        if layout == "dcase2020":
            return dcase2020(root, machine=machine, also=list(also) or None, eval_list=eval_list)
        if snr_db is None:
            raise ParameterError(f"{root}: laid out as MIMII: expected snr_db, one of -6, 0 and 6")
        return mimii(root, machine=machine, snr_db=snr_db, split=split, seed=seed)
    except (DatasetError, ParameterError) as error:
        if not guessed:
            raise
        raise type(error)(
            f"{error}. By its names this is the layout {layout}; --layout folder reads it as a tree of your own"
        ) from None


def _refuse(layout: Layout, owner: Layout, **options: object) -> None:
    """Refuse options of another layout, which would be ignored silently."""
    for name, value in options.items():
        if value is not None and layout != owner:
            raise ParameterError(
                f"{name} = {value}: only folders of layout {owner} have it; this one is read as {layout}, which "
                f"--layout {owner} changes"
            )


def _only_machine(root: PathLike, layout: Layout) -> str:
    machines = list_machines(root, layout=layout)
    if len(machines) != 1:
        raise DatasetError(f"{root}: several machine types, {', '.join(machines)}: name one with `machine`")
    return next(iter(machines))
