"""What is passed over where recordings are looked for, why, and how that is said."""

from __future__ import annotations

import dataclasses
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

from offkey._util.words import shortlist

__all__ = [
    "AUDIO_SUFFIXES",
    "Kind",
    "PassedOver",
    "PassedOverTally",
    "any_unread",
    "endings",
    "kind_of_name",
    "notes_on",
    "unreadable_folder",
]

Kind: TypeAlias = Literal[
    "file",
    "folder",
    "format",
    "unfinished",
    "special",
    "link",
    "again",
    "layout",
    "data",
    "archive",
    "hidden",
    "other",
]
"""`file`, `folder`: cannot be read. `format`: a sound format that offkey does not read. `unfinished`: a download or
copy that has not ended. `special`: a pipe, socket or device that is named as a sound file. `link`: leads nowhere.
`again`: a folder that was entered by another path. `layout`: a recording that the layout, or the pattern, has no place
for. `data`: numbers that may be signals. `archive`, `hidden`: not looked into. `other`: nothing that is named as a
recording."""

AUDIO_SUFFIXES = frozenset(
    {".wav", ".wave", ".rf64", ".bw64", ".flac", ".aif", ".aiff", ".aifc", ".ogg", ".oga", ".mp3"}
)
"""Endings, in lower case, of the files that count as sound files."""

_PLAIN = tuple(AUDIO_SUFFIXES)
_MOST_OF_GROUP, _MOST_GROUPS = 100, 1000
_MOST_NAMED = 3
_MOST_ENDINGS = 6
_UNREAD: tuple[Kind, ...] = ("file", "folder", "format", "unfinished", "special", "link")


def _suffixes(names: str) -> frozenset[str]:
    return frozenset(f".{name}" for name in names.split())


