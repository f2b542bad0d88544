"""What a far microphone is worth to the closed-form ratio, on synthetic machines (docs/near_far.md).

    python benches/python/near_far.py FOLDER [--seeds 31,32] [--snr -3,-6] [--far -10,-20] [--clips 60]

Four machines of each of four types, recorded by two microphones (`offkey synth --far`): of each, 60 healthy clips of
five seconds to learn from, 30 others and 30 with a fault to try. The ratio of recipe `spectral` on its sets F, A and P
(ridge 1e-3, one covariance for all machines), standardised by clips of other folds; nothing else of the recipe. Beside
the near channel alone there are

    regression   near statistics less what ridge regression on the far ones says; those of training clips by the
                 regression without the clip; the ridge with the smallest error of clips left out
    joint        the ratio of near and far statistics together, under the hypothesis that an anomaly is in the near ones
    difference   near less far statistics
    both         the sum of the scores of the two channels
    far          the far channel alone

FOLDER keeps statistics: what is there is not rendered again.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from threadpoolctl import threadpool_limits

import offkey
from offkey._util.files import atomic_path
from offkey.datasets import synthetic
from offkey.metrics import auc, pauc
from offkey.models.spectral.likelihood_ratio import prior_covariance

IDS = ("00", "02", "04", "06")
SETS = {"F": ("fine_mean",), "A": ("mean", "ldstd"), "P": ("p5",)}
STATISTICS = ("mean", "ldstd", "p5", "fine_mean")
TRAINING, NORMALS, FAULTS = 60, 30, 30
SECONDS = 5.0
RIDGE, FAR_RIDGE, TAU, FOLDS = 1e-3, 0.1, 0.01, 3
RIDGES = (1e-3, 1e-2, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 1e6)
LOGMEL = offkey.LogMel.paper()
FINE = offkey.LogMel(n_fft=2048, n_mels=256)


class Clips(NamedTuple):
    """Statistics of both channels, by name, and what is known of the clips."""

    near: dict[str, np.ndarray]
    far: dict[str, np.ndarray]
    ids: np.ndarray
    faulty: np.ndarray
    training: np.ndarray

    @property
    def fold(self) -> np.ndarray:
        """The fold of each training clip, ``(clips,)``; -1 for the others."""
        fold = np.full(len(self.ids), -1)
        for i in range(len(IDS)):
            rows = np.flatnonzero(self.training & (self.ids == i))
            fold[rows] = np.arange(len(rows)) % FOLDS
        return fold

    def first_of_each(self, count: int) -> Clips:
        """Return the clips with fewer to learn from: the first of each machine."""
        keep = ~self.training
        for i in range(len(IDS)):
            keep[np.flatnonzero(self.training & (self.ids == i))[:count]] = True
        channels = ({name: array[keep] for name, array in part.items()} for part in self[:2])
        return Clips(*channels, *(column[keep] for column in self[2:]))


def rendered(machine: str, snr_db: float, far_db: float, seed: int) -> Iterator[np.ndarray]:
    """Yield ``(2, samples)`` of all clips, those to learn from first, machine by machine."""
    kinds = synthetic.FAULTS[machine]
    render = functools.partial(
        synthetic.render, machine, seconds=SECONDS, seed=seed, snr_db=snr_db, far_db=far_db
    )
    healthy = TRAINING + NORMALS
    for name in IDS:
        severities = np.random.default_rng([seed, int(name)]).random(FAULTS)
        for clip in range(healthy):
            yield render(name, clip=clip)
        for clip, severity in enumerate(severities.tolist(), start=healthy):
            yield render(name, clip=clip, fault=kinds[clip % len(kinds)], severity=severity)


def measured(path: Path, machine: str, snr_db: float, far_db: float, seed: int) -> Clips:
    """Return the statistics of a set of machines, from the file if it is there."""
    if not path.exists():
        rows = [
            LOGMEL.statistics(list(both), fine=FINE, num_threads=1)
            for both in rendered(machine, snr_db, far_db, seed)
        ]
        arrays = {name: np.stack([getattr(row, name) for row in rows]) for name in STATISTICS}
        with atomic_path(path) as scratch, scratch.open("wb") as file:
            np.savez(file, **arrays)
    with np.load(path) as file:
        both = {name: file[name].astype(np.float64) for name in STATISTICS}
    of_machine = np.arange(TRAINING + NORMALS + FAULTS)
    return Clips(
        *({name: array[:, channel] for name, array in both.items()} for channel in (0, 1)),
        ids=np.repeat(np.arange(len(IDS)), len(of_machine)),
        faulty=np.tile(of_machine >= TRAINING + NORMALS, len(IDS)),
        training=np.tile(of_machine < TRAINING, len(IDS)),
    )


def features(statistics: dict[str, np.ndarray], feature_set: str) -> np.ndarray:
    """Return a feature set, ``(clips, blocks * bins)``."""
    return np.concatenate([statistics[name] for name in SETS[feature_set]], axis=1)


@functools.cache
def prior(bins: int, blocks: int) -> np.ndarray:
    """Return K of docs/spectral.md."""
    return prior_covariance(n_mels=bins // blocks, mask=np.ones(bins, dtype=bool))


def centred(values: np.ndarray, ids: np.ndarray, fitted: np.ndarray) -> np.ndarray:
    """Return deviations from the mean of the ID's fitted clips, in units of theirs over all."""
    means = np.stack([values[fitted & (ids == i)].mean(axis=0) for i in range(len(IDS))])
    return (values - means[ids]) / np.maximum(values[fitted].std(axis=0), 1e-3)


