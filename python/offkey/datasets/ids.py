"""Machine IDs: where they come from, and which are none, but dates and counters."""

from __future__ import annotations

import dataclasses
import functools
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePath
from typing import Literal

from offkey._util.words import shortlist
from offkey.datasets.clips import Clip
from offkey.datasets.labels import fold, read_phrase
from offkey.datasets.rows import Row
from offkey.errors import DatasetError, ParameterError

__all__ = [
    "ID",
    "IN_FOLDER",
    "IN_NAME",
    "IN_SECTION",
    "SECTION",
    "IdCounts",
    "IdFrom",
    "check_id_from",
    "describe_ids",
    "identify",
    "identify_in",
    "marked_folder",
    "nfc",
    "parse_machine_id",
    "refuse_accidents",
    "with_ids",
]

IdFrom = int | Literal["none"]
"""Which folder below the root names the machine, 1 for the first; `none`: all are one machine."""

ID = re.compile(r"(?:^|(?<=[^0-9A-Za-z]))id_([0-9A-Za-z]+)")
"""A machine ID in the name of a file or folder."""

SECTION = re.compile(r"section_([0-9]+)_")
"""A section at the head of a file name: DCASE Task 2 has it since 2021 where it had an ID before."""

ONLY = "00"
"""The ID where nothing names one."""

IN_NAME, IN_FOLDER, FOLDERS = "id_XX in file names", "folders id_XX", "the names of folders"
IN_SECTION = "section_XX in file names"
"""Where names say an ID."""

_CLOCK = r"(?:[t_\-. ]*\d{1,2}[-_:.h ]?\d{2}(?:[-_:.m ]?\d{2})?(?:[._]\d+)?z?)?"
_MOMENTS = (
    rf"(?:19|20)\d\d[-_./ ]?(?:0?[1-9]|1[0-2])[-_./ ]?(?:0?[1-9]|[12]\d|3[01]){_CLOCK}",  # 2026-11-01, 20261101T1200
    rf"(?:0?[1-9]|[12]\d|3[01])[-_./ ](?:0?[1-9]|1[0-2])[-_./ ](?:(?:19|20)?\d\d){_CLOCK}",  # 1.11.2026
    rf"(?:0?[1-9]|1[0-2])[-_./ ](?:0?[1-9]|[12]\d|3[01])[-_./ ](?:(?:19|20)\d\d){_CLOCK}",  # 11/01/2026
    r"(?:19|20)\d\d[-_./ ](?:0[1-9]|1[0-2]|(?:kw|w|week|cw)?[-_ ]?\d\d)",  # 2026-11, 2026-W45
    r"\d{1,2}[-_:h]\d{2}[-_:m]\d{2}",  # 12-00-00
    r"1\d{9}(?:\d{3}){0,3}",  # seconds since 1970, and parts of them
    r"\d{5,}",
    r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|(?=.*\d)[0-9a-f]{16,}",  # UUIDs and hashes
    r"(?:run|day|week|month|hour|minute|shift|session|take|trial|test|measurement|recording|record|rec|clip|file|cycle|rep"
    r"|repetition|tag|woche|monat|stunde|schicht|sitzung|messung|lauf|versuch|aufnahme|datei|zyklus|jour|semaine|mesure"
    r"|dia|semana|medida|giorno|misura)s?[-_. ]*(?:no|nr)?[-_. ]*\d+",
    r"(?:mon|tues|wednes|thurs|fri|satur|sun)day|mon|tue|wed|thu|fri|sat|sun"
    r"|montag|dienstag|mittwoch|donnerstag|freitag|samstag|sonntag",
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sep(?:t(?:ember)?)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)(?:[-_ ]?(?:19|20)?\d\d)?",
)
_MOMENT = re.compile("|".join(f"(?:{moment})" for moment in _MOMENTS))
_FEWEST_ACCIDENTS = 5  # fewer IDs of a file each may be machines that were recorded once


def nfc(text: str) -> str:
    """Return a name in the form of Unicode in which names are compared."""
    return unicodedata.normalize("NFC", text)


def parse_machine_id(path: str | PurePath) -> str | None:
    """Return the machine ID that a path names as `id_XX`, or in DCASE's file names as `section_XX_...`; else None.

    The file name's `id_XX` counts first, then the folders from the nearest on, a folder only if it is named so as a
    whole, and last the section.

    Examples
    --------
    >>> parse_machine_id("fan/test/anomaly_id_04_00000012.wav")
    '04'
    >>> parse_machine_id("0_dB_fan/fan/id_02/normal/00000000.wav")
    '02'
    >>> parse_machine_id("fan/test/section_00_target_test_anomaly_0001.wav")
    '00'
    >>> parse_machine_id("recordings/monday.wav") is None
    True
    """
    path = Path(path)
    return _marked_id(path) or _section(path)