_OTHER_SOUNDS = _suffixes(
    "3gp 8svx aac ac3 adts alac amr ape au avi awb caf dff dsf dts dss eac3 gsm iff m4a m4b m4r m4v mka mkv mov mp1 "
    "mp2 mp4 mpc nist opus pcm ra ram sd2 snd sph spx tta voc vox w64 weba webm wma wmv wv"
)
_DATA = _suffixes(
    "arrow csv dat feather h5 hdf hdf5 mat mf4 mdf npy npz parquet tdms tsv uff unv xls xlsx zarr"
)
_TABLES = _suffixes("csv dat tsv xls xlsx")
_LIST = re.compile(
    r"annotation|attribute|eval|file|index|label|list|manifest|meta|result|score|split|summary"
)
"""In the name of a table that tells of recordings."""
_ARCHIVES = _suffixes("7z bz2 gz lz4 rar tar tbz tbz2 tgz txz xz zip zst")
_UNFINISHED = _suffixes("!ut aria2 crdownload download filepart opdownload part partial tmp")
_SYSTEM_FOLDERS = frozenset(
    {"__MACOSX", "$RECYCLE.BIN", "System Volume Information", "lost+found", "@eaDir", "#recycle"}
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PassedOver:
    """A file or folder that was passed over where recordings were looked for."""

    path: Path
    why: str
    kind: Kind
    count: int = 1
    """How many such there are, of which this one is named: see `PassedOverTally`."""

    @property
    def unread(self) -> bool:
        """Whether it is, holds or may be a recording that could not be read; such ones make the exit code 3."""
        return self.kind in _UNREAD


class PassedOverTally:
    """What was passed over, however much: of each kind and ending the first by name, and the others by their number."""

    def __init__(self) -> None:
        self._named: dict[Path, PassedOver] = {}
        self._counts = Counter[tuple[Kind, str]]()
        self._last: dict[tuple[Kind, str], PassedOver] = {}

    def add(self, passed: PassedOver) -> None:
        """Enter a file or folder; again, as of a folder that is listed twice, only while it is known by name."""
        if passed.path in self._named:
            return
        key = passed.kind, _shown_ending(passed.path.name)
        if key not in self._counts and len(self._counts) >= _MOST_GROUPS:
            key = passed.kind, ""
        self._counts[key] += 1
        if self._counts[key] <= _MOST_OF_GROUP:
            self._named[passed.path] = passed
        else:
            self._last[key] = passed

    def passed_over(self) -> tuple[PassedOver, ...]:
        """Return what was entered; the last of each kind and ending may stand for many."""
        rest = (
            dataclasses.replace(passed, count=self._counts[key] - _MOST_OF_GROUP)
            for key, passed in self._last.items()
        )
        return (*self._named.values(), *rest)


def any_unread(passed_over: Iterable[PassedOver]) -> bool:
    """Return whether something that may be a recording could not be read."""
    return any(passed.unread for passed in passed_over)


def unreadable_folder(error: OSError) -> PassedOver:
    """Return the folder that could not be listed."""
    return PassedOver(path=Path(os.fsdecode(error.filename)), why=error.strerror or str(error), kind="folder")


def kind_of_name(name: str, *, folder: bool) -> Kind | None:
    """Return why a file or folder is passed over by its name alone; None for a sound file, or a folder to look into."""
    if folder:
        return "hidden" if name.startswith(".") or name in _SYSTEM_FOLDERS else None
    if name.endswith(_PLAIN) and not name.startswith("."):
        return None  # as most do
    inner, ending = _endings(name)
    if name.startswith("."):
        return "hidden" if ending in AUDIO_SUFFIXES else "other"
    if ending in AUDIO_SUFFIXES:
        return None
    if inner in AUDIO_SUFFIXES | _OTHER_SOUNDS:
        return "unfinished" if ending in _UNFINISHED else "format" if ending in _ARCHIVES else "other"
    if ending in _DATA and not (ending in _TABLES and _LIST.search(name.lower())):
        return "data"
    return "format" if ending in _OTHER_SOUNDS else "archive" if ending in _ARCHIVES else "other"


def _endings(name: str) -> tuple[str, str]:
    """Return the last but one and the last ending of a name."""
    stem, ending = os.path.splitext(name.lower().rstrip())  # noqa: PTH122
    return os.path.splitext(stem)[1], ending  # noqa: PTH122


class _Words(NamedTuple):
    one: str
    many: str
    after: str = ""
    """What follows the names; `{whys}` are the reasons, `{endings}` the endings of the files."""


_WORDS: dict[Kind, _Words] = {
    "folder": _Words("folder that cannot be read", "folders that cannot be read", " ({whys})"),
    "file": _Words("file that cannot be read", "files that cannot be read"),
    "format": _Words(
        "file of a sound format that offkey does not read",
        "files of sound formats that offkey does not read",
        " ({endings}); convert them to WAV or FLAC",
    ),
    "unfinished": _Words("download or copy that has not ended", "downloads or copies that have not ended"),
    "special": _Words(
        "pipe, socket or device named as a sound file", "pipes, sockets or devices named as sound files"
    ),
    "link": _Words("link that leads nowhere", "links that lead nowhere"),
    "again": _Words(
        "link to a folder that is read by another path", "links to folders that are read by other paths"
    ),
    "layout": _Words("sound file", "sound files", " ({whys})"),
    "data": _Words(
        "data file that may hold signals",
        "data files that may hold signals",
        " ({endings}); write signals as WAV files to learn them, or score them as arrays from Python",
    ),
    "archive": _Words("archive", "archives", "; unpack recordings that are inside"),
    "hidden": _Words("hidden file or folder", "hidden files and folders"),
    "other": _Words(
        "file that is not named as a recording", "files that are not named as recordings", " ({endings})"
    ),
}
"""In the order in which they are said: those first that may be recordings."""


def notes_on(passed_over: Iterable[PassedOver], *, root: Path | None = None) -> list[str]:
    """Return a sentence for each kind of what was passed over, those first that may be recordings.

    Parameters
    ----------
    passed_over
        Files and folders; those of kind `other` are no recordings and need no word.
    root
        Paths are named below it.
    """
    by_kind: dict[Kind, list[PassedOver]] = {}
    for passed in passed_over:
        by_kind.setdefault(passed.kind, []).append(passed)
    return [
        f"passed over: {_sentence(_WORDS[kind], by_kind[kind], root)}"
        for kind in _WORDS
        if kind in by_kind and kind != "other"
    ]


def _sentence(words: _Words, members: Sequence[PassedOver], root: Path | None) -> str:
    total = sum(passed.count for passed in members)
    counted = f"{total} {words.one if total == 1 else words.many}"
    whys = "; ".join(dict.fromkeys(passed.why for passed in members[:_MOST_NAMED]))
    if members[0].kind == "file":  # why it cannot be read begins with its name
        rest = total - _MOST_NAMED
        return f"{counted}: {whys}" + (f"; and {rest} more" if rest > 0 else "")
    names = shortlist((_below(passed.path, root) for passed in members), most=_MOST_NAMED, total=total)
    return f"{counted}: {names}" + words.after.format(whys=whys, endings=endings(members))


def _below(path: Path, root: Path | None) -> str:
    return str(path.relative_to(root) if root is not None and path.is_relative_to(root) else path)


def endings(passed_over: Iterable[PassedOver]) -> str:
    """Return in words which endings files have, and how many have each."""
    counts = Counter[str]()
    for passed in passed_over:
        counts[_shown_ending(passed.path.name)] += passed.count
    return shortlist((f"{ending} {count}" for ending, count in counts.most_common()), most=_MOST_ENDINGS)


def _shown_ending(name: str) -> str:
    inner, ending = _endings(name)
    return inner + ending if inner in AUDIO_SUFFIXES | _OTHER_SOUNDS else ending or "no ending"
