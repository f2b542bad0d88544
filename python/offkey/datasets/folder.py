"""Any folder of recordings: by its folder names, by a pattern of its file names, or by a CSV manifest."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from offkey._util.words import shortlist
from offkey.datasets import manifest as manifests
from offkey.datasets.checks import checked, unique_type
from offkey.datasets.clips import Clip, Dataset
from offkey.datasets.ids import IdFrom, check_id_from, nfc, refuse_accidents, with_ids
from offkey.datasets.labels import read_phrase
from offkey.datasets.names import NOTHING, Labels, label_notes, refuse_doubts, rows_by_name, tell
from offkey.datasets.passed_over import PassedOver
from offkey.datasets.paths import Listing, PathLike, existing_folder, folder_name, rank
from offkey.datasets.rows import Row, read_label, read_split
from offkey.errors import DatasetError, ParameterError

__all__ = ["Tree", "check_options", "folder", "read_tree", "tree_by_names", "type_of_root"]

_FIELDS = ("machine_type", "machine_id", "split", "label", "domain", "group")
_TOKEN = re.compile(r"\{(\w+)\}|(\*\*/?)|(\*)|(\?)|([^{*?]+)|(\{)")
_UNNAMED_TYPE = "machine"


def folder(
    root: PathLike,
    *,
    pattern: str | None = None,
    manifest: PathLike | None = None,
    machine: str | None = None,
    labels: Labels | None = None,
    id_from: IdFrom | None = None,
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
        ``{machine_type}``, ``{machine_id}``, ``{split}`` (train, test), ``{label}`` (any word for healthy or faulty, 0,
        1), ``{domain}`` and ``{group}``; ``*`` and ``?`` inside a name, ``**/`` for any folders.
        Example: ``"{machine_type}/{split}/{label}_id_{machine_id}_*.wav"``. Files that do not match are left
        out, with a note. Without ``{label}`` names say the label, as they do without a pattern.
    manifest
        A CSV file with a header and the columns ``file`` (or ``path``; relative to `root`), ``label`` and, where known,
        ``machine_type`` (``type``), ``machine_id`` (``id``), ``split``, ``domain``, ``group`` (``recording``,
        ``source``), ``channel_roles`` (``microphones``; ``near,far`` or ``far,near``). Other columns are ignored. If
        there is no such file, it is looked for in `root`.
    machine
        The target type; optional if there is only one. If the files do not say their type, this is its name
        (default: the name of the folder, or ``machine`` if that speaks of a label or split).
    labels
        What names mean where they do not say it, or say it wrongly: a pattern (``*``, ``?``) of a folder, a file name
        or a path below `root`, and ``"healthy"`` or ``"faulty"``. Of several that match the last one counts.
    id_from
        The number of the folder below `root` that names the machine, 1 for the first; ``"none"``: all recordings of
        a type are of one machine.
    test_fraction
        In [0, 1]. If the files do not say their split, anomalies are for testing and normals for training,
        except this fraction of the normals of each ID, drawn at random by `seed`; recordings are never split.
        With the default no normal clip is tested, so there is no AUC; with 1 all are, and none is left to learn from.
    seed
        See `test_fraction`.

    Returns
    -------
    Dataset
        Without pattern and manifest, names below `root` are read (docs/data.md has the rules): a folder ``train`` or
        ``test`` is the split; words for healthy and faulty, in the name of any folder or of the file, are the label;
        ``id_XX``, or ``section_XX`` at the head of a file name, is the ID, and the remaining folders the machine type;
        without it they are the ID. So a plain folder of sound files is one machine of one ID (``00``), all healthy.
        Without a column or field for the group, each file is a separate recording.

    Raises
    ------
    FileNotFoundError
        If the folder or the manifest does not exist, or the manifest names files that do not.
    DatasetError
        If there is no sound file, no match, no normal training clip, no such machine type (those found are
        named), names contradict one another or do not settle a label, IDs are dates or counters, a needed column is
        missing, a row is malformed or a file comes twice.
    ParameterError
        If `pattern` is malformed, both `pattern` and `manifest` are given, `labels` match nothing, are told beside
        a manifest or a pattern that says them (and so for `id_from`), or `test_fraction` is out of range.
    """
    check_options(pattern, manifest, labels, id_from, test_fraction)
    base = existing_folder(root)
    tree = read_tree(base, pattern=pattern, manifest=manifest, labels=labels, id_from=id_from)
    clips = tree.clips(machine or type_of_root(base), test_fraction=test_fraction, seed=seed)
    target = unique_type((clip.machine_type for clip in clips), machine, where=base)
    return checked(target, clips, where=base, notes=tree.notes, passed_over=tree.passed_over)


@dataclasses.dataclass(frozen=True, slots=True)
class Tree:
    """All recordings below a folder."""

    rows: list[Row]
    passed_over: list[PassedOver]
    notes: list[str]

    def clips(self, unnamed_type: str, *, test_fraction: float, seed: int) -> list[Clip]:
        """Return the recordings with their types, labels and splits."""
        return _assign_splits(_with_types(self.rows, unnamed_type), test_fraction, seed)


def read_tree(
    base: Path,
    *,
    pattern: str | None = None,
    manifest: PathLike | None = None,
    labels: Labels | None = None,
    id_from: IdFrom | None = None,
) -> Tree:
    """Return what names, a pattern or a manifest say of the recordings below a folder; see `folder`."""
    if manifest is not None:
        rows = manifests.read_rows(base, manifests.find_manifest(base, manifest))
        return Tree(rows, [], label_notes(rows))
    listing = Listing.of(base)
    listing.refuse_empty(base)
    passed_over = listing.passed_over
    files = listing.files
    rows = rows_by_name(base, files) if pattern is None else _match(base, files, pattern, passed_over)
    rows = tell(rows, labels, where=base)
    if pattern is None or id_from is not None:
        rows = with_ids(rows, id_from, where=base)
    _refuse_root(rows, base)
    refuse_doubts(rows, where=base)
    refuse_accidents(rows, where=base)
    return Tree(rows, passed_over, label_notes(rows))