def _marked_id(path: PurePath) -> str | None:
    in_name = ID.search(path.name)
    return in_name[1] if in_name else _marked_folders(path.parts[:-1])


def _marked_folders(folders: Sequence[str]) -> str | None:
    match = next(filter(None, map(ID.fullmatch, reversed(folders))), None)
    return match[1] if match else None


def _section(path: PurePath) -> str | None:
    match = SECTION.match(path.name)
    return match[1] if match else None


def marked_folder(folder: Path) -> str | None:
    """Return the nearest folder ``id_XX`` that a folder is or lies in."""
    parts = (
        *folder.absolute().parts[:-1],
        folder.resolve().name if folder.name in ("", "..") else folder.name,
    )
    return next((part for part in reversed(parts) if ID.fullmatch(part)), None)


def identify(below: PurePath, known: Sequence[str] = ()) -> str | None:
    """Return the ID of a recording by its path below what was named.

    It is ``id_XX``, a known section, the folders that are named as a known ID, or an unknown section. Folders of a
    date count for nothing, and neither do those of a label or split. Where folders name two known IDs, they name none.
    """
    return identify_in(below.parts[:-1], below.name, tuple(known))


def identify_in(folders: tuple[str, ...], name: str, known: tuple[str, ...]) -> str | None:
    """Return the ID of a recording as `identify` does, given the folders above it and its name."""
    if in_name := ID.search(name):
        return in_name[1]
    marked, named = _ids_of_folders(folders, known)
    section = SECTION.match(name)
    if marked is not None or section is None:
        return marked or named
    return section[1] if section[1] in known else named or section[1]


@functools.lru_cache(maxsize=1024)
def _ids_of_folders(folders: tuple[str, ...], known: tuple[str, ...]) -> tuple[str | None, str | None]:
    """Return what folders are marked with, and as which known ID they are named; a folder has many recordings."""
    return _marked_folders(folders), _known_folders(folders, known) if known else None


def _known_folders(parts: Sequence[str], known: Sequence[str]) -> str | None:
    spellings = {nfc(machine_id): machine_id for machine_id in known}
    folders = [nfc(part) for part in parts if nfc(part) in spellings or _may_name(part)]
    dates = {
        level
        for first, last in _slices(len(folders), least=2)
        if _is_moment("/".join(folders[first:last]))
        for level in range(first, last)
    }
    named = [
        (first, last)
        for first, last in _slices(len(folders))
        if "/".join(folders[first:last]) in spellings and not dates.intersection(range(first, last))
    ]
    widest = max(named, key=lambda ends: ends[1] - ends[0], default=None)
    if widest is None or any(first < widest[0] or last > widest[1] for first, last in named):
        return None
    return spellings["/".join(folders[widest[0] : widest[1]])]


def _may_name(part: str) -> bool:
    phrase = read_phrase(part)
    return not phrase.speaks and phrase.split is None


def _slices(count: int, *, least: int = 1) -> Iterator[tuple[int, int]]:
    return ((first, last) for first in range(count) for last in range(first + least, count + 1))


def _is_moment(name: str) -> bool:
    """Return whether a name is that of a time or a counter, and so of no machine."""
    return _MOMENT.fullmatch(fold(name)) is not None


def check_id_from(id_from: IdFrom | None) -> None:
    """Refuse a wrong `id_from`.

    Raises
    ------
    ParameterError
        If it is neither a number from 1 on, nor `none`, nor None.
    """
    number = isinstance(id_from, int) and not isinstance(id_from, bool) and id_from >= 1
    if id_from is not None and id_from != "none" and not number:
        raise ParameterError(
            f"id_from = {id_from!r}: expected the number of a folder below the root, 1 for the first, or 'none'"
        )


def with_ids(rows: Iterable[Row], id_from: IdFrom | None, *, where: object) -> list[Row]:
    """Return rows with their IDs and types: as told, or as their names say.

    Raises
    ------
    DatasetError
        If a recording does not lie as deep as told.
    """
    if id_from == "none":
        return [dataclasses.replace(row, machine_id=ONLY, id_from="what was told") for row in rows]
    if id_from is not None:
        return [_with_folder(row, id_from, where) for row in rows]
    return [_with_named_id(row) for row in rows]


def _with_folder(row: Row, number: int, where: object) -> Row:
    folders = row.name.split("/")[:-1]
    if len(folders) < number:
        raise DatasetError(
            f"{where}: {row.name} has {len(folders)} folders above it, but folder {number} was to name its machine"
        )
    return dataclasses.replace(row, machine_id=nfc(folders[number - 1]), id_from=f"folder {number}, as told")


