"""What each open question of the paper is worth: one change of recipe `small` at a time, over seeds.

    python benches/python/ablation.py --out FOLDER [--synthetic TREE [--premise TREE]] [--machines fan]
        [--real ../shared/real --uav TREE] [--seeds 3] [--clip-seconds 10] [--variants "nothing changed,kernel 31,..."]

TREE of --synthetic is what ``offkey synth`` makes; --machines says which types are learned. TREE of --premise is what
the same command makes with ``--world premise``: its healthy recordings are the same, so that the detectors of
--synthetic are scored on its test clips, too. TREE of --uav is what
``build_uav.py`` of the real recordings has built. Recipes that differ in scoring alone share the detector that the
first of them trained (`Detector.rescored`). Labels are read after the fits. Those of the synthetic machines choose
which options go together into the last row; those of the real recordings choose nothing. What is in FOLDER already is
not computed again; FOLDER/ablation.md has the tables as far as they go.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
from real_set import cell as shown
from real_set import load as load_real
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from offkey._util.files import write_text
from offkey._util.json_text import from_json, to_json
from offkey.benchmark.figures import figures
from offkey.benchmark.runs import Execution, Record, Run, Setting, execute
from offkey.datasets import Dataset, dcase2020
from offkey.detector import Detector
from offkey.models.network.events import CheckpointSaved
from offkey.recipe import Recipe

SMALL = Recipe.named("small")
UNCHANGED = "nothing changed"
VARIANTS: dict[str, dict[str, object]] = {
    UNCHANGED: {},
    "subsampling conv4": {"network__subsampling": "conv4"},
    "subsampling conv2": {"network__subsampling": "conv2"},
    "subsampling linear": {"network__subsampling": "linear"},
    "kernel 31": {"network__kernel_size": 31},
    "14 + 14 in stage 2": {"training__stage2_normals": 14, "training__pseudo_anomalies": 14},
    "14 + 14 in stage 2 with half its epochs": {
        "training__stage2_normals": 14,
        "training__pseudo_anomalies": 14,
        "training__stage2_epochs": 5,
    },
    "stage 1 alone": {"training__stage1_epochs": 30, "training__stage2_epochs": 0},
    "fresh Adam in stage 2": {"training__stage2_adam": "fresh"},
    "BatchNorm from clean clips": {"training__batch_norm_from": "clean"},
    "BatchNorm of other types apart": {"training__batch_norm_others": "separate"},
    "mean of the last 5 epochs": {"training__keep": "mean", "training__mean_epochs": 5},
    "mean of the last 5 epochs, BatchNorm from clean clips": {
        "training__keep": "mean",
        "training__mean_epochs": 5,
        "training__batch_norm_from": "clean",
    },
    "no redundant biases": {"network__redundant_biases": False},
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
PREMISE = "premise"
HEADER = "offkey_checkpoint"
LEAVES = {
    "14 + 14 in stage 2": 20,
    "14 + 14 in stage 2 with half its epochs": 20,
    "fresh Adam in stage 2": 20,
    "BatchNorm of other types apart": 20,
    "mean of the last 5 epochs": 25,
    "mean of the last 5 epochs, BatchNorm from clean clips": 25,
    "BatchNorm from clean clips": 30,
}
"""After how many epochs a row's training leaves that of the unchanged recipe; until then it is the same to the bit, so
that it goes on from there."""
SCORES = ("anomaly_score", "a_out", "a_arc", "a_maha")
HELD = (
    "separable4, kernel 15, 28 + 28 clips a step, mean of the losses, last epoch, standard normalisation, stage 1 with "
    "ID and augmentation tasks; cosine, Ledoit-Wolf, standardised on held-out clips, mean of the three scores"
)


def variant(name: str, base: Recipe) -> Recipe:
    """Return `small`, or what it is cut to the length of the clips, with one change."""
    changes = VARIANTS[name]
    return base.replace(name=re.sub("[^A-Za-z0-9]+", "-", name), **changes) if changes else base


Found = dict[str, dict[str, list[Record]]]
"""Title of a data set -> name of a variant -> its records, one for each seed."""


def report(found: Found) -> str:
    """Return the tables as Markdown: the anomaly score on all data sets, then every score on each."""
    names = list(dict.fromkeys(name for records in found.values() for name in records))
    rows = [[name, *(cell(records.get(name, []), SCORES[0]) for records in found.values())] for name in names]
    parts = [
        f"AUC, pAUC; means over IDs, mean ± standard deviation over seeds.\n\n`small` has {HELD}.",
        f"### {SCORES[0]}\n\n{table(list(found), rows)}",
    ]
    if UNCHANGED in names:
        rows = [
            [name, *(gain_cell(records, name) for records in found.values())]
            for name in names
            if name != UNCHANGED
        ]
        title = (
            "Gain in AUC of the anomaly score over the same seed with nothing changed, mean ± standard error"
        )
        parts.append(f"### {title}\n\n{table(list(found), rows)}")
    for title, records in found.items():
        rows = [[name, *(cell(records.get(name, []), score) for score in SCORES[1:])] for name in names]
        parts.append(f"### {title}: each score\n\n{table(SCORES[1:], rows)}")
    return "\n\n".join(parts) + "\n"


def table(columns: Sequence[str], rows: list[list[str]]) -> str:
    """Return a Markdown table, rows without a figure left out."""
    lines = [f"| `small` with | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows if any(row[1:]))])


def cell(records: list[Record], score: str) -> str:
    """Return "AUC ± deviation, pAUC ± deviation"."""
    found = [
        [(f.auc, f.pauc) for f in record.figures[score]] for record in records if score in record.figures
    ]
    if not found:
        return ""
    return shown(np.array([np.mean(of_seed, axis=0) for of_seed in found]))


def gains(records: dict[str, list[Record]], name: str) -> np.ndarray:
    """Return what a row's anomaly score gains over the unchanged recipe with the same seed, ``(seeds,)``."""
    of_seed = {
        record.seed: value for record, value in zip(records[UNCHANGED], aucs(records[UNCHANGED]), strict=True)
    }
    changed = zip(records[name], aucs(records[name]), strict=True)
    return np.array([value - of_seed[record.seed] for record, value in changed if record.seed in of_seed])