def log_ratios(
    near: np.ndarray, far: np.ndarray | None, ids: np.ndarray, fitted: np.ndarray, *, blocks: int
) -> np.ndarray:
    """Return the log ratio of every clip at its own ID, ``(clips,)``, by a fit to some.

    With `far` the Gaussian is that of both; since an anomaly is in `near` alone, its ratio is that of the residual of
    near given far.
    """
    deviations = centred(near, ids, fitted)
    bins, freedom = deviations.shape[1], np.count_nonzero(fitted) - len(IDS)
    covariance = deviations[fitted].T @ deviations[fitted] / freedom
    mean_eigenvalue = np.trace(covariance) / bins
    if far is not None:
        others = centred(far, ids, fitted)
        of_far = others[fitted].T @ others[fitted] / freedom
        across = others[fitted].T @ deviations[fitted] / freedom
        ridge = FAR_RIDGE * np.trace(of_far) / len(of_far)
        slopes = np.linalg.solve(of_far + ridge * np.eye(len(of_far)), across)
        explained = across.T @ slopes
        covariance -= (explained + explained.T) / 2
        deviations = deviations - others @ slopes
    normal = (1 - RIDGE) * covariance + RIDGE * mean_eigenvalue * np.eye(bins)
    shift = TAU * mean_eigenvalue * prior(bins, blocks)
    of_normal, of_both = (cho_solve(cho_factor(matrix), deviations.T) for matrix in (normal, normal + shift))
    ratios: np.ndarray = np.log(np.maximum(np.sum(of_normal * (shift @ of_both), axis=0), 0.0) + 1e-12)
    return ratios


def standardised(near: np.ndarray, far: np.ndarray | None, clips: Clips, *, blocks: int) -> np.ndarray:
    """Return the z of every clip at its own ID, ``(clips,)``."""
    scores = log_ratios(near, far, clips.ids, clips.training, blocks=blocks)
    fold = clips.fold
    left_out = np.zeros(len(scores))
    for k in range(FOLDS):
        fitted = clips.training & (fold != k)
        left_out[fold == k] = log_ratios(near, far, clips.ids, fitted, blocks=blocks)[fold == k]
    for i in range(len(IDS)):
        rows = clips.ids == i
        own = left_out[rows & clips.training]
        scores[rows] = (scores[rows] - own.mean()) / own.std()
    return scores


def residuals(near: np.ndarray, far: np.ndarray, clips: Clips) -> tuple[np.ndarray, float]:
    """Return near features less what ridge regression on the far ones says, and the share that it explains.

    The regression is between deviations from the means of IDs, which it takes from the same clips: of a training clip
    the residual is that of the regression and the means without it, ``r / (1 - h)`` with the clip's leverage h. The
    ridge, of all features, is the one with the smallest sum of squares of these. The share is 1 less that sum against
    the one without regression.
    """
    ids, training = clips.ids, clips.training
    targets, sources = centred(near, ids, training), centred(far, ids, training)
    left, values, right = np.linalg.svd(sources[training], full_matrices=False)
    along = left.T @ targets[training]
    of_mean = 1 / np.bincount(ids[training])[ids[training]]
    best = np.inf, np.empty(0), np.empty(0)
    for ridge in RIDGES:
        kept = values**2 / (values**2 + ridge * np.count_nonzero(training))
        leverages = np.square(left) @ kept + of_mean
        rest = (targets[training] - left @ (kept[:, None] * along)) / (1 - leverages)[:, None]
        best = min(best, (float(np.square(rest).sum()), kept, rest), key=lambda fit: fit[0])
    error, kept, rest = best
    unexplained = np.square(targets[training] / (1 - of_mean)[:, None]).sum()
    predicted = sources @ (right.T @ ((kept / values)[:, None] * along))
    result = targets - predicted
    result[training] = rest
    return result, 1 - error / float(unexplained)