def tree_by_names(base: Path) -> Tree:
    """Return what names alone say of the recordings below a folder, whether that is enough to learn from or not."""
    listing = Listing.of(base)
    listing.refuse_empty(base)
    return Tree(with_ids(rows_by_name(base, listing.files), None, where=base), listing.passed_over, [])


def check_options(
    pattern: str | None,
    manifest: PathLike | None,
    labels: Labels | None,
    id_from: IdFrom | None,
    test_fraction: float,
) -> None:
    """Refuse parameters that are out of range or say the same thing twice."""
    if pattern is not None and manifest is not None:
        raise ParameterError("pattern and manifest: expected one of the two, given both")
    if not 0.0 <= test_fraction <= 1.0:
        raise ParameterError(f"test_fraction = {test_fraction}: expected at least 0 and at most 1")
    check_id_from(id_from)
    for name, value, field in (("labels", labels, "{label}"), ("id_from", id_from, "{machine_id}")):
        if value and manifest is not None:
            raise ParameterError(
                f"{name} = {value}: the manifest says it; expected one of the two, given both"
            )
        if value and pattern is not None and field in pattern:
            raise ParameterError(
                f"{name} = {value}: the pattern has {field}; expected one of the two, given both"
            )


def type_of_root(base: Path) -> str:
    """Return the machine type of recordings that name none: the name of their folder, unless that is a label's."""
    name = nfc(folder_name(base))
    phrase = read_phrase(name)
    return _UNNAMED_TYPE if phrase.speaks or phrase.split else name


def _refuse_root(rows: list[Row], base: Path) -> None:
    """Refuse a folder that is itself named for faults, where nothing in it says otherwise."""
    name = folder_name(base)
    if read_phrase(name).label == 1 and any(
        row.label_from == NOTHING and row.split != "test" for row in rows
    ):
        raise DatasetError(
            f"{base}: the name of the folder says faulty, and nothing in it says otherwise; a detector learns from "
            "healthy recordings. If these are healthy, say so with --label '*=healthy' (in Python: labels={'*': "
            "'healthy'})"
        )


def _with_types(rows: list[Row], unnamed: str) -> list[Row]:
    return [dataclasses.replace(row, machine_type=row.machine_type or unnamed) for row in rows]


def _match(base: Path, files: list[Path], pattern: str, passed_over: list[PassedOver]) -> list[Row]:
    expression = _compile(nfc(pattern))
    matches = {path: expression.fullmatch(nfc(path.relative_to(base).as_posix())) for path in files}
    strangers = [path for path, match in matches.items() if match is None]
    if len(strangers) == len(files):
        names = (path.relative_to(base).as_posix() for path in strangers)
        raise DatasetError(
            f"{base}: none of the {len(files)} sound files matches pattern {pattern!r}; files there: "
            f"{shortlist(names, most=3)}"
        )
    why = f"does not match pattern {pattern!r}"
    passed_over += [PassedOver(path=path, why=why, kind="layout") for path in strangers]
    by_name = rows_by_name(base, [path for path, match in matches.items() if match is not None])
    return [
        _with_fields(row, match.groupdict(), f"{row.path} by pattern {pattern!r}")
        for row in by_name
        if (match := matches[row.path])
    ]


def _with_fields(row: Row, fields: dict[str, str], where: str) -> Row:
    """Return a row with what a pattern says of it; what names say beside it is their label alone."""
    said = dataclasses.replace(
        row,
        machine_type=fields.get("machine_type"),
        machine_id=fields.get("machine_id"),
        split=read_split(fields["split"], where) if "split" in fields else None,
        domain=fields.get("domain"),
        group=fields.get("group"),
        id_from="the pattern" if "machine_id" in fields else "",
        id_doubt="",
    )
    if "label" in fields:
        label = read_label(fields["label"], where)
        return dataclasses.replace(said, label=label, label_known=True, label_from="the pattern", doubt="")
    if row.label_from != NOTHING:
        return said
    return dataclasses.replace(said, label=None, label_known=False)


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
            channels=row.channels,
            label_from=row.label_from,
            id_from=row.id_from,
        )
        for row in rows
    ]


def _default_label(row: Row) -> Row:
    """Take clips for normal where a layout has no labels at all, unless they are test clips."""
    if row.label_known or row.split == "test":
        return row
    return dataclasses.replace(row, label=0)


def _draw(rows: list[Row], fraction: float, seed: int) -> set[tuple[str, ...]]:
    """Return the recordings to test on: of each ID the nearest to `fraction` of its clips, all only for 1."""
    by_id: dict[tuple[str, str], dict[tuple[str, ...], int]] = {}
    for row in rows:
        groups = by_id.setdefault((str(row.machine_type), str(row.machine_id)), {})
        groups[row.key] = groups.get(row.key, 0) + 1
    drawn: set[tuple[str, ...]] = set()
    for groups in by_id.values():
        wanted, taken = fraction * sum(groups.values()), 0
        for key in sorted(groups, key=lambda key: rank(str(seed), *key))[: None if fraction == 1.0 else -1]:
            if taken + groups[key] / 2 > wanted:
                break
            taken += groups[key]
            drawn.add(key)
    return drawn