def standard_error(values: np.ndarray) -> float:
    """Return the standard error of the mean of two values or more."""
    return float(values.std(ddof=1) / np.sqrt(len(values)))


def gain_cell(records: dict[str, list[Record]], name: str) -> str:
    """Return "gain ± standard error (seeds)"."""
    if not records.get(name) or not records.get(UNCHANGED):
        return ""
    values = gains(records, name)
    error = f" ± {standard_error(values):.3f}" if len(values) > 1 else ""
    return f"{values.mean():+.3f}{error} ({len(values)})"


def favoured(synthetic: Sequence[dict[str, list[Record]]]) -> dict[str, object]:
    """Return the changes that pay on synthetic machines.

    Of the values of an option that with the highest AUC of the anomaly score, where it gains more on average over
    seeds than two standard errors of that gain.
    """
    best: dict[tuple[str, ...], tuple[float, dict[str, object]]] = {}
    for name, changes in VARIANTS.items():
        if not changes or any(not records.get(name) for records in synthetic):
            continue
        of_seeds = np.mean([gains(records, name) for records in synthetic], axis=0)
        gain = float(of_seeds.mean())
        if gain > 2.0 * standard_error(of_seeds) and gain > best.get(tuple(changes), (0.0, {}))[0]:
            best[tuple(changes)] = gain, changes
    return {option: value for _, changes in best.values() for option, value in changes.items()}


def aucs(records: list[Record]) -> np.ndarray:
    """Return the anomaly score's AUC, mean over IDs, of each seed: ``(seeds,)``."""
    return np.array([np.mean([f.auc for f in record.figures[SCORES[0]]]) for record in records])


