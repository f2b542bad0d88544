"""Sound files below a folder, and what their names say."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from offkey.errors import DatasetError

__all__ = [
    "AUDIO_SUFFIXES",
    "existing_folder",
    "find_audio",
    "folder_name",
    "parse_machine_id",
    "portions",
    "rank",
    "sound_files",
    "subfolders",
]

PathLike = str | os.PathLike[str]

AUDIO_SUFFIXES = frozenset(
    {".wav", ".wave", ".rf64", ".bw64", ".flac", ".aif", ".aiff", ".aifc", ".ogg", ".oga", ".mp3"}
)
"""Endings, in lower case, of the files that count as sound files."""

_PORTION = 64  # files decoded at a time: 40 MB of 10 s clips at 16 kHz
_PORTION_BYTES = 100_000_000  # of files, whatever their number: hour-long recordings are decoded one by one

ID = re.compile(r"(?:^|(?<=[^0-9A-Za-z]))id_([0-9A-Za-z]+)")
"""A machine ID in the name of a file or folder."""


def find_audio(source: PathLike | Iterable[PathLike]) -> list[Path]:
    """Return the sound files of a folder (with its subfolders), of a file, or of a list of both.

    Parameters
    ----------
    source
        A folder, which is searched for files whose names end as in `AUDIO_SUFFIXES` (capital or small
        letters; hidden files and folders are passed over), a file, whatever its name, or a list of them.

    Returns
    -------
    list of Path
        Sorted, each file once.

    Raises
    ------
    FileNotFoundError
        If a file or folder does not exist.
    DatasetError
        If there is no sound file at all.
    """
    sources = [source] if isinstance(source, (str, os.PathLike)) else list(source)
    found: set[Path] = set()
    for item in map(Path, sources):
        if item.is_dir():
            found.update(sound_files(item))
        elif item.exists():
            found.add(item)
        else:
            raise FileNotFoundError(f"{item}: no such file or folder")
    if not found:
        given = ", ".join(str(s) for s in sources[:3]) or "an empty list"
        raise DatasetError(
            f"{given}: no sound file found; expected files that end in {', '.join(sorted(AUDIO_SUFFIXES))}"
        )
    return sorted(found)


def sound_files(folder: Path) -> list[Path]:
    """Return the sound files below a folder, sorted; links are followed, a folder is never entered twice."""
    found: list[Path] = []
    seen: set[str] = set()
    for here, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(here)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found.extend(Path(here, name) for name in names if _is_sound(name))
    return sorted(found)


def portions(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """Yield the files in portions that fit in memory once they are decoded; at least one file each."""
    portion: list[Path] = []
    size = 0
    for path in paths:
        own = path.stat().st_size if path.is_file() else 0
        if portion and (len(portion) == _PORTION or size + own > _PORTION_BYTES):
            yield portion
            portion, size = [], 0
        portion.append(path)
        size += own
    if portion:
        yield portion


def subfolders(folder: Path) -> list[Path]:
    """Return the folders directly inside a folder, sorted, without hidden ones."""
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def folder_name(folder: Path) -> str:
    """Return the name of a folder, of ``.`` and ``..`` too."""
    return folder.name if folder.name not in ("", "..") else folder.resolve().name


def existing_folder(root: PathLike) -> Path:
    """Return `root` as a Path.

    Raises
    ------
    FileNotFoundError
        If there is nothing at that path.
    DatasetError
        If it is a file.
    """
    folder = Path(root)
    if not folder.exists():
        raise FileNotFoundError(f"{folder}: no such folder")
    if not folder.is_dir():
        raise DatasetError(f"{folder}: expected a folder, given a file")
    return folder


def parse_machine_id(path: PathLike) -> str | None:
    """Return the machine ID that a path names as `id_XX`, or None.

    The file name counts first, then the folders from the nearest on; a folder only if it is named so as a whole.

    Examples
    --------
    >>> parse_machine_id("fan/test/anomaly_id_04_00000012.wav")
    '04'
    >>> parse_machine_id("0_dB_fan/fan/id_02/normal/00000000.wav")
    '02'
    >>> parse_machine_id("recordings/monday.wav") is None
    True
    """
    path = Path(path)
    in_name = ID.search(path.name)
    folders = (ID.fullmatch(folder) for folder in reversed(path.parts[:-1]))
    match = in_name or next(filter(None, folders), None)
    return match[1] if match else None


def rank(*key: str) -> bytes:
    """Return a number to sort by, the same everywhere and for ever: choosing the lowest is a random choice.

    Unlike a shuffle, the rank of one file does not depend on which other files there are.
    """
    return hashlib.blake2b("\0".join(key).encode(), digest_size=16).digest()


def _is_sound(name: str) -> bool:
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in AUDIO_SUFFIXES  # noqa: PTH122
