"""Which layout a folder has, and which machines it holds, from its names alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from offkey.datasets import dcase
from offkey.datasets import mimii as mimiis
from offkey.datasets.checks import unique_type
from offkey.datasets.clips import Clip, Dataset
from offkey.datasets.dcase import dcase2020, follows_names, parts_of, type_folders
from offkey.datasets.folder import check_options, folder, read_tree, tree_by_names, type_of_root
from offkey.datasets.ids import IdFrom, parse_machine_id
from offkey.datasets.mimii import Split, holds_ids, id_folders, mimii, snr_folders, types_at
from offkey.datasets.names import Labels
from offkey.datasets.paths import Listing, PathLike, existing_folder, folder_name
from offkey.datasets.survey import Progress, Survey, survey_of
from offkey.errors import DatasetError, ParameterError

__all__ = ["Layout", "detect_layout", "list_machines", "load", "survey"]

Layout = Literal["dcase2020", "mimii", "folder"]

_CHOOSING_FOLDER = {"pattern", "manifest", "labels", "id_from"}
"""Options that only folders of one's own have, and that say so."""
_OWNERS: Mapping[str, Layout] = {
    **dict.fromkeys(_CHOOSING_FOLDER, "folder"),
    "test_fraction": "folder",
    "snr_db": "mimii",
    "also": "dcase2020",
    "eval_list": "dcase2020",
}
"""Option -> the one layout that has it."""


def detect_layout(root: PathLike) -> Layout:
    """Return the loader that a folder suits: the layout of MIMII, that of DCASE 2020, or any other.

    Names of folders alone make no public set: MIMII has folders ``id_XX`` inside those of an SNR, and DCASE 2020 has
    ``id_XX`` in its file names. A tree that lacks them is the user's own.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    DatasetError
        If it is a file.
    """
    base = existing_folder(root)
    if holds_ids(base):
        return "mimii"
    try:
        kinds = [kind for part in parts_of(base) for kind in type_folders(part)]
    except DatasetError:
        return "folder"
    return "dcase2020" if any(follows_names(kind) for kind in kinds) else "folder"


def list_machines(root: PathLike, *, layout: Layout | None = None) -> dict[str, list[str]]:
    """Return the IDs of each machine type in a folder; files without an ID count as ID ``?``.

    Parameters
    ----------
    root
        The folder.
    layout
        What `detect_layout` says, if None.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    DatasetError
        If it is a file, holds no sound file, or is not of that layout.
    """
    base = existing_folder(root)
    layout = layout or detect_layout(base)
    ids_of: dict[str, set[str]] = {}
    if layout == "dcase2020":
        for kind in (kind for part in parts_of(base) for kind in type_folders(part)):
            ids_of.setdefault(folder_name(kind), set()).update(
                parse_machine_id(path.name) or "?" for path in Listing.of(kind).files
            )
    elif layout == "mimii":
        for db in {db for _, db, _ in snr_folders(base)}:
            for name, path in types_at(base, db):
                ids_of.setdefault(name, set()).update(machine_id for _, machine_id in id_folders(path))
    else:
        for row in tree_by_names(base).rows:
            ids_of.setdefault(row.machine_type or type_of_root(base), set()).add(row.machine_id or "?")
    return {kind: sorted(ids) for kind, ids in sorted(ids_of.items())}


def load(
    root: PathLike,
    *,
    machine: str | None = None,
    layout: Layout | Literal["auto"] = "auto",
    also: Sequence[PathLike] = (),
    eval_list: PathLike | None = None,
    snr_db: float | None = None,
    split: Split = "hitachi",
    pattern: str | None = None,
    manifest: PathLike | None = None,
    labels: Labels | None = None,
    id_from: IdFrom | None = None,
    test_fraction: float = 0.0,
    seed: int = 0,
) -> Dataset:
    """Load a folder with the loader of its layout; see `dcase2020`, `mimii` and `folder` for each parameter.

    Parameters
    ----------
    root
        The folder.
    machine
        The target type; optional if there is only one.
    layout
        Which loader; `auto` is `folder` with a pattern, manifest, `labels` or `id_from`, otherwise the result of
        `detect_layout`.

    Raises
    ------
    FileNotFoundError
        If the folder or a file that it needs does not exist.
    DatasetError
        If the folder is not of that layout, or holds several types and `machine` is not given.
    ParameterError
        If a parameter does not apply to the layout, or a required one is missing.
    """
    chosen = _chosen(
        root,
        layout,
        pattern=pattern,
        manifest=manifest,
        labels=labels or None,
        id_from=id_from,
        test_fraction=test_fraction or None,
        snr_db=snr_db,
        also=tuple(also) or None,
        eval_list=eval_list,
    )
    if chosen == "folder":
        return folder(
            root,
            pattern=pattern,
            manifest=manifest,
            machine=machine,
            labels=labels,
            id_from=id_from,
            test_fraction=test_fraction,
            seed=seed,
        )
    try:
        machine = machine or _only_machine(root, chosen)
        if chosen == "dcase2020":
            return dcase2020(root, machine=machine, also=list(also) or None, eval_list=eval_list)
        if snr_db is None:
            raise ParameterError(f"{root}: laid out as MIMII: expected snr_db, one of -6, 0 and 6")
        return mimii(root, machine=machine, snr_db=snr_db, split=split, seed=seed)
    except (DatasetError, ParameterError) as error:
        if layout != "auto":
            raise
        raise type(error)(
            f"{error}. By its names this is the layout {chosen}; --layout folder reads it as a tree of your own"
        ) from None


