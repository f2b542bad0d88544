"""AUC and pAUC of recipe `spectral` on trees that ``build_uav.py`` of the real recordings has built.

    python benches/python/real_set.py TREE [TREE ...] [--seeds 3]

TREE holds ``manifest.csv``: a row for each clip with file, split, label, id and source, the recording that it was
cut from. Labels are read after the fit and choose nothing.
"""

from __future__ import annotations

import argparse
import csv
import time
from pathlib import Path

import numpy as np
import soundfile

from offkey.evaluation.roc import auc, pauc
from offkey.features import ClipStatistics, LogMel
from offkey.recipe import Recipe
from offkey.spectral import SpectralModel


def read(tree: Path, logmel: LogMel, split: str) -> tuple[ClipStatistics, list[dict[str, str]]]:
    """Statistics and manifest rows of the clips of a split; of `train` the normals alone."""
    with (tree / "manifest.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == split]
    rows = [row for row in rows if split == "test" or row["label"] == "normal"]
    clips = [soundfile.read(tree / row["file"], dtype="float32")[0] for row in rows]
    return logmel.statistics(clips), rows


def per_id(scores: np.ndarray, rows: list[dict[str, str]], machine_ids: tuple[str, ...]) -> np.ndarray:
    """``(ids, 2)``: AUC and pAUC of each ID, its clips scored against it."""
    ids = np.array([row["id"] for row in rows])
    labels = np.array([row["label"] != "normal" for row in rows], dtype=int)
    figures = []
    for column, name in enumerate(machine_ids):
        own = ids == name
        figures.append([f(labels[own], scores[own, column]) for f in (auc, pauc)])
    return np.array(figures)


def run(tree: Path, seeds: int) -> None:
    """Fit and score with each seed, and print the figures."""
    recipe = Recipe.named("spectral")
    logmel = LogMel.from_recipe(recipe.features)
    train, train_rows = read(tree, logmel, "train")
    test, test_rows = read(tree, logmel, "test")
    ids = [row["id"] for row in train_rows]
    groups = [row["source"] for row in train_rows]
    print(f"{tree}: {len(train_rows)} normal clips to train on, {len(test_rows)} clips to test")
    figures, machine_ids = [], ()
    for seed in range(seeds):
        started = time.perf_counter()
        model = SpectralModel.fit(train, ids, groups, recipe=recipe, seed=seed)
        seconds = time.perf_counter() - started
        machine_ids = model.machine_ids
        figures.append(per_id(model.scores(test)["a_spectral"], test_rows, machine_ids))
        print(f"  seed {seed}: {seconds:.2f} s; " + "; ".join(model.notes))
    table = np.array(figures)  # (seeds, ids, figures)
    for column, name in enumerate(machine_ids):
        print_row(f"ID {name}", table[:, column])
    print_row("mean over IDs", table.mean(axis=1))


def print_row(name: str, figures: np.ndarray) -> None:
    """Print mean and standard deviation over seeds of ``(seeds, 2)`` figures."""
    (a, p), (a_deviation, p_deviation) = figures.mean(axis=0), figures.std(axis=0)
    print(f"  {name:14} AUC {a:.4f} ± {a_deviation:.4f}  pAUC {p:.4f} ± {p_deviation:.4f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("trees", nargs="+", type=Path, metavar="TREE")
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    for folder in arguments.trees:
        run(folder, arguments.seeds)
