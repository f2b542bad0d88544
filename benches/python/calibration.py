"""Whether healthy recordings raise as many alarms as were asked for: recipe `spectral` on synthetic machines.

    python benches/python/calibration.py FOLDER [--edition 2] [--seeds 2] [--splits 5] [--clips 20,60,200,600]
        [--alone] [--recordings NAME=TREE]

Four types of four machines for each seed; of each machine 1,100 healthy clips of five seconds and 60 with a fault. A
split takes training clips and 500 others that alarms are counted on, of the first 700 clips where it trains on 200 or
fewer; the splits of a seed have the same machines, other training clips, and test clips that overlap. Of 200 clips
there are two splits, of 600 one. Intervals are those of a mean over types and seeds, whose machines are all different.
--alone learns each machine by itself, as a detector of a single ID.

--recordings adds real ones: with their own division into training and test clips, and ten times with a quarter of the
training recordings of each machine held out, whose clips are then what alarms are counted on. Faults choose nothing.
FOLDER keeps the statistics of the clips and what has been counted, for each edition of the recipe and its spectra: what
is there is not computed again.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

import offkey
from offkey._util.files import atomic_path, write_text
from offkey.datasets import folder, synthetic
from offkey.datasets.statistics_plan import Measures
from offkey.models.base import statistics_plan
from offkey.models.spectral import Spectral
from offkey.models.spectral.model import SpectralModel
from offkey.scoring.fusion import Fusion
from offkey.signal.statistics import ClipStatistics

RECIPES = {
    1: offkey.Recipe.named("spectral").replace(spectral=Spectral.first_edition()),
    2: offkey.Recipe.named("spectral"),
}
PLAN = statistics_plan(RECIPES[2])
MEASURES = Measures(RECIPES[2].features, PLAN)
SPECTRA = [f"{fine.n_fft}_{fine.hop_length}_{fine.n_mels}" for fine in PLAN.fine]
IDS = ("00", "02", "04", "06")
SECONDS = 5.0
TEST, FAULTS = 500, 60  # clips of each machine
MOST = 600  # training clips of a machine
RATES = (0.001, 0.01, 0.05, 0.1)
WINDOWS = 6  # of a long recording
HELD_OUT_SPLITS = 10  # of a set of recordings


class Clips(NamedTuple):
    """Clips of several machines."""

    statistics: ClipStatistics
    ids: np.ndarray
    groups: list[str]

    def take(self, rows: np.ndarray) -> Clips:
        """Return those at `rows`, a mask or positions."""
        positions = np.arange(len(self.ids))[rows]
        return Clips(
            self.statistics.take(positions), self.ids[positions], [self.groups[i] for i in positions]
        )


class Split(NamedTuple):
    """What one detector learns from, and what it is tried on."""

    training: Clips
    normals: Clips
    faults: Clips


# --------------------------------------------------------------------------------------------------- the clips


def statistics(machine: str, seed: int, cache: Path) -> dict[str, np.ndarray]:
    """Return the statistics of the machines of a type.

    Of ``ID.normal`` and of ``ID.fault`` the four of the log-Mel ``(4, clips, n_mels)``, and under the same key with
    ``.rhythm`` and each of `SPECTRA` the further ones ``(clips, bins)``. A file may have more than that.
    """
    path = cache / f"{machine}-{seed}.npz"
    arrays = {}
    if path.exists():
        with np.load(path) as known:
            arrays = dict(known)
    rhythm = arrays.get(f"{IDS[0]}.normal.rhythm", ())
    if len(rhythm) < MOST + TEST or not all(f"{IDS[0]}.normal.{name}" in arrays for name in SPECTRA):
        for machine_id in IDS:
            healthy = [{"clip": clip} for clip in range(MOST + TEST)]
            for kind, clips in (("normal", healthy), ("fault", _broken(machine))):
                rendered = _rendered(machine, machine_id, seed, clips)
                arrays[f"{machine_id}.{kind}"] = np.stack(rendered[:4])
                arrays[f"{machine_id}.{kind}.rhythm"] = rendered.rhythm
                widths = [features.n_mels for features in PLAN.fine]
                parts = np.split(rendered.fine_mean, np.cumsum(widths)[:-1], axis=1)
                arrays |= {
                    f"{machine_id}.{kind}.{name}": part for name, part in zip(SPECTRA, parts, strict=True)
                }
        with atomic_path(path) as scratch, scratch.open("wb") as file:
            np.savez(file, **arrays)
    return arrays


def _broken(machine: str) -> list[dict[str, Any]]:
    kinds = synthetic.FAULTS[machine]
    severities = np.arange(FAULTS) * 0.6180339887 % 1.0  # spread evenly over [0, 1], whatever the kind
    return [
        {"clip": 10_000 + k, "fault": kinds[k % len(kinds)], "severity": float(severities[k])}
        for k in range(FAULTS)
    ]


def _rendered(machine: str, machine_id: str, seed: int, clips: list[dict[str, Any]]) -> ClipStatistics:
    parts = []
    for first in range(0, len(clips), 100):
        sounds = [
            synthetic.render(machine, machine_id, seconds=SECONDS, seed=seed, **clip)[0]
            for clip in clips[first : first + 100]
        ]
        parts.append(MEASURES.statistics(sounds, num_threads=None))
    return ClipStatistics.joined(parts)


def splits_of(clips: int) -> int:
    """Return how many splits with so many training clips of a machine there are at most."""
    return 1 if clips > 200 else 2 if clips > 60 else 700 // clips


def synthetic_split(arrays: dict[str, np.ndarray], *, clips: int, seed: int, split: int, of: int) -> Split:
    """Draw training clips of each machine; the splits of a seed go round the same permutation."""
    parts: dict[str, list[ClipStatistics]] = {"training": [], "normals": [], "faults": []}
    for place, machine_id in enumerate(IDS):
        healthy = _of_machine(arrays, f"{machine_id}.normal").take(np.arange(max(clips, 200) + TEST))
        order = np.random.default_rng([seed, place]).permutation(len(healthy.mean))
        order = np.roll(order, -(len(order) // of) * split)
        parts["training"].append(healthy.take(order[:clips]))
        parts["normals"].append(healthy.take(order[-TEST:]))
        parts["faults"].append(_of_machine(arrays, f"{machine_id}.fault"))
    return Split(*(_joined(part) for part in parts.values()))


def _of_machine(arrays: dict[str, np.ndarray], key: str) -> ClipStatistics:
    """Return the statistics under a key."""
    fine_mean = np.concatenate([arrays[f"{key}.{name}"] for name in SPECTRA], axis=1)
    return ClipStatistics(*arrays[key], fine_mean, arrays[f"{key}.rhythm"])


def _joined(machines: list[ClipStatistics]) -> Clips:
    ids = np.repeat(IDS, [len(machine.mean) for machine in machines])
    return Clips(ClipStatistics.joined(machines), ids, [str(k) for k in range(len(ids))])


def recorded_split(tree: Path) -> Split:
    """Read a tree as it is divided."""
    manifest = "manifest.csv" if (tree / "manifest.csv").exists() else None
    data = folder(tree, manifest=manifest, machine="recordings")
    training = _read(data.train)
    test = _read(data.test)
    labels = np.array([clip.label for clip in data.test])
    return Split(training, test.take(labels == 0), test.take(labels == 1))


def held_out_split(division: Split, *, seed: int) -> Split:
    """Hold out a quarter of each machine's training recordings: those that are tried are of the same days."""
    training = division.training
    rng = np.random.default_rng(seed)
    held_out = np.zeros(len(training.ids), dtype=bool)
    groups = np.array(training.groups)
    for machine_id in np.unique(training.ids):
        recordings = np.unique(groups[training.ids == machine_id])
        some = rng.choice(recordings, max(1, len(recordings) // 4), replace=False)
        held_out |= (training.ids == machine_id) & np.isin(groups, some)
    return Split(training.take(~held_out), training.take(held_out), division.faults)


def _read(clips: Sequence[Any]) -> Clips:
    sounds = list(offkey.read_batch([clip.path for clip in clips], sample_rate=16_000))
    ids = np.array([clip.machine_id for clip in clips])
    return Clips(MEASURES.statistics(sounds, num_threads=None), ids, [clip.group for clip in clips])


# -------------------------------------------------------------------------------------------------- the counts


def counted(split: Split, *, recipe: offkey.Recipe, seed: int) -> list[dict[str, Any]]:
    """Fit a detector; return a row for each asked rate and machine with what it calls."""
    training = split.training
    model = SpectralModel.of_statistics(
        training.statistics, training.ids.tolist(), training.groups, recipe=recipe, seed=seed
    )
    fusion = Fusion.fit([model], recipe.scoring)
    normals, faults = (model.scores(part.statistics) for part in (split.normals, split.faults))
    rows = []
    for rate in RATES:
        healthy = fusion.apply(normals, split.normals.ids.tolist(), rate=rate)
        broken = fusion.apply(faults, split.faults.ids.tolist(), rate=rate)
        unknown = fusion.apply(normals, [None] * len(split.normals.ids), rate=rate)
        for machine_id in np.unique(training.ids):
            at, faulty = split.normals.ids == machine_id, split.faults.ids == machine_id
            limit = np.quantile(healthy.anomaly_score[at], 1 - rate)
            rows.append(
                {
                    "id": str(machine_id),
                    "rate": rate,
                    "own_clips": int(np.count_nonzero(training.ids == machine_id)),
                    "calibration": healthy.judged.calibration[int(np.argmax(at))],
                    "normals": int(np.count_nonzero(at)),
                    "alarms": int(healthy.judged.decision[at].sum()),
                    "alarms_without_id": int(unknown.judged.decision[at].sum()),
                    **_long_recordings(fusion, normals, at, str(machine_id), rate),
                    "faults": int(np.count_nonzero(faulty)),
                    "called": int(broken.judged.decision[faulty].sum()),
                    "called_by_a_true_threshold": int((broken.anomaly_score[faulty] > limit).sum()),
                }
            )
    return rows


def counted_alone(split: Split, *, recipe: offkey.Recipe, seed: int) -> list[dict[str, Any]]:
    """Return the same rows with a detector for each machine."""
    machines = [
        Split(*(part.take(part.ids == machine_id) for part in split))
        for machine_id in np.unique(split.training.ids)
    ]
    return [row for machine in machines for row in counted(machine, recipe=recipe, seed=seed)]


def _long_recordings(
    fusion: Fusion, normals: dict[str, np.ndarray], at: np.ndarray, machine_id: str, rate: float
) -> dict[str, int]:
    """Count alarms on recordings of several windows: here clips of the machine, which are independent."""
    count = int(np.count_nonzero(at)) // WINDOWS
    windows = {name: values[at][: count * WINDOWS] for name, values in normals.items()}
    fused = fusion.apply(windows, [machine_id] * count, rate=rate, clips=np.full(count, WINDOWS))
    return {"long_recordings": count, "alarms_on_long": int(fused.judged.decision.sum())}


def runs(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Count what has not been counted; yield the result of each run."""
    recipe = RECIPES[arguments.edition]
    count, suffix = (counted_alone, "-alone") if arguments.alone else (counted, "")
    suffix += edition_suffix(arguments.edition)
    for seed in range(arguments.seeds):
        for machine in synthetic.MACHINES:
            arrays = None
            for clips in arguments.clips:
                for split in range(min(arguments.splits, splits_of(clips))):
                    name = f"{machine}-{seed}-{split}of{arguments.splits}-{clips}{suffix}.json"
                    path = arguments.folder / name
                    if not path.exists():
                        arrays = arrays or statistics(machine, seed, arguments.folder)
                        drawn = synthetic_split(
                            arrays, clips=clips, seed=seed, split=split, of=arguments.splits
                        )
                        write_text(path, json.dumps(count(drawn, recipe=recipe, seed=split), indent=1))
                    rows = json.loads(path.read_text())
                    yield {"name": machine, "clips": clips, "seed": seed, "rows": rows}
    for name, tree in arguments.recordings:
        division = recorded_split(tree)
        draws = [division] if len(division.normals.ids) else []
        yield from _recorded(arguments.folder, name, draws, arguments.edition)
        draws = [held_out_split(division, seed=seed) for seed in range(HELD_OUT_SPLITS)]
        yield from _recorded(arguments.folder, f"{name}, held out", draws, arguments.edition)


def edition_suffix(edition: int) -> str:
    """Return what tells the results of an edition with these spectra from others in a file's name."""
    spectra = RECIPES[edition].spectral.spectra
    names = [f"-{name}x{spectrum.weight:g}" for name, spectrum in zip(SPECTRA, spectra, strict=False)]
    return f"-edition{edition}{''.join(names)}"


def _recorded(results: Path, name: str, draws: Sequence[Split], edition: int) -> Iterator[dict[str, Any]]:
    for seed, split in enumerate(draws):
        path = results / f"{name}-{seed}{edition_suffix(edition)}.json"
        if not path.exists():
            write_text(path, json.dumps(counted(split, recipe=RECIPES[edition], seed=seed), indent=1))
        yield {"name": name, "clips": 0, "seed": seed, "rows": json.loads(path.read_text())}


# -------------------------------------------------------------------------------------------------- the tables


def share(results: Sequence[dict[str, Any]], rate: float, part: str, whole: str) -> tuple[float, float]:
    """Return the mean share over types and seeds, and half its 95% interval."""
    shares: dict[tuple[str, int], list[float]] = {}
    for result in results:
        counts = np.array([(row[part], row[whole]) for row in result["rows"] if row["rate"] == rate])
        shares.setdefault((result["name"], result["seed"]), []).append(
            counts[:, 0].sum() / counts[:, 1].sum()
        )
    means = np.array([np.mean(values) for values in shares.values()])
    if len(means) > 1:
        error = means.std(ddof=1) / np.sqrt(len(means)) * stats.t.ppf(0.975, len(means) - 1)
    else:  # one set of recordings: what its numbers of clips leave open
        error = 1.96 * np.sqrt(means[0] * (1 - means[0]) / counts[:, 1].sum())
    return float(means.mean()), float(error)


def percent(mean: float, error: float) -> str:
    """Show a share with its interval."""
    digits = 2 if mean < 0.02 else 1
    return f"{100 * mean:.{digits}f} ({100 * max(0.0, mean - error):.{digits}f} to {100 * (mean + error):.{digits}f})"


def achieved(results: Sequence[dict[str, Any]], part: str, whole: str, rates: Sequence[float]) -> str:
    """Rates achieved against those asked for, by number of clips: all types together with an interval, then each."""
    made = [result for result in results if result["clips"]]
    numbers = sorted({result["clips"] for result in made})
    lines = [
        "| asked, % | machines | " + " | ".join(f"{number} clips an ID" for number in numbers) + " |",
        "|---" * (2 + len(numbers)) + "|",
    ]
    for rate in rates:
        for name in ("all", *synthetic.MACHINES):
            cells = []
            for number in numbers:
                some = [r for r in made if r["clips"] == number and name in ("all", r["name"])]
                mean, error = share(some, rate, part, whole)
                cells.append(percent(mean, error) if name == "all" else f"{100 * mean:.2f}")
            lines.append(f"| {100 * rate:g} | {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def faults_called(results: Sequence[dict[str, Any]], rate: float) -> str:
    """Faults called, against those above the quantile of the test normals themselves."""
    lines = [
        "| set | clips an ID | alarms on healthy clips, % | faults called, % | by a true threshold, % |",
        "|---" * 5 + "|",
    ]
    for name, number in dict.fromkeys((result["name"], result["clips"]) for result in results):
        some = [result for result in results if (result["name"], result["clips"]) == (name, number)]
        own = {row["own_clips"] for result in some for row in result["rows"]}
        shown = f"{min(own)} to {max(own)}" if len(own) > 1 else f"{min(own)}"
        mean, error = share(some, rate, "alarms", "normals")
        alarms = f"{100 * mean:.1f}" if number else percent(mean, error)
        called, true = (
            f"{100 * share(some, rate, part, 'faults')[0]:.0f}"
            for part in ("called", "called_by_a_true_threshold")
        )
        lines.append(f"| {name} | {shown} | {alarms} | {called} | {true} |")
    return "\n".join(lines)


def named_tree(text: str) -> tuple[str, Path]:
    """Read ``NAME=TREE``."""
    name, _, tree = text.partition("=")
    return name, Path(tree)


def main() -> None:
    """Count, and print the tables as Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--edition", type=int, choices=sorted(RECIPES), default=2)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument(
        "--clips",
        type=lambda text: [int(part) for part in text.split(",")],
        default=[20, 60, 200, 600],
        help="training clips of each machine, at most 600",
    )
    parser.add_argument("--alone", action="store_true")
    parser.add_argument("--recordings", type=named_tree, action="append", default=[], metavar="NAME=TREE")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    results = list(runs(arguments))
    print("Alarms on healthy clips, %\n\n" + achieved(results, "alarms", "normals", RATES))
    print("\nTheir ID not given\n\n" + achieved(results, "alarms_without_id", "normals", RATES[1:]))
    print(
        f"\nRecordings of {WINDOWS} windows\n\n"
        + achieved(results, "alarms_on_long", "long_recordings", RATES[1:])
    )
    print("\nFaults called at 5%\n\n" + faults_called(results, 0.05))


if __name__ == "__main__":
    main()
