"""CSV manifests: a list of recordings, and what is known about each."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from offkey._util.csv_text import CsvText, Line, read_csv
from offkey._util.words import shortlist
from offkey.datasets.ids import nfc
from offkey.datasets.rows import Row, read_channels, read_label, read_split
from offkey.errors import DatasetError

__all__ = ["COLUMNS", "find_manifest", "read_rows"]

COLUMNS: dict[str, tuple[str, ...]] = {
    "file": ("file", "path", "filename"),
    "label": ("label",),
    "machine_type": ("machine_type", "type"),
    "machine_id": ("machine_id", "id"),
    "split": ("split",),
    "domain": ("domain",),
    "group": ("group", "recording", "source"),
    "channels": ("channel_roles", "microphones"),
}
"""What a manifest may say, and the column names for it; the first that is there counts."""

_NEEDED = ("file", "label")


def find_manifest(root: Path, manifest: str | os.PathLike[str]) -> Path:
    """Return the path of a manifest: as it is, as every other path, or else below `root`.

    Raises
    ------
    FileNotFoundError
        If it is at neither place.
    """
    path, beside = Path(manifest), root / manifest
    for candidate in (path, beside):
        if candidate.is_file():
            return candidate
    elsewhere = "" if path.is_absolute() else f", neither in the current folder nor in {root}"
    raise FileNotFoundError(f"{path}: no such manifest{elsewhere}")


def read_rows(root: Path, manifest: Path) -> list[Row]:
    """Return the rows of a manifest; file names are relative to `root`.

    Names meet their files in either form of Unicode, and with the backslashes of Windows.

    Raises
    ------
    FileNotFoundError
        If files that it names do not exist.
    DatasetError
        If it is not a CSV file, a needed column (``file``, ``label``) is missing, it has no row, or a row has
        too many or too few cells, an unknown label or split.
    """
    content = read_csv(manifest)
    header, lines = content.table()
    columns = _columns(manifest, header)
    if not lines:
        raise DatasetError(f"{manifest}: a header, but no row")
    listing = functools.cache(_listing)
    rows = [
        row if row.path.is_file() else dataclasses.replace(row, path=_located(root, row, listing))
        for row in (_row(root, manifest, line, columns, content) for line in lines)
    ]
    missing = [row.name for row in rows if not row.path.is_file()]
    if missing:
        raise FileNotFoundError(
            f"{manifest}: {len(missing)} of {len(rows)} files are not below {root}: "
            f"{shortlist(missing, most=3)}"
        )
    return rows


def _located(root: Path, row: Row, listing: Callable[[Path], Mapping[str, str]]) -> Path:
    """Return the file that a name means if it is written in another way than on the disk."""
    path = Path(os.path.normpath(row.name.replace("\\", "/")))
    known = Path(path.anchor) if path.is_absolute() else root
    for part in path.relative_to(path.anchor).parts:
        known /= listing(known).get(nfc(part), part)
    return known if known.is_file() else row.path


def _listing(folder: Path) -> dict[str, str]:
    """Return the names in a folder by how they are compared."""
    try:
        return {nfc(name): name for name in os.listdir(folder)}  # noqa: PTH208 - names as they are
    except OSError:
        return {}


def _columns(manifest: Path, header: list[str]) -> dict[str, int]:
    """Return the position of each thing that the manifest says."""
    names = [name.lower() for name in header]
    columns = {
        what: names.index(next(name for name in synonyms if name in names))
        for what, synonyms in COLUMNS.items()
        if any(name in names for name in synonyms)
    }
    missing = [" or ".join(repr(name) for name in COLUMNS[what]) for what in _NEEDED if what not in columns]
    if missing:
        raise DatasetError(
            f"{manifest}: no column {' and no column '.join(missing)}; its header is {','.join(header)!r}"
        )
    return columns


def _row(root: Path, manifest: Path, line: Line, columns: dict[str, int], content: CsvText) -> Row:
    where = f"{manifest}, line {line.number}"
    text = {what: line.cells[index].strip() for what, index in columns.items()}
    if not text["file"]:
        raise DatasetError(f"{where}: the name of the file is empty")
    name = content.file_name(text["file"], root)
    return Row(
        path=root / os.path.normpath(name),
        machine_type=nfc(text["machine_type"]) if text.get("machine_type") else None,
        machine_id=nfc(text["machine_id"]) if text.get("machine_id") else None,
        split=read_split(text.get("split", ""), where),
        label=read_label(text["label"], where),
        domain=text.get("domain") or None,
        group=text.get("group") or None,
        channels=read_channels(text.get("channels", ""), where),
        name=name,
        label_from="the manifest",
        id_from="the manifest" if text.get("machine_id") else "",
    )
