"""Sound files below a folder, and what their names say."""

from __future__ import annotations

import hashlib
import math
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from offkey.errors import DatasetError, OffkeyError
from offkey.signal.audio import info

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

_PORTION_FILES = 64  # decoded at a time: 40 MB of 10 s clips at 16 kHz
_PORTION_BYTES = (
    100_000_000  # of decoded samples, whatever the number of files: long recordings come one by one
)
_LEAST_BYTES_PER_SECOND = 1000  # of a coded file whose header has no length: MP3 of 8 kbit/s

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


def portions(paths: Sequence[Path], *, sample_rate: int | None = None) -> Iterator[list[Path]]:
    """Yield the files in portions whose decoded channel fits in memory; at least one file each.

    How long a recording is, its header says; of one that has no length there, it is at most what its size allows.

    Parameters
    ----------
    paths
        The files; one that cannot be read counts as empty, since whoever reads it will say so.
    sample_rate
        Rate in Hz that they are resampled to; None: none.
    """
    portion: list[Path] = []
    portion_bytes = 0
    for path in paths:
        decoded_bytes = _decoded_bytes(path, sample_rate)
        if portion and (len(portion) == _PORTION_FILES or portion_bytes + decoded_bytes > _PORTION_BYTES):
            yield portion
            portion, portion_bytes = [], 0
        portion.append(path)
        portion_bytes += decoded_bytes
    if portion:
        yield portion


def _decoded_bytes(path: Path, sample_rate: int | None) -> int:
    """Return how many bytes of float32 one channel of a file has at most; 0 if it cannot be read."""
    try:
        header = info(path)
        duration_s = header.duration_s
        if duration_s is None:
            duration_s = path.stat().st_size / _LEAST_BYTES_PER_SECOND
    except (OffkeyError, OSError):
        return 0
    return math.ceil(4 * duration_s * (sample_rate or header.sample_rate))


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
