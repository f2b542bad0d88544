"""Sound files below a folder, in which order."""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from offkey.errors import DatasetError

__all__ = [
    "AUDIO_SUFFIXES",
    "NO_SOUND_FILE",
    "check_exists",
    "existing_folder",
    "expand",
    "find_audio",
    "folder_name",
    "rank",
    "root_of",
    "sound_files",
    "subfolders",
    "walk",
]

PathLike = str | os.PathLike[str]

AUDIO_SUFFIXES = frozenset(
    {".wav", ".wave", ".rf64", ".bw64", ".flac", ".aif", ".aiff", ".aifc", ".ogg", ".oga", ".mp3"}
)
"""Endings, in lower case, of the files that count as sound files."""

NO_SOUND_FILE = f"no sound file found; expected files that end in {', '.join(sorted(AUDIO_SUFFIXES))}"


def find_audio(source: PathLike | Iterable[PathLike]) -> list[Path]:
    """Return the sound files of a folder (with its subfolders), of a file, of a pattern, or of a list of them.

    Parameters
    ----------
    source
        A folder, which is searched for files whose names end as in `AUDIO_SUFFIXES` (capital or small
        letters; hidden files and folders are passed over), a file, whatever its name, a pattern with ``*``,
        ``?``, ``[...]`` or ``**`` if there is no file of that very name, or a list of these.

    Returns
    -------
    list of Path
        In the order of the list, a file that is named twice twice; inside a folder depth first, names in the order
        of their bytes.

    Raises
    ------
    FileNotFoundError
        If a file or folder does not exist, or no file matches a pattern.
    OSError
        If a folder cannot be read.
    DatasetError
        If there is no sound file at all.
    """
    sources = [source] if isinstance(source, (str, os.PathLike)) else list(source)
    files = [path for item in sources for path in _without_errors(expand(item))]
    if not files:
        names = ", ".join(str(source) for source in sources[:3]) or "an empty list"
        raise DatasetError(f"{names}: {NO_SOUND_FILE}")
    return files


def expand(source: PathLike) -> Iterator[Path | OSError]:
    """Yield the sound files that one path stands for, and the error of each folder that cannot be read.

    A folder is walked, a file is taken whatever its name, and a pattern of which there is no file of that very name
    stands for all that match it, in the order of their bytes.

    Raises
    ------
    FileNotFoundError
        If a file or folder does not exist, or no file matches a pattern.
    """
    path = Path(source)
    if path.is_dir():
        yield from walk(path)
    elif path.exists():
        yield path
    else:
        for match in _matches(path):
            yield from walk(match) if match.is_dir() else [match]


def root_of(source: PathLike) -> Path:
    """Return the folder below which names count: the folder that was named, that of a file, or that of a pattern."""
    path = Path(source)
    if path.is_dir():
        return path
    if path.exists():
        return path.parent
    first = next(
        (place for place, part in enumerate(path.parts) if glob.has_magic(part)), len(path.parts) - 1
    )
    return Path(*path.parts[:first])


def check_exists(path: PathLike) -> None:
    """Refuse a path that `expand` would refuse.

    Raises
    ------
    FileNotFoundError
        As `expand`.
    """
    if not Path(path).exists():
        _matches(Path(path))


def _matches(pattern: Path) -> list[Path]:
    text = os.fspath(pattern)
    if not glob.has_magic(text):
        raise FileNotFoundError(f"{pattern}: no such file or folder")
    matches = glob.glob(text, recursive=True)  # noqa: PTH207 - an absolute pattern too
    if not matches:
        raise FileNotFoundError(f"{pattern}: no such file, and none that matches it as a pattern")
    return [Path(match) for match in sorted(matches, key=os.fsencode)]


def walk(folder: Path) -> Iterator[Path | OSError]:
    """Yield the sound files below a folder, and the error of each folder that cannot be read.

    Depth first, names in the order of their bytes; of all names only those of the folders on the way are in memory.
    Links are followed, a folder is never entered twice.
    """
    yield from _walk(folder, set())


def _walk(folder: Path, entered: set[str]) -> Iterator[Path | OSError]:
    real = os.path.realpath(folder)
    if real in entered:
        return
    entered.add(real)
    try:
        with os.scandir(folder) as listing:
            entries = sorted(listing, key=lambda entry: os.fsencode(entry.name))
    except OSError as error:
        yield error
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if _is_folder(entry):
            yield from _walk(Path(entry.path), entered)
        elif os.path.splitext(entry.name)[1].lower() in AUDIO_SUFFIXES:  # noqa: PTH122
            yield Path(entry.path)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads nowhere
        return False


def sound_files(folder: Path) -> list[Path]:
    """Return the sound files below a folder in the order of `walk`.

    Raises
    ------
    OSError
        If a folder cannot be read.
    """
    return list(_without_errors(walk(folder)))


def _without_errors(files: Iterable[Path | OSError]) -> Iterator[Path]:
    for path in files:
        if isinstance(path, OSError):
            raise path
        yield path


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


def rank(*key: str) -> bytes:
    """Return a number to sort by, the same everywhere and for ever: choosing the lowest is a random choice.

    Unlike a shuffle, the rank of one file does not depend on which other files there are.
    """
    content = "\0".join(key).encode(errors="surrogateescape")  # a file name need not be UTF-8
    return hashlib.blake2b(content, digest_size=16).digest()