def scores_of(clips: Clips) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Return the score of each way, ``(clips,)``, and what share of each set the far channel explains."""
    totals: dict[str, np.ndarray] = {}
    shares = {}
    for feature_set in SETS:
        blocks = len(SETS[feature_set])
        near, far = (features(part, feature_set) for part in (clips.near, clips.far))
        rest, shares[feature_set] = residuals(near, far, clips)
        z = {
            "near": standardised(near, None, clips, blocks=blocks),
            "regression": standardised(rest, None, clips, blocks=blocks),
            "joint": standardised(near, far, clips, blocks=blocks),
            "difference": standardised(near - far, None, clips, blocks=blocks),
            "far": standardised(far, None, clips, blocks=blocks),
        }
        z["both"] = z["near"] + z["far"]
        totals = {way: totals.get(way, 0.0) + score for way, score in z.items()}
    return totals, shares


def areas(score: np.ndarray, clips: Clips) -> tuple[float, float]:
    """Return AUC and pAUC, mean over machines."""
    tested = [~clips.training & (clips.ids == i) for i in range(len(IDS))]
    return (
        float(np.mean([auc(clips.faulty[rows], score[rows]) for rows in tested])),
        float(np.mean([pauc(clips.faulty[rows], score[rows]) for rows in tested])),
    )


def numbers(text: str) -> list[float]:
    """Return numbers separated by commas."""
    return [float(part) for part in text.split(",")]


def main() -> None:
    """Measure every set, and print a row for each level of noise and of the machine at the far microphone."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--machines", default=",".join(synthetic.MACHINES))
    parser.add_argument("--seeds", type=numbers, default=[31.0])
    parser.add_argument("--snr", type=numbers, default=[-3.0, -6.0])
    parser.add_argument("--far", type=numbers, default=[-10.0, -20.0])
    parser.add_argument("--clips", type=int, default=TRAINING)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    for snr_db in options.snr:
        for far_db in options.far:
            rows: dict[str, list[tuple[float, float]]] = {}
            explained: dict[str, list[float]] = {}
            for seed in map(int, options.seeds):
                for machine in options.machines.split(","):
                    path = options.folder / f"{machine}_{seed}_{snr_db:g}_{far_db:g}.npz"
                    clips = measured(path, machine, snr_db, far_db, seed).first_of_each(options.clips)
                    scores, shares = scores_of(clips)
                    for way, score in scores.items():
                        rows.setdefault(way, []).append(areas(score, clips))
                    for feature_set, share in shares.items():
                        explained.setdefault(feature_set, []).append(share)
            report(snr_db, far_db, rows, explained)


def report(
    snr_db: float,
    far_db: float,
    rows: dict[str, list[tuple[float, float]]],
    explained: dict[str, list[float]],
) -> None:
    """Print means over sets of machines, and the gain over the near channel with its standard error."""
    near = np.array(rows["near"])
    shares = ", ".join(f"{name} {np.mean(values):.2f}" for name, values in explained.items())
    print(f"\nSNR {snr_db:g} dB, machine at the far microphone {far_db:g} dB, {len(near)} sets of 4 machines")
    print(f"the far channel explains of the near one's variance: {shares}")
    for way, values in rows.items():
        of_way = np.array(values)
        gains = of_way - near
        error = gains.std(axis=0, ddof=1) / np.sqrt(len(gains)) if len(gains) > 1 else np.full(2, np.nan)
        text = " | ".join(
            f"{name} {of_way[:, k].mean():.3f} ({gains[:, k].mean():+.3f} ± {error[k]:.3f})"
            for k, name in enumerate(("AUC", "pAUC"))
        )
        print(f"{way:12s} {text}", flush=True)


if __name__ == "__main__":
    with threadpool_limits(1, user_api="blas"):
        main()