def _chosen(root: PathLike, layout: Layout | Literal["auto"], **options: object) -> Layout:
    """Return the layout that is read, and refuse options of another, which would be ignored silently.

    An option that is None is not stated.
    """
    stated = {name: value for name, value in options.items() if value is not None}
    if layout == "auto":
        layout = "folder" if stated.keys() & _CHOOSING_FOLDER else detect_layout(root)
    for name, value in stated.items():
        owner = _OWNERS[name]
        if layout != owner:
            raise ParameterError(
                f"{name} = {value}: only folders of layout {owner} have it; this one is read as {layout}, which "
                f"--layout {owner} changes"
            )
    return layout


def survey(
    root: PathLike,
    *,
    machine: str | None = None,
    layout: Layout | Literal["auto"] = "auto",
    also: Sequence[PathLike] = (),
    eval_list: PathLike | None = None,
    snr_db: float | None = None,
    split: Split = "hitachi",
    pattern: str | None = None,
    manifest: PathLike | None = None,
    labels: Labels | None = None,
    id_from: IdFrom | None = None,
    test_fraction: float = 0.0,
    seed: int = 0,
    num_threads: int | None = None,
    on_progress: Progress | None = None,
) -> Survey:
    """Return what is in a folder: how many recordings of what, how they were recorded, and what is passed over.

    Headers of files are read, and nothing behind them. All machine types are seen, as training with the same
    parameters would see them. A folder that training refuses is seen as its names say, and the refusal says why.

    Parameters
    ----------
    root, layout, also, eval_list, snr_db, split, pattern, manifest, labels, id_from, test_fraction, seed
        As for `load`. MIMII without `snr_db` is seen at every ratio.
    machine
        Only this machine type.
    num_threads
        Headers read side by side; as many as there are cores if None.
    on_progress
        Called with (done, total) headers.

    Raises
    ------
    FileNotFoundError
        If the folder or a file that it needs does not exist.
    OSError
        If the folder cannot be read.
    DatasetError
        If there is no sound file, or none of the type `machine`.
    ParameterError
        If a parameter is out of range, or does not apply to the layout.

    Examples
    --------
    >>> seen = offkey.datasets.survey("recordings")  # doctest: +SKIP
    >>> print(seen.to_text())  # doctest: +SKIP
    >>> [row.recordings for row in seen.rows if row.key.label == 1]  # doctest: +SKIP
    """
    base = existing_folder(root)
    chosen = _chosen(
        base,
        layout,
        pattern=pattern,
        manifest=manifest,
        labels=labels or None,
        id_from=id_from,
        test_fraction=test_fraction or None,
        snr_db=snr_db,
        also=tuple(also) or None,
        eval_list=eval_list,
    )
    refusal = None
    unnamed_type = machine or type_of_root(base)
    try:
        if chosen == "dcase2020":
            clips, passed_over, notes = dcase.every_type(base, also=also, eval_list=eval_list)
        elif chosen == "mimii":
            clips, passed_over, notes = mimiis.every_type(base, snr_db=snr_db, split=split, seed=seed)
        else:
            check_options(pattern, manifest, labels, id_from, test_fraction)
            tree = read_tree(base, pattern=pattern, manifest=manifest, labels=labels, id_from=id_from)
            clips = tree.clips(unnamed_type, test_fraction=test_fraction, seed=seed)
            passed_over, notes = tree.passed_over, tree.notes
        notes += _unhealthy(clips)
    except DatasetError as error:
        tree = tree_by_names(base)
        clips = tree.clips(unnamed_type, test_fraction=0.0, seed=seed)
        passed_over, notes, refusal = tree.passed_over, [], str(error)
    if machine is not None:
        unique_type((clip.machine_type for clip in clips), machine, where=base)
        clips = [clip for clip in clips if clip.machine_type == machine]
    return survey_of(
        clips,
        passed_over=passed_over,
        num_threads=num_threads,
        on_progress=on_progress,
        root=base,
        layout=chosen,
        notes=tuple(notes),
        refusal=refusal,
    )


def _unhealthy(clips: Sequence[Clip]) -> list[str]:
    """Say which machine types there is nothing to learn of."""
    types = {clip.machine_type for clip in clips}
    learned = {clip.machine_type for clip in clips if clip.split == "train" and clip.label == 0}
    return [f"{name}: no healthy recording to learn from" for name in sorted(types - learned)]


def _only_machine(root: PathLike, layout: Layout) -> str:
    machines = list_machines(root, layout=layout)
    if len(machines) != 1:
        raise DatasetError(f"{root}: several machine types, {', '.join(machines)}: name one with `machine`")
    return next(iter(machines))