def _with_named_id(row: Row) -> Row:
    below = "/".join(row.folders)
    if row.machine_id is not None:
        return dataclasses.replace(row, machine_type=below or None)
    if not below:
        return dataclasses.replace(row, machine_id=ONLY, id_from="no name")
    return dataclasses.replace(row, machine_id=below, id_from=FOLDERS)


def refuse_accidents(rows: Sequence[Row], *, where: object) -> None:
    """Refuse IDs that contradict one another, or are said by accident: dates, counters, one for each file.

    Raises
    ------
    DatasetError
        With what mends it.
    """
    doubtful = [row for row in rows if row.id_doubt and row.id_from == IN_NAME]
    if doubtful:
        raise DatasetError(
            f"{where}: {len(doubtful)} recordings name two machine IDs, the first: {doubtful[0].name}: "
            f"{doubtful[0].id_doubt}; say which counts with --id N (the number of the folder; in Python: id_from=N) or "
            "a --pattern"
        )
    for source in (IN_NAME, IN_SECTION, IN_FOLDER, FOLDERS):
        recordings = [row for row in rows if row.id_from == source]
        counts = Counter(str(row.machine_id) for row in recordings)
        moments = [machine_id for machine_id in counts if _holds_moment(machine_id)]
        of_files = source in (IN_NAME, IN_SECTION)
        each = of_files and len(counts) >= _FEWEST_ACCIDENTS and 2 * len(counts) > len(recordings)
        if not each and (len(moments) < 2 or 2 * len(moments) <= len(counts)):
            continue
        what = "almost every recording has one of its own" if each else "they are dates or counters"
        raise DatasetError(
            f"{where}: the machine IDs would be {shortlist(sorted(counts), most=3)} (from {source}, as in "
            f"{recordings[0].name}), but {what}, not machines. Take all recordings of a type for one machine with --id "
            f"none (in Python: id_from='none'){_other_folder(recordings)}, or say where the ID is with a pattern such "
            "as --pattern '{machine_id}/**/*.wav'"
        )


def _holds_moment(machine_id: str) -> bool:
    folders = machine_id.split("/")
    return any(_is_moment("/".join(folders[first:last])) for first, last in _slices(len(folders)))


def _other_folder(rows: Sequence[Row]) -> str:
    """Advise the first folder that may name machines, in every row."""
    depth = min(len(row.name.split("/")) for row in rows) - 1
    for level in range(depth):
        names = {row.name.split("/")[level] for row in rows}
        if all(_may_name(name) and not _is_moment(name) for name in names):
            return f", take them from folder {level + 1} with --id {level + 1} ({shortlist(sorted(names), most=3)})"
    return ""


def describe_ids(clips: Iterable[Clip]) -> str:
    """Return in words which IDs there are, how many recordings each has, and where they come from."""
    counts = Counter((clip.id_from, clip.machine_id) for clip in clips)
    by_source: dict[str, list[str]] = {}
    for (source, machine_id), count in sorted(counts.items(), key=str):
        by_source.setdefault(source, []).append(f"{machine_id or 'none'} ({count})")
    return "; ".join(
        f"{shortlist(ids, most=12)}{f', from {source}' if source else ''}"
        for source, ids in by_source.items()
    )


class IdCounts:
    """Keeps count of scored recordings whose ID a detector does not know, or could not see."""

    def __init__(self, known: Sequence[str]) -> None:
        self._known = known
        self._unknown: Counter[str] = Counter()
        self._unread: Counter[str] = Counter()

    def count(self, machine_id: str | None, unread_folder: str | None) -> None:
        """Enter one recording: its ID, and a folder ``id_XX`` above what was named."""
        if machine_id is not None and machine_id not in self._known:
            self._unknown[machine_id] += 1
        if unread_folder is not None and unread_folder.removeprefix("id_") in self._known:
            self._unread[unread_folder] += 1

    def join(self, others: IdCounts) -> None:
        """Enter what was counted elsewhere."""
        self._unknown += others._unknown
        self._unread += others._unread

    def notes(self) -> list[str]:
        """Return a sentence for each kind of trouble."""
        notes = []
        if self._unknown:
            several = len(self._unknown) > 1
            ids = shortlist(map(repr, sorted(self._unknown)), most=3)
            notes.append(
                f"ID{'s' * several} {ids} {'are' if several else 'is'} not known to the detector, which knows "
                f"{', '.join(self._known)}: {_recordings(self._unknown.total())} scored as the ID that each is nearest "
                "to (column scored_as)"
            )
        if len(self._known) > 1:
            notes += [
                f"{_recordings(count)} in {folder}, which says no ID, since only folders below what is named do: name "
                f"the folder that holds {folder} in place of it or of the files in it, or give "
                f"machine_id={folder.removeprefix('id_')!r} for these recordings alone"
                for folder, count in sorted(self._unread.items())
            ]
        return notes


def _recordings(count: int) -> str:
    return f"{count} recording{'s' * (count != 1)}"
