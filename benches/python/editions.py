"""Both editions of recipe `spectral` beside each other: ranking, alarms, and seconds to fit.

    python benches/python/editions.py FOLDER [--seeds 3] [--snr 0,-6] [--recordings NAME=TREE]

Synthetic machines of four types, four of each for each seed: of each 100 healthy clips of five seconds to learn from,
100 others and 60 with a fault to try. Real recordings are divided as their tree says; a seed orders folds and draws.
Columns: the first edition; the second; the second without the label-free check; and, of the first seed alone, the
second with two spectra in place of one. A second table has the first two with 15, 30, 60 and 100 clips a machine.
Labels are read after the fit. FOLDER keeps statistics and results: what is there is not computed again. Seconds are of
processor time on one core, and of a fit alone.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from calibration import named_tree
from threadpoolctl import threadpool_limits

import offkey
from offkey._util.files import atomic_path, write_text
from offkey.datasets import folder, synthetic
from offkey.datasets.statistics_plan import Measures
from offkey.metrics import auc, pauc
from offkey.models.base import statistics_plan
from offkey.models.spectral import Spectral, Spectrum
from offkey.models.spectral.model import SpectralModel
from offkey.scoring.fusion import Fusion
from offkey.signal.statistics import ClipStatistics

IDS = ("00", "02", "04", "06")
TRAINING, NORMALS, FAULTS = 100, 100, 60
SECONDS = 5.0
CURVE = (15, 30, 60, 100)
RATE = 0.05
SECOND = offkey.Recipe.named("spectral")
TWO_SPECTRA = SECOND.replace(
    spectral__spectra=[
        Spectrum(n_fft=4, hop_length=4, n_mels=2),
        Spectrum(n_fft=8, hop_length=8, n_mels=3),
    ]
)
RECIPES = {
    "first": SECOND.replace(spectral=Spectral.first_edition()),
    "second": SECOND,
    "second, no check": SECOND.replace(spectral__check=False),
}
TWO = "second, two spectra"


class Clips(NamedTuple):
    """Clips of several machines; `two_means` are those of the two spectra, which not every set has."""

    statistics: ClipStatistics
    two_means: np.ndarray
    ids: np.ndarray
    groups: np.ndarray
    faulty: np.ndarray
    training: np.ndarray

    @classmethod
    def measured(
        cls,
        sounds: Iterator[np.ndarray],
        *,
        ids: Sequence[str],
        groups: Sequence[str],
        faulty: Sequence[bool],
        training: Sequence[bool],
        two_spectra: bool,
    ) -> Clips:
        """Measure sounds, some at a time."""
        second, two = (Measures(recipe.features, statistics_plan(recipe)) for recipe in (SECOND, TWO_SPECTRA))
        parts, two_means = [], []
        while batch := [sound for _, sound in zip(range(100), sounds, strict=False)]:
            parts.append(second.statistics(batch, num_threads=None))
            nothing = np.empty((len(batch), 0))
            two_means.append(two.statistics(batch, num_threads=None).fine_mean if two_spectra else nothing)
        return cls(
            ClipStatistics.joined(parts),
            np.concatenate(two_means),
            *(np.array(column) for column in (ids, groups, faulty, training)),
        )

    def write(self, path: Path) -> None:
        """Write an npz file, whole or not at all."""
        further = self._asdict()
        arrays = further.pop("statistics").arrays() | further
        with atomic_path(path) as scratch, scratch.open("wb") as file:
            np.savez(file, **arrays)

    @classmethod
    def read(cls, path: Path) -> Clips:
        """Read what `write` wrote."""
        with np.load(path) as file:
            arrays = dict(file)
        further = {name: arrays.pop(name) for name in cls._fields[1:]}
        return cls(ClipStatistics(**arrays), **further)

    def take(self, rows: np.ndarray) -> Clips:
        """Return those at `rows`, a mask."""
        return Clips(self.statistics.take(rows), *(column[rows] for column in self[1:]))


def synthetic_clips(machine: str, snr_db: float, seed: int) -> Clips:
    """Render and measure the machines of a type."""
    kinds = synthetic.FAULTS[machine]
    severities = np.arange(FAULTS) * 0.6180339887 % 1.0  # spread evenly over [0, 1], whatever the kind
    plans: list[dict[str, Any]] = [{"clip": clip} for clip in range(TRAINING + NORMALS)]
    plans += [
        {"clip": 10_000 + k, "fault": kinds[k % len(kinds)], "severity": float(severities[k])}
        for k in range(FAULTS)
    ]
    sounds = (
        synthetic.render(machine, name, seconds=SECONDS, seed=seed, snr_db=snr_db, **plan)[0]
        for name in IDS
        for plan in plans
    )
    return Clips.measured(
        sounds,
        ids=np.repeat(IDS, len(plans)).tolist(),
        groups=[f"{name}/{k}" for name in IDS for k in range(len(plans))],
        faulty=["fault" in plan for plan in plans] * len(IDS),
        training=[k < TRAINING for k in range(len(plans))] * len(IDS),
        two_spectra=seed == 0,
    )


def recorded_clips(tree: Path) -> Clips:
    """Read and measure a tree."""
    manifest = "manifest.csv" if (tree / "manifest.csv").exists() else None
    data = folder(tree, manifest=manifest, machine="recordings")
    clips = [*data.train, *data.test]
    sounds = offkey.read_batch([clip.path for clip in clips], sample_rate=16_000)
    return Clips.measured(
        iter(sounds),
        ids=[clip.machine_id or "?" for clip in clips],
        groups=[clip.group for clip in clips],
        faulty=[clip.label == 1 for clip in clips],
        training=[True] * len(data.train) + [False] * len(data.test),
        two_spectra=True,
    )


def first_of_each(clips: Clips, count: int) -> Clips:
    """Return the clips with fewer to learn from: the first of each machine."""
    keep = ~clips.training
    for name in np.unique(clips.ids):
        keep[np.flatnonzero(clips.training & (clips.ids == name))[:count]] = True
    return clips.take(keep)


def result(clips: Clips, edition: str, *, seed: int) -> dict[str, float]:
    """Fit one edition, and say how it ranks the test clips of each machine and what it calls."""
    recipe = RECIPES.get(edition, TWO_SPECTRA)
    statistics = clips.statistics
    if edition == TWO:
        statistics = statistics._replace(fine_mean=clips.two_means)
    training, test = clips.training, ~clips.training
    start = time.process_time()
    with threadpool_limits(1):
        model = SpectralModel.of_statistics(
            statistics.take(training),
            clips.ids[training].tolist(),
            clips.groups[training].tolist(),
            recipe=recipe,
            seed=seed,
            num_threads=1,
        )
    seconds = time.process_time() - start
    fusion = Fusion.fit([model], recipe.scoring)
    ids, faulty = clips.ids[test], clips.faulty[test]
    fused = fusion.apply(model.scores(statistics.take(test), num_threads=1), ids.tolist(), rate=RATE)
    scores, called = fused.anomaly_score, fused.judged.decision
    machines = [ids == name for name in np.unique(ids)]
    return {
        "auc": float(np.mean([auc(faulty[m], scores[m]) for m in machines])),
        "pauc": float(np.mean([pauc(faulty[m], scores[m]) for m in machines])),
        "alarms": float(np.mean([called[m & ~faulty].mean() for m in machines])),
        "called": float(np.mean([called[m & faulty].mean() for m in machines])),
        "seconds": seconds,
        "rhythm": -1.0 if model.edition.rhythm is None else model.edition.rhythm,
    }


def results(
    results_folder: Path, name: str, seed: int, clips_of: Callable[[], Clips], *, curve: bool
) -> dict[str, dict[str, float]]:
    """Return the results of one set by edition and number of clips; they are computed where they are not there."""
    path = results_folder / f"{name}-{seed}.json"
    known: dict[str, dict[str, float]] = json.loads(path.read_text()) if path.exists() else {}
    wanted = list(RECIPES) + [TWO] * (seed == 0)
    wanted += [f"{edition}/{n}" for edition in ("first", "second") for n in CURVE if curve]
    if missing := [key for key in wanted if key not in known]:
        clips = clips_of()
        for key in missing:
            edition, _, count = key.partition("/")
            known[key] = result(first_of_each(clips, int(count)) if count else clips, edition, seed=seed)
            write_text(path, json.dumps(known, indent=1))
    return known


def cached(path: Path, make: Callable[[], Clips]) -> Clips:
    """Return clips that were measured before, or measure them."""
    if not path.exists():
        make().write(path)
    return Clips.read(path)


def runs(arguments: argparse.Namespace) -> Iterator[tuple[str, list[dict[str, dict[str, float]]]]]:
    """Yield each set's name, and its results of each seed."""
    for name, tree in arguments.recordings:
        npz = arguments.folder / f"{name}.npz"
        yield (
            name,
            [
                results(
                    arguments.folder,
                    name,
                    seed,
                    lambda n=npz, t=tree: cached(n, lambda: recorded_clips(t)),
                    curve=False,
                )
                for seed in range(arguments.seeds)
            ],
        )
    for snr_db in arguments.snr:
        for machine in synthetic.MACHINES:
            name = f"{machine} {snr_db:g} dB"
            yield (
                name,
                [
                    results(
                        arguments.folder,
                        name,
                        seed,
                        lambda m=machine, d=snr_db, s=seed: cached(
                            arguments.folder / f"{m}{d:g}-{s}.npz", lambda: synthetic_clips(m, d, s)
                        ),
                        curve=snr_db == 0,
                    )
                    for seed in range(arguments.seeds)
                ],
            )


