"""Recordings on object storage, such as ``s3://bucket/folder``: which there are, and their bytes; through fsspec."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from offkey._util.storage import answered, storage_of
from offkey.datasets.passed_over import PassedOver, kind_of_name
from offkey.datasets.paths import passed_over_by_name
from offkey.errors import DatasetError

__all__ = ["Remote", "check_url_exists", "expand_url", "fetch"]

_MOST_BYTES = 1 << 30
"""Of one object, which is held in memory."""


class Remote(NamedTuple):
    """A recording on object storage, not fetched yet."""

    url: str
    size: int | None = None
    """In bytes, where the listing has it."""


def check_url_exists(url: str) -> None:
    """Refuse a URL that `expand_url` would refuse.

    Raises
    ------
    FileNotFoundError, MissingExtraError, ParameterError, OSError
        As `expand_url`.
    """
    storage, path = storage_of(url)
    if not storage.exists(path):
        _matches(storage, path, url)


def expand_url(url: str) -> Iterator[tuple[tuple[str, ...], Remote] | PassedOver]:
    """Yield the recordings that a URL stands for, each with the folders below it that hold it; and what is passed over.

    An object is taken whatever its name. A folder is walked as on a disk: depth first, names in the order of their
    bytes, those of one folder in memory at a time. A pattern with ``*``, ``?`` or ``[...]`` stands for the objects that
    match it.

    Raises
    ------
    FileNotFoundError
        If nothing is there.
    MissingExtraError
        If the package is not installed that knows this storage.
    ParameterError
        If no storage is known by this name.
    OSError
        If it does not answer.
    """
    storage, path = storage_of(url)
    if storage.isfile(path):
        yield (), Remote(url, storage.size(path))
    elif storage.exists(path):
        yield from _walk(storage, path, ())
    else:
        for match in _matches(storage, path, url):
            if match["type"] == "directory":
                yield from _walk(storage, match["name"], ())
            else:
                yield (), Remote(storage.unstrip_protocol(match["name"]), match.get("size"))


def _matches(storage: Any, pattern: str, url: str) -> list[dict[str, Any]]:
    """Return what matches a pattern, without what is hidden, as on a disk."""
    entries = storage.glob(pattern, detail=True) if re.search(r"[*?\[]", pattern) else {}
    names = [name for name in sorted(entries, key=os.fsencode) if not _name(name).startswith(".")]
    if not names:
        raise FileNotFoundError(f"{url}: no such object or folder, and none that matches it as a pattern")
    return [entries[name] for name in names]


def _name(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]


def _walk(
    storage: Any, folder: str, above: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Remote] | PassedOver]:
    entries = {
        _name(entry["name"]): entry
        for entry in storage.ls(folder, detail=True)
        if entry["name"].rstrip("/") != folder.rstrip("/")  # an empty object that stands for the folder
    }
    for name in sorted(entries, key=os.fsencode):
        entry = entries[name]
        is_folder = entry["type"] == "directory"
        kind = kind_of_name(name, folder=is_folder)
        if kind is not None:
            yield passed_over_by_name(storage.unstrip_protocol(entry["name"]), kind)
        elif is_folder:
            yield from _walk(storage, entry["name"], (*above, name))
        else:
            yield above, Remote(storage.unstrip_protocol(entry["name"]), entry.get("size"))


def fetch(remote: Remote) -> bytes:
    """Return the bytes of an object.

    Raises
    ------
    FileNotFoundError, PermissionError
        If it is not there any more, or not to be read; it names the URL.
    DatasetError
        If it is too large to be held in memory.
    OSError
        If the storage does not answer, after as many attempts as its package makes.
    """
    if (remote.size or 0) > _MOST_BYTES:
        raise DatasetError(
            f"{remote.url}: {remote.size:,} bytes, and an object of more than 1 GiB is not fetched into memory: "
            "copy it to a disk, and score it there"
        )
    with answered(remote.url) as (storage, path):
        content: bytes = storage.cat_file(path)
        return content