def keep_states(run: Run, out: Path, event: object) -> None:
    """Keep a copy of the state of a training wherever another row leaves it."""
    if isinstance(event, CheckpointSaved) and event.epochs_done in LEAVES.values():
        shutil.copy(event.path, run.folder(out) / f"epoch{event.epochs_done}.checkpoint")


def begin_from(unchanged: Run, run: Run, out: Path, epochs: int) -> None:
    """Let a run that has not begun go on from the state that the unchanged recipe's had after so many epochs."""
    state, checkpoint = (
        unchanged.folder(out) / f"epoch{epochs}.checkpoint",
        run.folder(out) / "training.checkpoint",
    )
    if run.is_done(out) or checkpoint.exists():
        return
    with safe_open(state, framework="pt") as file:
        header = json.loads(file.metadata()[HEADER])
    header["fingerprint"]["recipe"] = run.recipe.of_training().to_json()
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    save_file(load_file(state), checkpoint, {HEADER: json.dumps(header)})


def in_premise(run: Run, record: Record, out: Path, tree: Path, how: Execution) -> Record:
    """Return the record of a finished run with figures of the same detector on the test clips of another world."""
    path = run.folder(out) / f"{PREMISE}.json"
    if not path.exists():
        test = dcase2020(tree, machine=run.setting.machine).test
        detector = Detector.load(run.folder(out) / "detector.offkey")
        scores = detector.score(test, device=how.device, num_threads=how.num_threads)
        elsewhere = msgspec.structs.replace(record, figures=figures(detector, scores, test))
        write_text(path, to_json(elsewhere, indent=1))
    return from_json(path.read_bytes(), Record)


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
    parser.add_argument("--premise", type=Path)
    parser.add_argument("--clip-seconds", type=float, default=SMALL.training.clip_seconds)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--machines", default="fan", help="synthetic types: fan,pump,slider,valve")
    parser.add_argument("--real", type=Path, default=Path("../shared/real"))
    parser.add_argument("--uav", type=Path, nargs="*", default=[])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--variants", default=",".join(VARIANTS))
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    how = Execution(device=arguments.device, num_threads=arguments.threads)
    small = SMALL.replace(training__clip_seconds=arguments.clip_seconds)
    sets = data_sets(arguments)
    names = arguments.variants.split(",")
    recipes = {name: variant(name, small) for name in names}
    records: Found = {title: {} for title in sets}

    def run(name: str, seed: int) -> None:
        for title, (setting, data, root) in sets.items():
            one = Run(setting=setting, recipe=recipes[name], seed=seed, data=data, root=root)
            if name in LEAVES and UNCHANGED in names:
                unchanged = dataclasses.replace(one, recipe=recipes[UNCHANGED])
                begin_from(unchanged, one, arguments.out, LEAVES[name])
            seen = functools.partial(keep_states, one, arguments.out) if name == UNCHANGED else None
            record, again = execute(one, arguments.out, dataclasses.replace(how, on_event=seen))
            records[title].setdefault(name, []).append(record)
            if arguments.premise is not None and title.startswith("Synthetic"):
                elsewhere = in_premise(one, record, arguments.out, arguments.premise, how)
                records.setdefault(f"{title}, {PREMISE}", {}).setdefault(name, []).append(elsewhere)
            took = "done before" if again else f"{record.fit_s:.0f} s"
            print(f"{title}, {name}, seed {seed}: {took}", flush=True)
            write_text(arguments.out / "ablation.md", report(records))

    for seed in range(arguments.seeds):
        for name in names:
            run(name, seed)
    synthetic = [records[title] for title in records if title.startswith("Synthetic")]
    changes = favoured(synthetic) if synthetic and arguments.seeds > 1 and UNCHANGED in names else {}
    if changes:
        label = "all that gain on synthetic machines"
        recipes[label] = small.replace(name="favoured", **changes)
        write_text(arguments.out / "favoured.json", recipes[label].to_json())
        for seed in range(arguments.seeds):
            run(label, seed)
    print((arguments.out / "ablation.md").read_text())


if __name__ == "__main__":
    main()
