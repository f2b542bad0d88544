"""What each open question of the paper is worth: one change of recipe `small` at a time, over seeds.

    python benches/python/ablation.py --out FOLDER [--synthetic TREE] [--real ../shared/real --uav TREE] [--seeds 3]
        [--machines fan] [--variants small,conv4,...]

TREE of --synthetic is what ``offkey synth`` makes; --machines says which types are learned. TREE of --uav is what
``build_uav.py`` of the real recordings has built. Recipes that differ in scoring alone share a training. Labels are
read after the fits and choose nothing. What is in FOLDER already is not computed again; FOLDER/ablation.md has the
table as far as it goes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from real_set import load as load_real

from offkey.benchmark.runs import Execution, Record, Run, Setting, execute
from offkey.datasets import Dataset, dcase2020
from offkey.files import write_text
from offkey.recipe import Recipe

SMALL = Recipe.named("small")
VARIANTS: dict[str, dict[str, object]] = {
    "small": {},
    "subsampling conv4": {"network__subsampling": "conv4"},
    "subsampling conv2": {"network__subsampling": "conv2"},
    "subsampling linear": {"network__subsampling": "linear"},
    "kernel 31": {"network__kernel_size": 31},
    "14 + 14 clips a step": {"training__batch_size": 14, "training__pseudo_anomalies": 14},
    "loss sum": {"training__loss_reduction": "sum"},
    "lowest loss kept": {"training__keep": "lowest_loss"},
    "no normalisation": {"network__normalisation": "none"},
    "stage 1 without augmentation task": {"training__stage1_tasks": "id"},
    "a_arc prob": {"scoring__a_arc": "prob"},
    "a_arc log_prob": {"scoring__a_arc": "log_prob"},
    "covariance oas": {"scoring__covariance": "oas"},
    "covariance empirical": {"scoring__covariance": "empirical"},
    "standardised on training clips": {"scoring__standardise_on": "training"},
    "subset by select": {"scoring__combine": "select"},
}
SCORES = ("anomaly_score", "a_out", "a_arc", "a_maha")
HELD = {
    "small": "separable4, kernel 15, 28 + 28, loss mean, last epoch, standard, id+aug; cosine, Ledoit-Wolf, "
    "held out, mean of the three"
}


def variant(name: str) -> Recipe:
    """Return `small` with one change."""
    return SMALL.replace(name=name.replace(" ", "-"), **VARIANTS[name])


def row(name: str, records: list[Record]) -> str:
    """Return a line of the table: for each score "AUC ± deviation, pAUC ± deviation", means over IDs."""
    cells = []
    for score in SCORES:
        found = np.array(
            [
                np.mean([[f.auc, f.pauc] for f in record.figures[score]], axis=0)
                for record in records
                if record.figures.get(score)
            ]
        )  # (seeds, 2)
        cells.append(cell(found) if len(found) else "")
    return f"| {name} | " + " | ".join(cells) + f" | {len(records)} |"


def cell(found: np.ndarray) -> str:
    """``(seeds, 2)`` as text."""
    deviation = found.std(axis=0, ddof=1) if len(found) > 1 else np.full(2, np.nan)
    texts = [
        f"{mean:.3f}" if np.isnan(d) else f"{mean:.3f} ± {d:.3f}"
        for mean, d in zip(found.mean(axis=0), deviation, strict=True)
    ]
    return ", ".join(texts)


def table(title: str, records: dict[str, list[Record]]) -> str:
    """Return one data set's table as Markdown."""
    lines = [
        f"### {title}",
        "",
        "AUC, pAUC; means over IDs, mean ± standard deviation over seeds",
        "",
        f"| small with | {' | '.join(SCORES)} | seeds |",
        "|---" * (len(SCORES) + 2) + "|",
    ]
    names = {"small": f"nothing changed: {HELD['small']}"}
    return "\n".join(
        [*lines, *(row(names.get(name, name), found) for name, found in records.items() if found)]
    )


def data_sets(arguments: argparse.Namespace) -> dict[str, tuple[Setting, Dataset, Path]]:
    """Return what is there: title -> what is trained on."""
    found = {}
    for machine in arguments.machines.split(",") if arguments.synthetic else ():
        data = dcase2020(arguments.synthetic, machine=machine)
        found[f"Synthetic machines, {machine}"] = (Setting(machine), data, arguments.synthetic)
    for tree in arguments.uav:
        title = f"Real recordings of a drone, {tree.name}"
        found[title] = (Setting(tree.name), load_real(tree, arguments.real), tree)
    return found


def main() -> None:
    """Run what has not been run, and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--synthetic", type=Path)
    parser.add_argument("--machines", default="fan", help="synthetic types: fan,pump,slider,valve")
    parser.add_argument("--real", type=Path, default=Path("../shared/real"))
    parser.add_argument("--uav", type=Path, nargs="*", default=[])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--variants", default=",".join(VARIANTS))
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    (arguments.out / "trainings").mkdir(parents=True, exist_ok=True)
    how = Execution(device=arguments.device, trainings=arguments.out / "trainings")
    sets = data_sets(arguments)
    records: dict[str, dict[str, list[Record]]] = {
        title: {name: [] for name in arguments.variants.split(",")} for title in sets
    }
    for seed in range(arguments.seeds):
        for name in arguments.variants.split(","):
            for title, (setting, data, root) in sets.items():
                run = Run(setting=setting, recipe=variant(name), seed=seed, data=data, root=root)
                record, again = execute(run, arguments.out, how)
                records[title][name].append(record)
                took = "done before" if again else f"{record.fit_s:.0f} s"
                print(f"{title}, {name}, seed {seed}: {took}", flush=True)
                text = "\n\n".join(table(one, found) for one, found in records.items())
                write_text(arguments.out / "ablation.md", text + "\n")
    print((arguments.out / "ablation.md").read_text())


if __name__ == "__main__":
    main()
