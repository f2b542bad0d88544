"""What each part of recipe `near` is worth: one change at a time, over seeds, and the recipes that it is compared with.

    python benches/python/near_ablation.py --out FOLDER [--synthetic TREE ...] [--uav TREE ...] [--seeds 3]
        [--machines fan,pump,slider,valve] [--variants near,ensemble,...] [--threads 1]

A TREE of --synthetic is what ``offkey synth`` makes, and one of --uav what ``build_uav.py`` of the real recordings has
built. Labels are read after the fits and choose nothing. What is in FOLDER already is not computed again, and a
training that was interrupted goes on from its last network; FOLDER/near_ablation.md has the table as far as it goes.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from offkey._util.files import write_text
from offkey.benchmark.runs import Execution, Record, Run, Setting, execute
from offkey.datasets import Dataset, dcase2020, folder
from offkey.recipe import Recipe
from offkey.signal.near_anomalies import RICH_KINDS

VARIANTS: dict[str, dict[str, object]] = {
    "near": {},
    "gate static": {"near__gate": "static"},
    "gate rich": {"near__gate": "rich"},
    "conformer off": {"near__conformer": "off"},
    "conformer on": {"near__conformer": "on"},
    "2 networks": {"near__networks": 2},
    "8 networks": {"near__networks": 8},
    "125 steps": {"near__steps": 125},
    "500 steps": {"near__steps": 500},
    "whole clips": {"near__crop": [1.0, 1.0]},
    "ridge 0.01": {"near__ridge": 0.01},
    "no kind task": {"near__kind_weight": 0.0},
    "ArcFace 0.3": {"near__arcface_weight": 0.3},
} | {f"{kind} alone": {"near__kinds": [kind]} for kind in RICH_KINDS}
OTHERS = ("spectral", "ensemble")
SCORE = "anomaly_score"


def recipe_of(name: str) -> Recipe:
    """Return `near` with one change, or another recipe."""
    if name in OTHERS:
        return Recipe.named(name)
    return Recipe.named("near").replace(name=name.replace(" ", "-"), **VARIANTS[name])


def data_sets(arguments: argparse.Namespace) -> Iterator[tuple[str, Setting, Dataset, Path]]:
    """Yield the title, setting, data and root of what there is to train on."""
    for tree in arguments.synthetic:
        for machine in arguments.machines.split(","):
            data = dcase2020(tree if (tree / machine).is_dir() else tree / "dev_data", machine=machine)
            yield f"{machine}, {tree.name}", Setting(f"{tree.name}-{machine}"), data, tree
    for tree in arguments.uav:
        data = folder(tree, manifest="manifest.csv", machine="uav")
        yield tree.name, Setting(tree.name), data, tree


def cell(records: list[Record]) -> str:
    """Return "AUC ± deviation, pAUC ± deviation, seconds to fit" over seeds; means over IDs."""
    figures = np.array(
        [np.mean([(f.auc, f.pauc) for f in record.figures[SCORE]], axis=0) for record in records]
    )
    seconds = np.median([record.fit_s for record in records])
    if len(figures) < 2:
        return f"{figures[0, 0]:.3f}, {figures[0, 1]:.3f}, {seconds:.0f} s"
    mean, deviation = figures.mean(axis=0), figures.std(axis=0, ddof=1)
    return f"{mean[0]:.3f} ± {deviation[0]:.3f}, {mean[1]:.3f} ± {deviation[1]:.3f}, {seconds:.0f} s"


def report(records: dict[str, dict[str, list[Record]]]) -> str:
    """Return the table as Markdown, a row for each variant and a column for each data set."""
    titles = list(dict.fromkeys(title for of_name in records.values() for title in of_name))
    lines = [f"| | {' | '.join(titles)} |", "|---" * (len(titles) + 1) + "|"]
    for name, of_name in records.items():
        cells = [cell(of_name[title]) if title in of_name else "" for title in titles]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run what has not been run, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--synthetic", type=Path, nargs="*", default=[])
    parser.add_argument("--machines", default="fan,pump,slider,valve")
    parser.add_argument("--uav", type=Path, nargs="*", default=[])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--variants", default=",".join([*OTHERS, *VARIANTS]))
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    how = Execution(device=arguments.device, num_threads=arguments.threads)
    names = arguments.variants.split(",")
    records: dict[str, dict[str, list[Record]]] = {name: {} for name in names}
    sets = list(data_sets(arguments))
    for seed in range(arguments.seeds):
        for name in names:
            for title, setting, data, root in sets:
                run = Run(setting=setting, recipe=recipe_of(name), seed=seed, data=data, root=root)
                record, again = execute(run, arguments.out, how)
                records[name].setdefault(title, []).append(record)
                took = "done before" if again else f"{record.fit_s:.0f} s"
                print(f"{title}, {name}, seed {seed}: {took}", flush=True)
                write_text(arguments.out / "near_ablation.md", report(records))
    print(report(records))


if __name__ == "__main__":
    main()
