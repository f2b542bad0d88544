"""What the error of an auto-encoder follows: how restless a clip is, or its fault.

    python benches/python/baseline_errors.py DATA --machines fan,valve --recipe ae --set ae.epochs=8 --out errors.png

DATA is a tree in the layout of DCASE 2020, such as `offkey synth` writes. For each machine type the recipe and
`spectral` are trained, and the test clips scored. A row says how much of the variance of healthy clips' scores,
within their IDs, their mere restlessness explains (the standard deviation over time of each Mel bin, mean over bins),
how many healthy deviations the faulty clips are more restless, by how many their error is higher, before and after
the part that restlessness explains is taken away, and the AUC (mean over IDs) of both recipes. The picture has a
point for each clip.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import offkey
from offkey.cli.options import with_settings
from offkey.datasets import Dataset
from offkey.metrics import auc


def centred(values: np.ndarray, data: Dataset) -> np.ndarray:
    """Values ``(clips,)`` in deviations of the healthy test clips of the same ID, from their mean."""
    ids, healthy = np.array(data.test.machine_ids), data.test.labels == 0
    result = np.empty(len(values))
    for name in set(ids):
        own = values[(ids == name) & healthy]
        result[ids == name] = (values[ids == name] - own.mean()) / own.std()
    return result


def mean_auc(scores: np.ndarray, data: Dataset) -> float:
    """AUC, mean over IDs."""
    ids = np.array(data.test.machine_ids)
    return float(np.mean([auc(data.test.labels[ids == i], scores[ids == i]) for i in sorted(set(ids))]))


def measured(data: Dataset, recipe: offkey.Recipe, seed: int) -> dict[str, np.ndarray]:
    """Of each test clip the restlessness and the scores of both recipes."""
    logmel = offkey.LogMel.from_recipe(recipe.features)
    statistics = logmel.statistics_from_files(data.test.paths).statistics
    scores = {
        "error": offkey.Detector(recipe).fit(data, seed=seed).score(data.test).anomaly_score,
        "spectral": offkey.Detector("spectral").fit(data, seed=seed).score(data.test).anomaly_score,
    }
    return {"restless": np.exp(statistics.lstd).mean(axis=1), **scores}


def row(machine: str, data: Dataset, clips: dict[str, np.ndarray]) -> str:
    """A line of the table."""
    healthy = data.test.labels == 0
    x, y = (centred(clips[name], data) for name in ("restless", "error"))
    slope = float(x[healthy] @ y[healthy] / (x[healthy] @ x[healthy]))
    explained = float(np.corrcoef(x[healthy], y[healthy])[0, 1] ** 2)
    rest = y - slope * x
    figures = (
        f"{100 * explained:.0f} %",
        f"{x[~healthy].mean():+.2f}",
        f"{y[~healthy].mean():+.2f}",
        f"{rest[~healthy].mean() / rest[healthy].std():+.2f}",
        f"{mean_auc(clips['error'], data):.3f}",
        f"{mean_auc(clips['spectral'], data):.3f}",
    )
    return f"| {machine} | " + " | ".join(figures) + " |"


def picture(panels: dict[str, tuple[Dataset, dict[str, np.ndarray]]], recipe: str, path: Path) -> None:
    """A panel for each machine type."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2 * len(panels), 3.8), layout="constrained")
    columns = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (machine, (data, clips)) in zip(columns, panels.items(), strict=True):
        for label, name, colour in ((1, "faulty", "tab:red"), (0, "healthy", "tab:blue")):
            rows = data.test.labels == label
            x, y = (centred(clips[key], data)[rows] for key in ("restless", "error"))
            axes.scatter(x, y, s=9, color=colour, alpha=0.5, label=name)
        axes.set(title=machine, xlabel="restlessness (healthy deviations)", ylabel=f"error of {recipe}")
    figure.axes[0].legend()
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--machines", default="fan,valve")
    parser.add_argument("--recipe", default="ae")
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    recipe = with_settings(offkey.Recipe.named(given.recipe), given.set)
    panels = {}
    print(
        "| | explained by restlessness | faults more restless | error higher | without that | AUC | AUC, `spectral` |"
    )
    print("|---|---|---|---|---|---|---|")
    for machine in given.machines.split(","):
        data = offkey.datasets.dcase2020(given.data, machine=machine)
        panels[machine] = data, measured(data, recipe, given.seed)
        print(row(machine, *panels[machine]), flush=True)
    if given.out is not None:
        picture(panels, given.recipe, given.out)


if __name__ == "__main__":
    main()