def table(sets: Sequence[tuple[str, list[dict[str, dict[str, float]]]]]) -> str:
    """Editions beside each other."""

    def cell(seeds: list[dict[str, dict[str, float]]], edition: str, *names: str) -> str:
        return " / ".join(f"{np.mean([s[edition][n] for s in seeds]):.3f}" for n in names)

    lines = [
        "| set | rhythm | " + " | ".join(f"{edition}: AUC / pAUC" for edition in RECIPES)
        + " | one spectrum / two: AUC | first: false alarms / called | second | seconds, first / second |",
        "|---" * (6 + len(RECIPES)) + "|",
    ]  # fmt: skip
    for name, seeds in sets:
        ranks = [cell(seeds, edition, "auc", "pauc") for edition in RECIPES]
        ranks.append(" / ".join(cell(seeds[:1], edition, "auc") for edition in ("second", TWO)))
        calls = [cell(seeds, edition, "alarms", "called") for edition in ("first", "second")]
        seconds = " / ".join(
            f"{np.mean([s[edition]['seconds'] for s in seeds]):.1f}" for edition in ("first", "second")
        )
        rhythm = f"{np.mean([s['second']['rhythm'] for s in seeds]):.2f}"
        lines.append(f"| {' | '.join([name, rhythm, *ranks, *calls, seconds])} |")
    return "\n".join(lines)


def curves(sets: Sequence[tuple[str, list[dict[str, dict[str, float]]]]]) -> str:
    """AUC by number of clips."""
    lines = ["| AUC | edition | " + " | ".join(f"{n} clips" for n in CURVE) + " |", "|---" * 6 + "|"]
    for name, seeds in sets:
        for edition in ("first", "second") if f"first/{CURVE[0]}" in seeds[0] else ():
            cells = [f"{np.mean([s[f'{edition}/{n}']['auc'] for s in seeds]):.3f}" for n in CURVE]
            lines.append(f"| {name} | {edition} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Compute what is missing, and print the tables as Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--snr", type=lambda text: [float(part) for part in text.split(",") if part], default=[0.0, -6.0]
    )
    parser.add_argument("--recordings", type=named_tree, action="append", default=[], metavar="NAME=TREE")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    sets = list(runs(arguments))
    print(table(sets))
    print("\n" + curves(sets))


if __name__ == "__main__":
    main()
