"""What false-alarm rate the networks give where one is asked for, on synthetic machines.

    python benches/python/network_calibration.py --out FOLDER [--recipe small] [--seeds 0,1,2] [--clips 60]
        [--set holdout_clips=0 ...] [--epochs 2,1]

A seed has one machine type of four IDs: clips to train with, 250 fresh normals and 50 faults of each ID; the three
other types are there as pseudo-anomalies. Seeds 0 to 3 are fans, pumps, slide rails and valves. Clips have 5 s. What is
in FOLDER already is not made or trained again, so that runs go on where they stopped. Labels are read after the fit.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from pathlib import Path

import numpy as np

import offkey
from offkey.datasets import Dataset, dcase2020, synthetic
from offkey.metrics import auc
from offkey.models.network.score import ClipOutputs, infer, window_frames
from offkey.signal.logmel import LogMel

SECONDS = 5
TRAIN, FRESH, FAULTS, OTHERS = 200, 250, 50, 15  # clips of each ID
RATES = (0.01, 0.05, 0.10)


def machine_set(out: Path, seed: int, clips: int) -> Dataset:
    """Make the recordings of a seed, or go on with them: at least so many training clips of each ID."""
    target = synthetic.MACHINES[seed % len(synthetic.MACHINES)]
    rest = tuple(machine for machine in synthetic.MACHINES if machine != target)
    name = f"target-{seed}" if clips <= TRAIN else f"target-{seed}-{clips}"
    parts = {
        name: ((target,), max(TRAIN, clips), FRESH, FAULTS),
        f"others-{seed}": (rest, OTHERS, 1, 1),
    }
    for part, (machines, train, normal, anomaly) in parts.items():
        synthetic.write(
            out / "sets" / part,
            machines=machines,
            clips_train=train,
            clips_test_normal=normal,
            clips_test_anomaly=anomaly,
            seconds=SECONDS,
            seed=1000 + seed,
            resume=True,
        )
    others = [dcase2020(out / "sets" / f"others-{seed}" / "dev_data", machine=machine) for machine in rest]
    return dcase2020(out / "sets" / name / "dev_data", machine=target).with_others(*others)


def first_clips(data: Dataset, count: int) -> Dataset:
    """Leave so many training clips of each ID of the target type."""
    seen: dict[str | None, int] = {}
    chosen = []
    for clip in data.clips:
        if clip.machine_type == data.machine and clip.split == "train":
            seen[clip.machine_id] = seen.get(clip.machine_id, 0) + 1
            if seen[clip.machine_id] > count:
                continue
        chosen.append(clip)
    return dataclasses.replace(data, clips=offkey.datasets.Clips(chosen))


def train(path: Path, data: Dataset, recipe: offkey.Recipe, seed: int) -> None:
    """Write a detector and, beside it, what its network says of the test clips."""
    start = time.perf_counter()
    detector = offkey.Detector(recipe).fit(data, seed=seed, device="cpu", num_threads=1)
    network = detector._fitted().models["network"]
    logmel = LogMel.from_recipe(recipe.features, num_threads=1)
    outputs: ClipOutputs | None = None
    paths = data.test.paths
    for at in range(0, len(paths), 64):
        clips = offkey.read_batch(paths[at : at + 64], sample_rate=recipe.features.sample_rate, num_threads=1)
        part = infer(network._model, logmel.each(list(clips)), longest=window_frames(recipe.features))
        outputs = part if outputs is None else outputs + part
    assert outputs is not None
    np.savez(
        path.with_suffix(".npz"),
        **outputs.state(),
        ids=np.array(data.test.machine_ids),
        labels=data.test.labels,
        seconds=time.perf_counter() - start,
    )
    detector.save(path)


def figures(path: Path) -> dict[str, np.ndarray]:
    """Return of one run, for each ID, AUC and held-out clips, and for each rate and ID what is above the thresholds.

    These are the detector's, and for comparison the true ones: quantiles of the test normals themselves.
    """
    saved = offkey.load(path)
    detector = saved.rescored(saved.recipe.scoring)  # calibrated by the code as it is now
    network, fusion = detector._fitted().models["network"], detector._fitted().fusion
    with np.load(path.with_suffix(".npz")) as file:
        arrays = {name: file[name] for name in file.files}
    ids, labels = arrays.pop("ids"), arrays.pop("labels")
    widths = {
        name: array.shape[1] if array.ndim > 1 else 0
        for name, array in arrays.items()
        if name not in ("owners", "seconds")
    }
    raw = network._scorer.matrices(ClipOutputs.from_state(arrays, widths))
    scores = fusion.apply(raw, ids.tolist(), rate=RATES[0]).anomaly_score
    limits = [detector.thresholds_at(rate) for rate in RATES]
    above = np.array([scores > [of_id[i] for i in ids.tolist()] for of_id in limits])
    names = detector.machine_ids
    normal, faulty = ([(ids == i) & (labels == label) for i in names] for label in (0, 1))
    return {
        "auc": np.array([auc(labels[ids == i], scores[ids == i]) for i in names]),
        "held_out": np.array([network.held_out.machine_ids.count(i) for i in names]),
        "achieved": np.array([[row[of_id].mean() for of_id in normal] for row in above]),
        "called": np.array([[row[of_id].mean() for of_id in faulty] for row in above]),
        "findable": np.array(
            [
                [
                    np.mean(scores[odd] > np.quantile(scores[sound], 1 - rate))
                    for odd, sound in zip(faulty, normal, strict=True)
                ]
                for rate in RATES
            ]
        ),
    }


def row(title: str, runs: list[dict[str, np.ndarray]]) -> str:
    """Return a line of the table: means over seeds and IDs, their standard error over seeds, and the range of IDs."""
    held = np.concatenate([run["held_out"] for run in runs])
    cells = [title, f"{held.min()}" if held.min() == held.max() else f"{held.min()} to {held.max()}"]
    cells.append(f"{np.mean([run['auc'].mean() for run in runs]):.3f}")
    for at in range(len(RATES)):
        of_seed = np.array([run["achieved"][at] for run in runs])
        error = of_seed.mean(axis=1).std(ddof=1) / np.sqrt(len(runs)) if len(runs) > 1 else np.nan
        called, findable = (np.mean([run[name][at] for run in runs]) for name in ("called", "findable"))
        cells += [
            f"{of_seed.mean():.3f} ± {error:.3f} ({of_seed.min():.2f} to {of_seed.max():.2f})",
            f"{called:.2f} of {findable:.2f}",
        ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Train what is not there, and print the table as Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--recipe", default="small")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--clips", type=int, default=60)
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=NUMBER", help="of `scoring`")
    parser.add_argument("--epochs", help="of both stages, such as 2,1")
    arguments = parser.parse_args()
    changes = dict(text.split("=", 1) for text in arguments.set)
    recipe = offkey.Recipe.named(arguments.recipe).replace(
        training__clip_seconds=SECONDS,
        **{f"scoring__{name}": json.loads(text) for name, text in changes.items()},
    )
    if arguments.epochs:
        first, second = map(int, arguments.epochs.split(","))
        recipe = recipe.replace(training__stage1_epochs=first, training__stage2_epochs=second)
    epochs = [f"epochs={arguments.epochs}"] if arguments.epochs else []
    title = "-".join([arguments.recipe, str(arguments.clips), *arguments.set, *epochs])
    runs = []
    for seed in map(int, arguments.seeds.split(",")):
        path = arguments.out / f"{title}-{seed}.offkey"
        if not path.exists():
            data = machine_set(arguments.out, seed, arguments.clips)
            train(path, first_clips(data, arguments.clips), recipe, seed)
        runs.append(figures(path))
    asked = " | ".join(
        f"{rate:.0%}: alarms (IDs) | faults called of those a true threshold calls" for rate in RATES
    )
    print(f"| run | held out of an ID | AUC | {asked} |")
    print("|---" * (3 + 2 * len(RATES)) + "|")
    print(row(title, runs))


if __name__ == "__main__":
    main()
