"""AUC and pAUC of recipes on the drone recordings: trees that ``build_uav.py`` of the real recordings has built.

    python benches/python/real_set.py --real ../shared/real --out FOLDER TREE [TREE ...]
        [--recipes spectral,small] [--seeds 3]

A training that is interrupted goes on from its last epoch. TREE holds ``manifest.csv``: a row for each clip with file,
split, label, id and source (the recording that it was cut from). It is one machine type with four IDs; the motors and
the DCASE clips of the real recordings are the other types. Labels are read after the fit and choose nothing. What is in
FOLDER already is not computed again.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

import offkey
from offkey._util.files import write_text
from offkey.cli.train import read_recipe
from offkey.datasets import Dataset, folder
from offkey.models.network.events import Resumed

MACHINE = "uav"


def load(tree: Path, real: Path) -> Dataset:
    """The drone as target type, motors and a stationary DCASE machine as other types."""
    uav = folder(tree, manifest="manifest.csv", machine=MACHINE)
    bldc = folder(real / "bldc", manifest="manifest.csv", machine="bldc")
    dcase = folder(real / "dcase2020_id_00", machine="dcase")
    others = bldc.clips.where(split="train") + dcase.clips.where(split="train")
    return Dataset(machine=MACHINE, clips=uav.clips + others)


def run(tree: Path, real: Path, recipe: offkey.Recipe, seed: int, checkpoint: Path) -> dict[str, object]:
    """Fit, score, evaluate: a row for each score and ID."""
    data = load(tree, real)
    before = 0.0

    def observe(event: object) -> None:
        nonlocal before
        if isinstance(event, Resumed):
            before = event.spent_s
        progress(event)

    started = time.perf_counter()
    detector = offkey.Detector(recipe).fit(
        data, seed=seed, checkpoint=checkpoint if recipe.network else None, on_event=observe
    )
    fitted = time.perf_counter()
    scores = detector.score(data.test)
    scored = time.perf_counter()
    result = offkey.evaluate(scores, data.test, resamples=0)
    rows = [
        {"id": row.machine_id, "score": row.score, "auc": row.auc, "pauc": row.pauc} for row in result.ids
    ]
    anomaly_rows = [row for row in result.ids if row.score == "anomaly_score"]
    return {
        "rows": rows,
        "false_alarms": float(np.mean([row.false_alarm_rate for row in anomaly_rows])),
        "fit_s": before + fitted - started,
        "score_s": scored - fitted,
        "notes": list(detector.notes),
        "combined": detector.describe()["combined"],
    }


def progress(event: object) -> None:
    """Print a line for each epoch."""
    if hasattr(event, "losses"):
        print(f"stage {event.stage} epoch {event.epoch}: {dict(event.losses)}, {event.steps_per_s:.3g} steps/s, "
              f"{event.eta_s:.0f} s left", file=sys.stderr, flush=True)  # fmt: skip


def table(results: list[dict[str, object]]) -> str:
    """Mean and deviation over seeds, as Markdown: a row for each score, a column for each ID and their mean."""
    rows = [row for result in results for row in result["rows"]]
    ids = sorted({row["id"] for row in rows})
    lines = [
        "| score | " + " | ".join(f"ID {name}" for name in ids) + " | mean over IDs |",
        "|---" * (len(ids) + 2) + "|",
    ]
    for score in dict.fromkeys(row["score"] for row in rows):
        figures = np.array(
            [
                [[row["auc"], row["pauc"]] for row in result["rows"] if row["score"] == score]
                for result in results
            ]
        )  # (seeds, ids, 2)
        columns = [figures[:, i] for i in range(len(ids))] + [figures.mean(axis=1)]
        lines.append(f"| {score} | " + " | ".join(map(cell, columns)) + " |")
    return "\n".join(lines)


def cell(figures: np.ndarray) -> str:
    """``(seeds, 2)`` as "AUC ± deviation, pAUC ± deviation"."""
    auc, pauc = figures.mean(axis=0)
    if len(figures) < 2:
        return f"{auc:.3f}, {pauc:.3f}"
    auc_deviation, pauc_deviation = figures.std(axis=0, ddof=1)
    return f"{auc:.3f} ± {auc_deviation:.3f}, {pauc:.3f} ± {pauc_deviation:.3f}"


def main() -> None:
    """Run what has not been run, and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("trees", nargs="+", type=Path, metavar="TREE")
    parser.add_argument("--real", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--recipes", default="spectral,small", help="names, or JSON files of your own")
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for recipe in map(read_recipe, arguments.recipes.split(",")):
        for tree in arguments.trees:
            results = []
            for seed in range(arguments.seeds):
                path = arguments.out / f"{tree.name}-{recipe.name}-{seed}.json"
                if not path.exists():
                    made = run(
                        tree,
                        arguments.real,
                        recipe,
                        seed,
                        path.with_suffix(".checkpoint"),
                    )
                    write_text(path, json.dumps(made, indent=1))
                results.append(json.loads(path.read_text()))
            print(
                f"\n{tree.name}, recipe {recipe.name!r}, {len(results)} seeds: AUC, pAUC\n\n{table(results)}\n"
            )
            for name, unit in (
                ("fit_s", "s to fit"),
                ("score_s", "s to score"),
                ("false_alarms", "false alarms"),
            ):
                print(f"{unit}: {', '.join(f'{result[name]:.3g}' for result in results)}")
            print(f"combined: {[result['combined'] for result in results]}", flush=True)


if __name__ == "__main__":
    main()
