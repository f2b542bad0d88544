"""Two gates of recipe `near` side by side: the rhythm Q, and J, how well the clips' IDs are told apart.

    python benches/python/near_gates.py [--synthetic TREE ...] [--uav TREE ...] [--machines fan,pump,slider,valve]

Both read normal training clips alone. Q is that of `offkey.models.spectral.rhythm`; J of feature sets L and T is
max(0, (a - 1/n) / (1 - 1/n)) for n IDs, a the share of clips that are nearest to their own ID's mean under one
covariance for all IDs, fitted without their fold. J takes the rich kinds, all feature sets and the conformer path where
J_L is above 0.7.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from offkey.datasets import Dataset, dcase2020, folder
from offkey.datasets.source import Source
from offkey.models.near.features import ClipFeatures
from offkey.models.spectral.rhythm import rhythm_strength
from offkey.recipe import Recipe

LEAST_J, LEAST_Q = 0.7, 0.2


def told_apart(features: np.ndarray, ids: np.ndarray) -> float:
    """Return J of a feature set, ``(clips, features)``."""
    count = len(np.unique(ids))
    nearest = make_pipeline(
        StandardScaler(),
        LinearDiscriminantAnalysis(solver="lsqr", shrinkage=1e-3, priors=np.full(count, 1 / count)),
    )
    folds = StratifiedKFold(4, shuffle=True, random_state=0)
    accuracy = cross_val_score(nearest, features, ids, cv=folds, scoring="balanced_accuracy").mean()
    return max(0.0, (accuracy - 1 / count) / (1 - 1 / count))


def gates(data: Dataset) -> tuple[float, float, float]:
    """Return Q, J_L and J_T of a set."""
    features = Recipe.named("near").features
    logmels = [
        logmel
        for chunk in Source.of(data.train.paths, features=features).chunks()
        for logmel in np.asarray(chunk.logmels)
    ]
    ids = np.unique(data.train.machine_ids, return_inverse=True)[1]
    sets = ClipFeatures(features).of(logmels, ("L", "T"))
    strength = rhythm_strength(sets["T"], ids, np.ones(len(ids)))
    return strength, told_apart(sets["L"], ids), told_apart(sets["T"], ids)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--synthetic", type=Path, nargs="*", default=[])
    parser.add_argument("--uav", type=Path, nargs="*", default=[])
    parser.add_argument("--machines", default="fan,pump,slider,valve")
    arguments = parser.parse_args()
    sets = [
        (f"{tree.parent.name}, {machine}", dcase2020(tree, machine=machine))
        for machine in arguments.machines.split(",")
        for tree in arguments.synthetic
    ]
    sets += [(tree.name, folder(tree, manifest="manifest.csv")) for tree in arguments.uav]
    print("| set | Q | J_L | J_T | by Q | by J |\n|---|---|---|---|---|---|")
    for name, data in sets:
        strength, of_l, of_t = gates(data)
        chosen = ["rich" if rich else "static" for rich in (strength > LEAST_Q, of_l > LEAST_J)]
        print(
            f"| {name} | {strength:.2f} | {of_l:.2f} | {of_t:.2f} | {chosen[0]} | {chosen[1]} |", flush=True
        )


if __name__ == "__main__":
    main()
