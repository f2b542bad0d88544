"""Sound files below a folder, in which order."""

from __future__ import annotations

import dataclasses
import glob
import hashlib
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Set
from pathlib import Path
from typing import Self

from offkey.datasets.passed_over import (
    AUDIO_SUFFIXES,
    Kind,
    PassedOver,
    kind_of_name,
    notes_on,
    unreadable_folder,
)
from offkey.errors import DatasetError

__all__ = [
    "NO_SOUND_FILE",
    "Listing",
    "check_exists",
    "existing_folder",
    "expand",
    "find_audio",
    "folder_name",
    "outside",
    "passed_over_by_name",
    "rank",
    "root_of",
    "subfolders",
    "walk",
]

PathLike = str | os.PathLike[str]

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
    files = [path for item in sources for path in _files(item)]
    if not files:
        names = ", ".join(str(source) for source in sources[:3]) or "an empty list"
        raise DatasetError(f"{names}: {NO_SOUND_FILE}")
    return files


def _files(source: PathLike) -> Iterator[Path]:
    for name in expand(source):
        if isinstance(name, OSError):
            raise name
        if isinstance(name, str):
            yield Path(name)


def expand(source: PathLike) -> Iterator[str | OSError | PassedOver]:
    """Yield the names of the sound files that one path stands for, and what `walk` passes over.

    A folder is walked, a file is taken whatever its name, and a pattern of which there is no file of that very name
    stands for all that match it, in the order of their bytes.

    Raises
    ------
    FileNotFoundError
        If a file or folder does not exist, or no file matches a pattern.
    """
    path = Path(source)
    if path.is_dir():
        yield from _walk(str(path), set(), frozenset())
    elif path.exists():
        yield str(path)
    else:
        for match in _matches(path):
            yield from _walk(str(match), set(), frozenset()) if match.is_dir() else [str(match)]


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


def walk(folder: Path, *, without: Collection[Path] = ()) -> Iterator[Path | OSError | PassedOver]:
    """Yield the sound files below a folder, the error of each folder that cannot be read, and all that is passed over.

    Depth first, names in the order of their bytes; of all names only those of the folders on the way are in memory.
    Links are followed, a folder is never entered twice, and those of `without` are not entered at all.
    """
    for name in _walk(str(folder), set(), frozenset(map(str, without))):
        yield Path(name) if isinstance(name, str) else name


def _walk(folder: str, entered: set[str], without: Set[str]) -> Iterator[str | OSError | PassedOver]:
    """Walk by names: a `Path` for each of a million files takes longer than all else."""
    entered.add(os.path.realpath(folder))
    try:
        with os.scandir(folder) as listing:
            entries = sorted(map(_listed, listing))
    except OSError as error:
        yield error
        return
    above = "" if folder == os.curdir else os.path.join(folder, "")  # noqa: PTH118 - text
    for entry in entries:
        name, _, what = entry.rpartition(b"\0")
        path = above + (text := os.fsdecode(name))
        kind = kind_of_name(text, folder=what == _FOLDER)
        if what == _FOLDER and kind is None:
            if path in without:
                continue
            if os.path.realpath(path) in entered:
                yield PassedOver(path=Path(path), why="it is read by another path", kind="again")
            else:
                yield from _walk(path, entered, without)
        elif kind is None and what in (_FILE, _NOTHING):
            yield path  # whoever reads it says what is wrong with it
        elif kind is None:
            yield PassedOver(path=Path(path), why="a pipe, socket or device", kind="special")
        elif kind in ("data", "other") and what == _NOTHING and not text.startswith("."):
            yield PassedOver(path=Path(path), why="the link leads nowhere", kind="link")
        else:
            yield passed_over_by_name(path, kind)


_FOLDER, _FILE, _NOTHING, _SPECIAL = b"d", b"f", b"n", b"s"


def _listed(entry: os.DirEntry[str]) -> bytes:
    """Return the name of an entry, and what it is: of a million in a folder the entries themselves take 400 MB.

    No byte that a name may have is below the one that ends it, so that the order is that of the names.
    """
    if _is(entry.is_dir):
        what = _FOLDER
    elif _is(entry.is_file):
        what = _FILE
    else:
        what = _NOTHING if _leads_nowhere(entry) else _SPECIAL
    return os.fsencode(entry.name) + b"\0" + what


def passed_over_by_name(path: str, kind: Kind) -> PassedOver:
    """Return what is passed over for its name alone."""
    return PassedOver(path=Path(path), why=_WHY[kind], kind=kind)


_WHY: dict[Kind, str] = {
    "format": "a sound format that is not read",
    "unfinished": "a download or copy that has not ended",
    "data": "a data file that may hold signals",
    "archive": "an archive",
    "hidden": "hidden",
    "other": "not named as a recording",
}


def _is(test: Callable[[], bool]) -> bool:
    try:
        return test()
    except OSError:  # a link that leads round in a circle, or into a folder that cannot be read
        return False


def _leads_nowhere(entry: os.DirEntry[str]) -> bool:
    return entry.is_symlink() and not os.path.exists(entry.path)  # noqa: PTH110


@dataclasses.dataclass(frozen=True, slots=True)
class Listing:
    """The sound files below a folder in the order of `walk`, and what was passed over."""

    files: list[Path]
    passed_over: list[PassedOver]

    @classmethod
    def of(cls, folder: Path, *, without: Collection[Path] = ()) -> Self:
        """List a folder, but for the folders `without`; one inside that cannot be read is passed over."""
        listing = cls([], [])
        for path in walk(folder, without=without):
            if isinstance(path, Path):
                listing.files.append(path)
            else:
                listing.passed_over.append(unreadable_folder(path) if isinstance(path, OSError) else path)
        return listing

    def refuse_empty(self, folder: Path) -> None:
        """Refuse a folder without a sound file.

        Raises
        ------
        DatasetError
            If there is none; it says what there is instead.
        """
        if not self.files:
            instead = "; ".join(notes_on(self.passed_over, root=folder))
            raise DatasetError(f"{folder}: {NO_SOUND_FILE}{f'; {instead}' * bool(instead)}")


def outside(folder: Path, places: Collection[Path], *, layout: str) -> list[PassedOver]:
    """Return what lies below a folder, but not in the places where its layout has recordings."""
    listing = Listing.of(folder, without=places)
    why = f"the layout {layout} has no place for it"
    return [*(PassedOver(path=path, why=why, kind="layout") for path in listing.files), *listing.passed_over]


def subfolders(folder: Path) -> list[Path]:
    """Return the folders directly inside a folder, sorted, without hidden ones; none of one that cannot be read."""
    try:
        with os.scandir(folder) as listing:
            names = [entry.name for entry in listing if _is(entry.is_dir)]
    except OSError:
        return []
    return sorted(folder / name for name in names if kind_of_name(name, folder=True) is None)


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
    OSError
        If it cannot be read.
    """
    folder = Path(root)
    if not folder.exists():
        raise FileNotFoundError(f"{folder}: no such folder")
    if not folder.is_dir():
        raise DatasetError(f"{folder}: expected a folder, given a file")
    os.scandir(folder).close()
    return folder


def rank(*key: str) -> bytes:
    """Return a number to sort by, the same everywhere and for ever: choosing the lowest is a random choice.

    Unlike a shuffle, the rank of one file does not depend on which other files there are.
    """
    content = "\0".join(key).encode(errors="surrogateescape")  # a file name need not be UTF-8
    return hashlib.blake2b(content, digest_size=16).digest()
