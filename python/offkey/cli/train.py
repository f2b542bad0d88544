"""`offkey train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from offkey import datasets
from offkey.cli import console
from offkey.cli.training import TrainingDisplay
from offkey.detector import Detector
from offkey.errors import RecipeError
from offkey.recipe import RECIPES, Recipe

__all__ = ["train"]


def train(
    data: Path,
    /,
    *,
    out: Annotated[Path, Parameter(alias="-o")],
    machine: str | None = None,
    recipe: str = "spectral",
    layout: Literal["auto", "dcase2020", "mimii", "folder"] = "auto",
    also: list[Path] | None = None,
    snr_db: float | None = None,
    split: Literal["hitachi", "random75"] = "hitachi",
    pattern: str | None = None,
    manifest: Path | None = None,
    seed: int = 0,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    threads: int | None = None,
    checkpoint: Path | None = None,
    json: bool = False,
) -> None:
    """Learn how a type of machine sounds when it works, from normal recordings.

    Parameters
    ----------
    data
        A folder: a DCASE 2020 or MIMII tree, or any folder of recordings (a folder for each machine, or a CSV
        manifest).
    out
        Where the detector goes, such as `fan.offkey`.
    machine
        The machine type to learn; may be left out where there is only one.
    recipe
        `spectral` (seconds, no GPU, best below some hundred clips a machine), `small` (a network that a CPU can
        train), `paper` (the paper's network), or a JSON file with a recipe of your own.
    layout
        How the folder is laid out; recognised if not given.
    also
        More folders of the same layout to learn from, such as DCASE's additional training data.
    snr_db
        MIMII: which of the signal-to-noise ratios (-6, 0 or 6).
    split
        MIMII: which normals are kept for testing.
    pattern
        Own folders: how paths are made up, such as `{machine_type}/{machine_id}/{label}_*.wav`.
    manifest
        Own folders: a CSV file with the columns file, label and, where known, machine_type, machine_id, split, group.
    seed
        Every random choice follows from it.
    device
        Where the network is trained.
    threads
        How many threads the kernels use; all cores if not given.
    checkpoint
        A folder for the network's checkpoints: an interrupted training goes on from there.
    json
        Print a description of the detector as JSON.
    """
    with console.show_warnings():
        dataset = datasets.load(
            data,
            layout=layout,
            machine=machine,
            also=also or (),
            snr_db=snr_db,
            split=split,
            pattern=pattern,
            manifest=manifest,
            seed=seed,
        )
        with TrainingDisplay() as display:
            detector = Detector(read_recipe(recipe)).fit(
                dataset,
                seed=seed,
                device=device,
                num_threads=threads,
                checkpoint=checkpoint,
                on_event=display,
            )
    detector.save(out)
    for text in detector.notes:
        console.warn(text)
    console.note(f"detector of {detector.machine} written to {out}; next: offkey score {out} RECORDINGS")
    if json:
        console.print_json(detector.describe())


def read_recipe(name: str) -> Recipe:
    """Return a built-in recipe, or one read from a JSON file."""
    if name in RECIPES:
        return RECIPES[name]
    if Path(name).is_file():
        return Recipe.from_json(Path(name).read_bytes())
    raise RecipeError(f"recipe {name!r}: expected one of {', '.join(RECIPES)}, or a JSON file that exists")
