"""What the names of folders and files say of recordings, all below one root; nothing above it counts.

The evidence on each recording is read from every folder below the root and from the file name. It settles a label only
where nothing in it speaks against; what it does not settle is refused, and whoever knows it tells it.
"""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from offkey._util.words import shortlist
from offkey.datasets.ids import ID, IN_FOLDER, IN_NAME, IN_SECTION, SECTION, nfc
from offkey.datasets.labels import LABEL_NAMES, Label, Phrase, read_phrase
from offkey.datasets.rows import Row, read_label
from offkey.errors import DatasetError, ParameterError

__all__ = ["NOTHING", "Labels", "label_notes", "refuse_doubts", "rows_by_name", "tell"]

Labels = Mapping[str, str | int]
"""Patterns of names or paths below the root, and the label that each tells."""

NOTHING = "nothing"
"""The source of a label or an ID that no name says."""

_BESIDE = "beside a folder of healthy ones"


def rows_by_name(base: Path, files: Iterable[Path]) -> list[Row]:
    """Return a row for each file below `base`: split, label, marked ID, and the folders that say none of these."""
    rows = [_read(path, path.relative_to(base)) for path in files]
    parents = {parent for row in rows for parent in _parents_of_healthy_folders(row)}
    rows = [_as_fault(row, parents) if _may_be_fault(row) else row for row in rows]
    parents |= {tuple(_parts(row)) for row in rows if read_phrase(Path(row.name).stem).label == 0}
    return [_as_doubtful(row) if _is_silent(row) and tuple(_parts(row)) in parents else row for row in rows]


def _read(path: Path, relative: Path) -> Row:
    splits: set[str] = set()
    said: list[tuple[str, Phrase]] = []
    marked: dict[str, str] = {}
    folders = []
    for part in relative.parts[:-1]:
        phrase, match = read_phrase(part), ID.fullmatch(part)
        if phrase.split:
            splits.add(phrase.split)
        if phrase.speaks:
            said.append((f"folder {part!r}", phrase))
            match = ID.search(part) if phrase.label is not None else None
        elif not match and not phrase.split:
            folders.append(nfc(part))
        if match:
            marked[IN_FOLDER] = match[1]
    if in_name := ID.search(relative.name):
        marked[IN_NAME] = in_name[1]
    elif not marked and (section := SECTION.match(relative.name)):
        marked[IN_SECTION] = section[1]
        folders = [name for name in folders if f"{name}_" != section[0]]
    said.append(("the file name", read_phrase(relative.stem)))
    label, label_from, doubt = _settle(said)
    split: Literal["train", "test"] | None = (
        "test" if "test" in splits else "train" if "train" in splits else None
    )
    # a test clip that says nothing may be either; anything else that says nothing is taken for healthy
    silent = label is None and not doubt
    if silent and split != "test":
        label = 0
    id_from = next(iter(reversed(marked)), "")
    id_doubt = ""
    if len(set(marked.values())) > 1:
        id_doubt = f"its folder says ID {marked[IN_FOLDER]}, its name {marked[IN_NAME]}"
    return Row(
        path=path,
        name=relative.as_posix(),
        machine_id=marked.get(id_from),
        split=split,
        label=label,
        label_known=not silent or split != "test",
        label_from=NOTHING if silent else label_from,
        id_from=id_from,
        doubt=doubt,
        id_doubt=id_doubt,
        folders=tuple(folders),
    )


def _settle(said: Sequence[tuple[str, Phrase]]) -> tuple[Label | None, str, str]:
    """Return the label that names settle, which of them said it, and why they settle none."""
    decided: dict[Label, str] = {}
    for where, phrase in said:
        if phrase.label is not None:
            decided.setdefault(phrase.label, where)
    undecided = [(where, phrase) for where, phrase in said if phrase.undecided]
    if len(decided) == 2:
        return None, "", f"{decided[0]} says healthy, but {decided[1]} faulty"
    if 1 in decided:
        return 1, decided[1], ""
    if 0 in decided:
        against = next((where for where, phrase in undecided if 1 in phrase.mentions), None)
        if against:
            return None, "", f"{decided[0]} says healthy, but {against} speaks of a fault"
        return 0, decided[0], ""
    if undecided:
        return None, "", f"{undecided[0][0]} speaks of a state, but does not say whether healthy or faulty"
    return None, "", ""


def _parts(row: Row) -> list[str]:
    return row.name.split("/")[:-1]


def _parents_of_healthy_folders(row: Row) -> list[tuple[str, ...]]:
    parts = _parts(row)
    return [tuple(parts[:level]) for level, part in enumerate(parts) if read_phrase(part).label == 0]


def _may_be_fault(row: Row) -> bool:
    """Return whether nothing but faults, if anything, is named: such a row is a fault beside healthy ones."""
    if not row.doubt and row.label_from != NOTHING:
        return False
    phrases = [read_phrase(part) for part in (*_parts(row), Path(row.name).stem)]
    spoken = [phrase for phrase in phrases if phrase.speaks]
    return all(phrase.names_fault for phrase in spoken)


