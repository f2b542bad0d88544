"""One door to all loaders, for a folder of any layout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from offkey.datasets.base import Dataset
from offkey.datasets.dcase import dcase2020
from offkey.datasets.folder import folder
from offkey.datasets.layout import Layout, detect_layout, list_machines
from offkey.datasets.mimii import Split, mimii
from offkey.datasets.paths import PathLike
from offkey.errors import DatasetError, ParameterError

__all__ = ["load"]


def load(
    root: PathLike,
    *,
    machine: str | None = None,
    layout: Layout | Literal["auto"] = "auto",
    also: Sequence[PathLike] = (),
    snr_db: float | None = None,
    split: Split = "hitachi",
    pattern: str | None = None,
    manifest: PathLike | None = None,
    test_fraction: float = 0.0,
    seed: int = 0,
) -> Dataset:
    """Load a folder with the loader that suits it; see `dcase2020`, `mimii` and `folder` for each parameter.

    Parameters
    ----------
    root
        The folder.
    machine
        The target type; may be left out where there is only one.
    layout
        Which loader; `auto` takes `folder` where a pattern or manifest is given, else what `detect_layout` says.

    Raises
    ------
    FileNotFoundError
        If the folder or a file that it needs does not exist.
    DatasetError
        If the folder is not of that layout, or holds several types and `machine` is not given.
    ParameterError
        If a parameter is given that the layout does not have, or one is missing that it needs.
    """
    if layout == "auto":
        layout = "folder" if pattern or manifest else detect_layout(root)
    _refuse(layout, "folder", pattern=pattern, manifest=manifest, test_fraction=test_fraction or None)
    _refuse(layout, "mimii", snr_db=snr_db)
    _refuse(layout, "dcase2020", also=tuple(also) or None)
    if layout == "folder":
        return folder(
            root, pattern=pattern, manifest=manifest, machine=machine, test_fraction=test_fraction, seed=seed
        )
    machine = machine or _only_machine(root, layout)
    if layout == "dcase2020":
        return dcase2020(root, machine=machine, also=list(also) or None)
    if snr_db is None:
        raise ParameterError(f"{root}: laid out as MIMII: expected snr_db, one of -6, 0 and 6")
    return mimii(root, machine=machine, snr_db=snr_db, split=split, seed=seed)


def _refuse(layout: Layout, owner: Layout, **options: object) -> None:
    """Refuse the options of another layout: they would be ignored in silence."""
    for name, value in options.items():
        if value is not None and layout != owner:
            raise ParameterError(
                f"{name} = {value}: only folders of layout {owner} have it; this one is {layout}"
            )


def _only_machine(root: PathLike, layout: Layout) -> str:
    machines = list_machines(root, layout=layout)
    if len(machines) != 1:
        raise DatasetError(f"{root}: several machine types, {', '.join(machines)}: name one with `machine`")
    return next(iter(machines))
