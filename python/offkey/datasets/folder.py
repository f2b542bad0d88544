"""Any folder of recordings: by its folder names, by a pattern of its file names, or by a CSV manifest."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Literal

from offkey.datasets import manifest as manifests
from offkey.datasets.checks import checked, shortlist, unique_type
from offkey.datasets.clips import Clip, Dataset
from offkey.datasets.manifest import LABEL_NAMES, LABELS, Row, read_label, read_split
from offkey.datasets.paths import ID, PathLike, existing_folder, folder_name, rank, sound_files
from offkey.errors import DatasetError, ParameterError

__all__ = ["folder", "rows_by_name"]

_FIELDS = ("machine_type", "machine_id", "split", "label", "domain", "group")
_WORD = re.compile(r"[a-z]+")
_TOKEN = re.compile(r"\{(\w+)\}|(\*\*/?)|(\*)|(\?)|([^{*?]+)|(\{)")


def folder(
    root: PathLike,
    *,
    pattern: str | None = None,
    manifest: PathLike | None = None,
    machine: str | None = None,
    test_fraction: float = 0.0,
    seed: int = 0,
) -> Dataset:
    """Load recordings from a folder of any layout.

    Parameters
    ----------
    root
        The folder.
    pattern
        Pattern of the file paths below `root`, with ``/`` between folders: the fields
        ``{machine_type}``, ``{machine_id}``, ``{split}`` (train, test), ``{label}`` (normal, anomaly,
        abnormal, 0, 1), ``{domain}`` and ``{group}``; ``*`` and ``?`` inside a name, ``**/`` for any folders.
        Example: ``"{machine_type}/{split}/{label}_id_{machine_id}_*.wav"``. Files that do not match are left
        out, with a note.
    manifest
        A CSV file (relative to `root`, or absolute) with a header and the columns ``file`` (or ``path``;
        relative to `root`), ``label`` and, where known, ``machine_type`` (``type``), ``machine_id`` (``id``),
        ``split``, ``domain``, ``group`` (``recording``, ``source``). Other columns are ignored.
    machine
        The target type; optional if there is only one. If the files do not say their type, this is its name
        (default: the name of the folder).
    test_fraction
        In [0, 1). If the files do not say their split, anomalies are for testing and normals for training,
        except this fraction of the normals of each ID, drawn at random by `seed`; recordings are never split.
        With the default no normal clip is tested, so there is no AUC.
    seed
        See `test_fraction`.

    Returns
    -------
    Dataset
        Without pattern and manifest, split, label, ID and type come from plain folder and file names: a folder
        ``train`` or ``test`` is the split; a folder ``normal``, ``anomaly`` or ``abnormal``, or that word in
        the file name, is the label; ``id_XX`` is the ID, and the remaining folder the machine type; without
        ``id_XX`` that folder is the ID. So a plain folder of sound files is one machine of one ID (``00``),
        all normal. Without a column or field for the group, each file is a separate recording.

    Raises
    ------
    FileNotFoundError
        If the folder or the manifest does not exist, or the manifest names files that do not.
    DatasetError
        If there is no sound file, no match, no normal training clip, no such machine type (those found are
        named), a needed column is missing, a row is malformed or a file comes twice.
    ParameterError
        If `pattern` is malformed, both `pattern` and `manifest` are given, or `test_fraction` is out of
        range.
    """
    if pattern is not None and manifest is not None:
        raise ParameterError("pattern and manifest: expected one of the two, given both")
    if not 0.0 <= test_fraction < 1.0:
        raise ParameterError(f"test_fraction = {test_fraction}: expected at least 0 and less than 1")
    base = existing_folder(root)
    notes: list[str] = []
    if manifest is not None:
        rows = manifests.read_rows(base, base / manifest)
    elif pattern is not None:
        rows = _match(base, pattern, notes)
    else:
        rows = rows_by_name(base)
    unnamed = machine if machine is not None else folder_name(base)
    rows = [dataclasses.replace(row, machine_type=row.machine_type or unnamed) for row in rows]
    target = unique_type([str(row.machine_type) for row in rows], machine, where=base)
    return checked(target, _assign_splits(rows, test_fraction, seed), where=base, notes=notes)


def _all_sounds(base: Path) -> list[Path]:
    files = sound_files(base)
    if not files:
        raise DatasetError(f"{base}: no sound file in it; expected WAV, FLAC, AIFF, Ogg or MP3 files")
    return files


def _match(base: Path, pattern: str, notes: list[str]) -> list[Row]:
    expression = _compile(pattern)
    files = _all_sounds(base)
    rows, strangers = [], []
    for path in files:
        relative = path.relative_to(base).as_posix()
        match = expression.fullmatch(relative)
        if not match:
            strangers.append(relative)
            continue
        fields = match.groupdict()
        where = f"{path} by pattern {pattern!r}"
        rows.append(
            Row(
                path=path,
                name=relative,
                machine_type=fields.get("machine_type"),
                machine_id=fields.get("machine_id"),
                split=read_split(fields["split"], where) if "split" in fields else None,
                label=read_label(fields["label"], where) if "label" in fields else None,
                label_known="label" in fields,
                domain=fields.get("domain"),
                group=fields.get("group"),
            )
        )
    if not rows:
        raise DatasetError(
            f"{base}: none of the {len(files)} sound files matches pattern {pattern!r}; files there: "
            f"{shortlist(strangers, most=3)}"
        )
    if strangers:
        notes.append(f"{len(strangers)} sound files do not match the pattern: {shortlist(strangers, most=3)}")
    return rows


def _compile(pattern: str) -> re.Pattern[str]:
    """Return the regular expression of a pattern."""
    parts, used = [], set()
    for name, anywhere, star, one, text, brace in _TOKEN.findall(pattern):
        if brace or (name and (name not in _FIELDS or name in used)):
            known = ", ".join("{" + field + "}" for field in _FIELDS)
            raise ParameterError(
                f"pattern {pattern!r}: {'{' + name + '}' if name else 'a brace'} not understood; expected "
                f"each of {known} at most once"
            )
        used.add(name)
        if name:
            parts.append(f"(?P<{name}>[^/]+?)")
        elif anywhere:
            parts.append("(?:.*/)?" if anywhere == "**/" else ".*")
        else:
            parts.append("[^/]*" if star else "[^/]" if one else re.escape(text))
    return re.compile("".join(parts))


def rows_by_name(base: Path) -> list[Row]:
    """Return a row for each sound file below a folder, from plain folder and file names."""
    return [_understand(base, path) for path in _all_sounds(base)]


def _understand(base: Path, path: Path) -> Row:
    """Read split, label, ID and type from plain folder and file names (see `folder`)."""
    relative = path.relative_to(base)
    split: Literal["train", "test"] | None = None
    label: Literal[0, 1] | None = None
    machine_id: str | None = None
    remaining: list[str] = []
    for part in relative.parts[:-1]:
        match = ID.fullmatch(part)
        if part.lower() in ("train", "test"):
            split = read_split(part, path)
        elif part.lower() in LABEL_NAMES:
            label = read_label(part, path)
        elif match:
            machine_id = match[1]
        else:
            remaining.append(part)
    said = {LABELS[word] for word in _WORD.findall(path.stem.lower()) if word in LABEL_NAMES}
    if len(said) == 1:
        label = said.pop()
    if in_name := ID.search(path.name):
        machine_id = in_name[1]
    kind = None
    if machine_id is None:
        machine_id = "/".join(remaining) or "00"
    elif remaining:
        kind = "/".join(remaining)
    # a test clip that says nothing may be either; anything else that says nothing is taken for normal
    known = label is not None or split != "test"
    return Row(
        path=path,
        name=relative.as_posix(),
        machine_type=kind,
        machine_id=machine_id,
        split=split,
        label=0 if label is None and known else label,
        label_known=known,
    )


def _assign_splits(rows: list[Row], test_fraction: float, seed: int) -> list[Clip]:
    rows = [_default_label(row) for row in rows]
    drawn = _draw([row for row in rows if row.split is None and row.label == 0], test_fraction, seed)
    return [
        Clip(
            path=row.path,
            machine_type=str(row.machine_type),
            machine_id=row.machine_id,
            split=row.split or ("train" if row.label == 0 and row.key not in drawn else "test"),
            label=row.label,
            domain=row.domain,
            group=row.group or str(row.path),
        )
        for row in rows
    ]


def _default_label(row: Row) -> Row:
    """Take clips for normal where a layout has no labels at all, unless they are test clips."""
    if row.label_known or row.split == "test":
        return row
    return dataclasses.replace(row, label=0)


def _draw(rows: list[Row], fraction: float, seed: int) -> set[tuple[str, ...]]:
    """Return the recordings to test on: of each ID the nearest to `fraction` of its clips, never all."""
    by_id: dict[tuple[str, str], dict[tuple[str, ...], int]] = {}
    for row in rows:
        groups = by_id.setdefault((str(row.machine_type), str(row.machine_id)), {})
        groups[row.key] = groups.get(row.key, 0) + 1
    drawn: set[tuple[str, ...]] = set()
    for groups in by_id.values():
        wanted, taken = fraction * sum(groups.values()), 0
        for key in sorted(groups, key=lambda key: rank(str(seed), *key))[:-1]:
            if taken + groups[key] / 2 > wanted:
                break
            taken += groups[key]
            drawn.add(key)
    return drawn
