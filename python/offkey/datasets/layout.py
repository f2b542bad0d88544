"""Which layout a folder has, and which machines it holds, from its names alone."""

from __future__ import annotations

from typing import Literal

from offkey.datasets.dcase import parts_of, type_folders
from offkey.datasets.folder import understood
from offkey.datasets.mimii import id_folders, snr_folders, types_at
from offkey.datasets.paths import PathLike, existing_folder, folder_name, parse_machine_id, sound_files
from offkey.errors import DatasetError

__all__ = ["Layout", "detect_layout", "list_machines"]

Layout = Literal["dcase2020", "mimii", "folder"]


def detect_layout(root: PathLike) -> Layout:
    """Return the loader that a folder suits: the layout of MIMII, that of DCASE 2020, or any other.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    DatasetError
        If it is a file.
    """
    base = existing_folder(root)
    if snr_folders(base):
        return "mimii"
    try:
        parts_of(base)
    except DatasetError:
        return "folder"
    return "dcase2020"


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
    found: dict[str, set[str]] = {}
    if layout == "dcase2020":
        for kind in (kind for part in parts_of(base) for kind in type_folders(part)):
            found.setdefault(folder_name(kind), set()).update(
                parse_machine_id(p.name) or "?" for p in sound_files(kind)
            )
    elif layout == "mimii":
        for db in {db for _, db, _ in snr_folders(base)}:
            for name, path in types_at(base, db):
                found.setdefault(name, set()).update(machine_id for _, machine_id in id_folders(path))
    else:
        for row in understood(base):
            found.setdefault(row.machine_type or folder_name(base), set()).add(row.machine_id or "?")
    return {kind: sorted(ids) for kind, ids in sorted(found.items())}
