"""Does the map of `Detector.explain` lie where the fault is? Measured on synthetic machines, whose faults are known.

    python benches/python/explain_truth.py --work explain --out truth.md
    python benches/python/explain_truth.py --work explain --recipe small --epochs 3 --machines fan --seeds 5

`synth` writes in `fault_list.csv` in which bands and at which times each fault stands out most: half-power bands and
times. Those of every faulty test clip are widened by two Mel bins and two frames. A map is scored by the share of its
energy (squares of what raises the score) inside, over the share of the area that this is: 1 is chance. `clear` are the
faults of the upper half of severities, `barely` those of the lower. The sanity test explains the same clips by the same
detector with all that it has learned shuffled: rank correlations of the maps' bands and cells.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import numpy as np

import offkey
from offkey.datasets import synthetic
from offkey.errors import OffkeyWarning

MACHINES = ("fan", "pump", "slider", "valve")
WIDER = 2
AUC = 0.95


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, required=True, help="a folder for the recordings and detectors")
    parser.add_argument("--out", type=Path, help="write the tables here")
    parser.add_argument("--machines", default=",".join(MACHINES))
    parser.add_argument("--ids", default="00,02")
    parser.add_argument("--train", type=int, default=80, help="training clips of each ID")
    parser.add_argument(
        "--test", type=int, default=24, help="healthy test clips of each ID; twice as many faulty ones"
    )
    parser.add_argument("--recipe", default="spectral")
    parser.add_argument(
        "--epochs", type=int, help="epochs of each stage of a network, in place of the recipe's"
    )
    parser.add_argument(
        "--clips", type=int, default=1000, help="how many faulty clips of each kind are explained"
    )
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seeds", default="5,21,22", help="each makes machines, noise and faults of its own")
    options = parser.parse_args()
    warnings.simplefilter("ignore", OffkeyWarning)
    rows = [row for seed in options.seeds.split(",") for row in of_seed(int(seed), options)]
    text = table(rows)
    print(text)
    if options.out:
        options.out.write_text(text)


def of_seed(seed: int, options: argparse.Namespace) -> Iterator[dict]:
    """Yield what there is to say of each faulty test clip of all machine types."""
    tree = options.work / f"tree-{seed}"
    synthetic.write(
        tree,
        machines=tuple(options.machines.split(",")),
        ids=tuple(options.ids.split(",")),
        clips_train=options.train,
        clips_test_normal=options.test,
        clips_test_anomaly=2 * options.test,
        seed=seed,
        resume=tree.is_dir(),
    )
    places = {row["file"]: row for row in csv.DictReader((tree / synthetic.PLACES).open())}
    for machine in options.machines.split(","):
        for row in of_machine(tree, machine, options, places):
            yield row | {"seed": seed}


def of_machine(tree: Path, machine: str, options: argparse.Namespace, places: dict) -> Iterator[dict]:
    """Yield what there is to say of each faulty test clip of a machine type."""
    data = synthetic.load(tree, machine=machine)
    path = tree / f"{machine}-{options.recipe}-{options.epochs}.offkey"
    if not path.is_file():
        offkey.Detector(recipe(options)).fit(data, device=options.device).save(path)
    detector, other = offkey.load(path), shuffled(offkey.load(path))
    scores = list(detector.score(data, device=options.device).rows())
    normal = [row["anomaly_score"] for row in scores if row["label"] == 0]
    taken: Counter[str] = Counter()
    for row in scores:
        place = places.get(Path(row["path"]).relative_to(tree).as_posix())
        if place is None:
            continue
        taken[place["fault"]] += 1
        said = {"score": row["anomaly_score"], "normal": normal, "clear": float(place["severity"]) >= 0.5}
        if taken[place["fault"]] <= options.clips:
            maps = [one.explain(row["path"], device=options.device) for one in (detector, other)]
            said |= compared(*maps, place)
        yield {"machine": machine, "fault": place["fault"]} | said


def compared(
    explanation: offkey.explain.Explanation, shuffled: offkey.explain.Explanation, place: dict
) -> dict[str, float]:
    """Return how much of a map lies in the true place, and how like that of shuffled weights it is."""
    inside = mask(explanation, place)
    return {
        "area": inside.mean(),
        **gains(explanation.map, inside),
        "bands": rank_correlation(explanation.map.sum(1), shuffled.map.sum(1)),
        "cells": rank_correlation(explanation.map, shuffled.map),
    }


def recipe(options: argparse.Namespace) -> offkey.Recipe:
    """Return the recipe, with fewer epochs if asked for."""
    named = offkey.Recipe.named(options.recipe)
    if options.epochs is None:
        return named
    return named.replace(training__stage1_epochs=options.epochs, training__stage2_epochs=options.epochs)


def mask(explanation: offkey.explain.Explanation, place: dict) -> np.ndarray:
    """Return the cells of the map in the true place, widened."""
    cells = explanation.picture.cells
    axes = []
    for edges, text in ((cells.edges_hz, place["bands_hz"]), (cells.edges_s, place["times_s"])):
        strong = np.zeros(len(edges) - 1, dtype=bool)
        for interval in text.split():
            low, high = map(float, interval.split("-"))
            strong |= (edges[:-1] < high - 1e-3) & (edges[1:] > low + 1e-3)
        axes.append(np.convolve(strong, np.ones(2 * WIDER + 1), "same") > 0)
    return np.outer(*axes)


def gains(added: np.ndarray, inside: np.ndarray) -> dict[str, float]:
    """Return the shares of a map inside the true place over the share of its area."""
    positive = np.maximum(added, 0)
    shares = {}
    for name, amounts in (("energy", np.square(positive)), ("amount", positive)):
        total = amounts.sum()
        shares[name] = amounts[inside].sum() / total / inside.mean() if total > 0 and inside.any() else 0.0
    return shares


def shuffled(detector: offkey.Detector) -> offkey.Detector:
    """Shuffle what the models have learned: rows of factors and roots, and the weights of networks."""
    rng = np.random.default_rng(0)
    for name, model in detector._state.models.items():
        if name == "spectral":
            for of_set, ratio in model._ratios.items():
                factors = ratio.factors[:, rng.permutation(ratio.factors.shape[1])]
                model._ratios[of_set] = dataclasses.replace(ratio, factors=factors)
            continue
        for member in getattr(model, "_members", ()):
            sets = member.deviations.sets
            for of_set, deviations in sets.items():
                root = deviations.root[rng.permutation(len(deviations.root))]
                sets[of_set] = dataclasses.replace(deviations, root=root)
        for net in [member.net for member in getattr(model, "_members", ())] or [model._model]:
            for weights in net.parameters():
                flat = weights.detach().flatten()
                weights.data = flat[rng.permutation(len(flat))].view_as(weights)
    return detector


def rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    ranks = [values.ravel().argsort().argsort() for values in (one, other)]
    return float(np.corrcoef(*ranks)[0, 1])


def table(rows: list[dict]) -> str:
    """Return the figures of each fault, clear and barely audible, and over all: means over seeds."""
    lines = [
        "| machine | fault | area | AUC | energy | clear: AUC | energy | amount | barely: AUC | energy | amount |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    kinds: dict[tuple[str, str], list[dict]] = {}
    for row in rows:
        kinds.setdefault((row["machine"], row["fault"]), []).append(row)
    halves = {"all severities": (True, False), "clear": (True,), "barely audible": (False,)}
    of_halves: dict[str, list[tuple[float, float, float]]] = {name: [] for name in halves}
    for (machine, fault), own in kinds.items():
        cells = [machine, fault, f"{of_explained(own, 'area'):.2f}"]
        for name, severities in halves.items():
            of_seeds = seeds_apart([row for row in own if row["clear"] in severities])
            of_halves[name] += of_seeds
            auc, energy, amount = np.mean(of_seeds, axis=0)
            cells += [f"{auc:.3f}", f"{energy:.1f}"] + [f"{amount:.1f}"] * (name != "all severities")
        lines.append(f"| {' | '.join(cells)} |")
    lines.append("")
    for name, sets in of_halves.items():
        found = [energy for auc, energy, _ in sets if auc >= AUC]
        line = f"{name}: median energy over {len(sets)} kinds of fault {median(e for _, e, _ in sets):.1f}"
        if found:
            line += f"; over the {len(found)} with an AUC of {AUC} or more {median(found):.1f}"
        lines.append(f"{line}.")
    lines.append(
        f"Shuffled weights: rank correlation of maps {of_explained(rows, 'cells'):.2f}, of what bands add "
        f"{of_explained(rows, 'bands'):.2f} (medians over {sum('cells' in row for row in rows)} clips)."
    )
    return "\n".join(lines) + "\n"


def seeds_apart(rows: list[dict]) -> list[tuple[float, float, float]]:
    """Return AUC, and the medians of energy and of amount, of some faulty clips of each seed."""
    figures = []
    for seed in sorted({row["seed"] for row in rows}):
        own = [row for row in rows if row["seed"] == seed]
        normal, scores = own[0]["normal"], [row["score"] for row in own]
        auc = offkey.metrics.auc([0] * len(normal) + [1] * len(own), normal + scores)
        figures.append((auc, of_explained(own, "energy"), of_explained(own, "amount")))
    return figures


def of_explained(rows: list[dict], name: str) -> float:
    """Return the median over the clips that were explained."""
    return median([row[name] for row in rows if name in row])


if __name__ == "__main__":
    main()