def _as_fault(row: Row, healthy_parents: set[tuple[str, ...]]) -> Row:
    """Take a folder beside one of healthy recordings, which says nothing else, for a kind of fault."""
    parts = _parts(row)
    for level, part in enumerate(parts):
        phrase = read_phrase(part)
        if tuple(parts[:level]) in healthy_parents and not phrase.split and not ID.fullmatch(part):
            folders = tuple(name for name in row.folders if name != nfc(part))
            return dataclasses.replace(
                row,
                label=1,
                label_known=True,
                label_from=f"folder {part!r} {_BESIDE}",
                doubt="",
                folders=folders,
            )
    return row


def _is_silent(row: Row) -> bool:
    return row.label_from == NOTHING and row.label == 0


def _as_doubtful(row: Row) -> Row:
    """Return a row that says nothing in a folder where others say healthy: it may be what the others are not."""
    doubt = "says nothing, in a folder where other names say healthy"
    return dataclasses.replace(row, label=None, label_known=True, label_from="", doubt=doubt)


def tell(rows: Iterable[Row], labels: Labels | None, *, where: object) -> list[Row]:
    """Return rows with the labels that the user tells.

    Parameters
    ----------
    rows
        What names say.
    labels
        Pattern (``*``, ``?``, ``[...]``) of a folder, of a file name with or without its ending, or of a path below the
        root, and a word for healthy or faulty; capital letters and forms of Unicode make no difference. Of several
        patterns that match the last one counts.
    where
        The root.

    Raises
    ------
    ParameterError
        If a word is not understood, or a pattern matches nothing.
    """
    rows = list(rows)
    for pattern, text in (labels or {}).items():
        label = _told_label(pattern, text)
        matches = [_matches(row, pattern) for row in rows]
        if not any(matched is not None for matched in matches):
            raise ParameterError(
                f"label {pattern}={text}: no folder, file name or path below {where} matches {pattern!r}; there are "
                f"{shortlist((row.name for row in rows), most=3) or 'no recordings'}"
            )
        rows = [
            row if folder is None else _told(row, label, pattern, folder)
            for row, folder in zip(rows, matches, strict=True)
        ]
    return rows


def _told_label(pattern: str, text: str | int) -> Label:
    try:
        label = read_label(str(text), f"label {pattern}={text}")
    except DatasetError as error:
        raise ParameterError(str(error)) from None
    if label is None:
        raise ParameterError(f"label {pattern}: expected healthy or faulty after the pattern, given nothing")
    return label


def _matches(row: Row, pattern: str) -> str | None:
    """Return the folder that a pattern matches; an empty text where it matches the name or the path."""
    wanted = nfc(pattern).casefold().strip("/")
    path = Path(row.name)
    for folder in path.parts[:-1]:
        if _like(folder, wanted):
            return folder
    return "" if any(_like(text, wanted) for text in (path.name, path.stem, row.name)) else None


def _like(text: str, wanted: str) -> bool:
    name = nfc(text).casefold()
    return name == wanted or fnmatch.fnmatchcase(name, wanted)


def _told(row: Row, label: Label, pattern: str, folder: str) -> Row:
    """Return a row as it is told to be; a folder of faults is no machine's."""
    folders = tuple(name for name in row.folders if not (label == 1 and name == nfc(folder)))
    return dataclasses.replace(
        row,
        label=label,
        label_known=True,
        label_from=f"told: {pattern}={LABEL_NAMES[label]}",
        doubt="",
        folders=folders,
    )


def refuse_doubts(rows: Sequence[Row], *, where: object) -> None:
    """Refuse recordings whose names contradict one another, or speak of a state without saying which.

    Raises
    ------
    DatasetError
        With how many there are, the first of them, and what mends it.
    """
    doubtful = [row for row in rows if row.doubt]
    if not doubtful:
        return
    shown = "; ".join(f"{row.name}: {row.doubt}" for row in _one_of_each(doubtful)[:3])
    raise DatasetError(
        f"{where}: the names of {len(doubtful)} of {len(rows)} recordings do not settle whether they are healthy or "
        f"faulty ({shown}). Say it with --label 'PATTERN=healthy' or --label 'PATTERN=faulty' for names or paths (in "
        "Python: labels={'PATTERN': 'faulty'}), with a --pattern that has {label}, or with a --manifest; nothing is "
        "learned from what may be faulty"
    )


def _one_of_each(rows: Iterable[Row]) -> list[Row]:
    return list({row.doubt: row for row in reversed(list(rows))}.values())[::-1]


def label_notes(rows: Sequence[Row]) -> list[str]:
    """Say what was taken for granted: kinds of fault, and recordings that say nothing beside some that do."""
    notes = []
    kinds = sorted({row.label_from for row in rows if row.label_from.endswith(_BESIDE)})
    if kinds:
        count = sum(row.label_from in kinds for row in rows)
        names = shortlist(kind.removesuffix(f" {_BESIDE}").removeprefix("folder ") for kind in kinds)
        notes.append(
            f"{count} recordings are taken for faulty: their folders ({names}) lie {_BESIDE}; tell it with labels if "
            "that is wrong"
        )
    silent = [row for row in rows if _is_silent(row)]
    healthy = [row for row in rows if row.label_from != NOTHING and row.label == 0]
    if silent and healthy:
        notes.append(
            f"{len(silent)} recordings say nothing of their state, beside {len(healthy)} that say healthy, and are "
            f"taken for healthy: {shortlist((row.name for row in silent), most=3)}"
        )
    return notes
