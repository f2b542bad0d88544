"""Does the map of `Detector.explain` lie where the fault is? Measured on synthetic machines, whose faults are known.

    python benches/python/explain_truth.py --work explain --out truth.md

`synth` writes in `fault_list.csv` in which bands and at which times each fault stands out most: half-power bands and
times. Those of every faulty test clip are widened by two Mel bins and two frames. A map is scored by the share of its
energy (squares of what raises the score) inside, over the share of the area that this is: 1 is chance. `clear` are the
faults of the upper half of severities, `barely` those of the lower. The sanity test explains the same clips by the same
detector with the rows of its factors shuffled: rank correlations of the maps' bands and cells.
"""

from __future__ import annotations

import argparse
import csv
import warnings
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
    parser.add_argument("--seed", type=int, default=5)
    options = parser.parse_args()
    warnings.simplefilter("ignore", OffkeyWarning)
    tree = options.work / f"tree-{options.seed}"
    synthetic.write(
        tree,
        machines=tuple(options.machines.split(",")),
        ids=tuple(options.ids.split(",")),
        clips_train=options.train,
        clips_test_normal=options.test,
        clips_test_anomaly=2 * options.test,
        seed=options.seed,
        resume=tree.is_dir(),
    )
    places = {row["file"]: row for row in csv.DictReader((tree / synthetic.PLACES).open())}
    rows = [
        row for machine in options.machines.split(",") for row in of_machine(tree, machine, options, places)
    ]
    text = table(rows)
    print(text)
    if options.out:
        options.out.write_text(text)


def of_machine(tree: Path, machine: str, options: argparse.Namespace, places: dict) -> Iterator[dict]:
    """Yield what there is to say of each faulty test clip of a machine type."""
    data = synthetic.load(tree, machine=machine)
    path = options.work / f"{machine}-{options.recipe}-{options.seed}.offkey"
    if not path.is_file():
        offkey.Detector(options.recipe).fit(data).save(path)
    detector, other = offkey.load(path), shuffled(offkey.load(path))
    scores = detector.score(data)
    normal = [row["anomaly_score"] for row in scores.rows() if row["label"] == 0]
    for row in scores.rows():
        place = places.get(Path(row["path"]).relative_to(tree).as_posix())
        if place is None:
            continue
        explanation = detector.explain(row["path"])
        inside = mask(explanation, place)
        again = None if other is None else other.explain(row["path"])
        yield {
            "machine": machine,
            "fault": place["fault"],
            "clear": float(place["severity"]) >= 0.5,
            "score": row["anomaly_score"],
            "normal": normal,
            "odd": explanation.odd,
            "area": inside.mean(),
            **gains(explanation.map, inside),
            "bands": None if again is None else rank_correlation(explanation.map.sum(1), again.map.sum(1)),
            "cells": None if again is None else rank_correlation(explanation.map, again.map),
        }


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


def shuffled(detector: offkey.Detector) -> offkey.Detector | None:
    """Shuffle the weights of a closed-form model: none of another."""
    model = detector._state.models.get("spectral")
    if model is None:
        return None
    rng = np.random.default_rng(0)
    for name, ratio in model._ratios.items():
        order = rng.permutation(ratio.factors.shape[1])
        factors = np.stack([factor[order] for factor in ratio.factors])
        model._ratios[name] = type(ratio)(ratio.scale, ratio.means, factors, ratio.which)
    return detector


def rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    ranks = [values.ravel().argsort().argsort() for values in (one, other)]
    return float(np.corrcoef(*ranks)[0, 1])


def table(rows: list[dict]) -> str:
    """Return the figures of each fault, clear and barely audible, and over all."""
    lines = [
        "| machine | fault | area | clear: AUC | energy | amount | barely: AUC | energy | amount |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    kinds: dict[tuple[str, str], list[dict]] = {}
    for row in rows:
        kinds.setdefault((row["machine"], row["fault"]), []).append(row)
    of_kinds = [figures(own) for own in kinds.values()]
    of_halves = []
    for (machine, fault), own in kinds.items():
        halves = [figures([row for row in own if row["clear"] is clear]) for clear in (True, False)]
        of_halves += halves
        cells = " | ".join(f"{auc:.3f} | {energy:.1f} | {amount:.1f}" for auc, energy, amount in halves)
        lines.append(f"| {machine} | {fault} | {median(row['area'] for row in own):.2f} | {cells} |")
    lines.append("")
    for name, sets in (("kinds", of_kinds), ("halves of kinds, clear or barely audible,", of_halves)):
        found = [energy for auc, energy, _ in sets if auc >= AUC]
        line = f"Median energy over the {len(sets)} {name} {median(e for _, e, _ in sets):.1f}"
        if found:
            line += f"; over the {len(found)} with an AUC of {AUC} or more {median(found):.1f}"
        lines.append(f"{line}.")
    sane = [row for row in rows if row["cells"] is not None]
    if sane:
        lines.append(
            f"Shuffled weights: rank correlation of maps {median(row['cells'] for row in sane):.2f}, of what bands add "
            f"{median(row['bands'] for row in sane):.2f} (medians over {len(sane)} clips)."
        )
    return "\n".join(lines) + "\n"


def figures(rows: list[dict]) -> tuple[float, float, float]:
    """Return the AUC of some faulty clips, and the medians of energy and of amount."""
    normal, scores = rows[0]["normal"], [row["score"] for row in rows]
    auc = offkey.metrics.auc([0] * len(normal) + [1] * len(rows), normal + scores)
    return auc, median(row["energy"] for row in rows), median(row["amount"] for row in rows)


if __name__ == "__main__":
    main()
