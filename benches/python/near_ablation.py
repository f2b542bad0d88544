"""What each part of recipe `near` is worth: one change at a time, over seeds, and the recipes that it is compared with.

    python benches/python/near_ablation.py --out FOLDER [--synthetic TREE ...] [--uav TREE ...] [--seeds 3]
        [--machines fan,pump,slider,valve] [--variants near,ensemble,...] [--set networks=2] [--clips 15,30]
        [--tree-of-seed] [--device auto] [--threads 1]

A TREE of --synthetic is what ``offkey synth`` makes, and one of --uav what ``build_uav.py`` of the real recordings has
built. With --tree-of-seed the first seed learns the machines of the first TREE of --synthetic, the second those of the
second, and so on. --set changes recipe `near` in all rows. --clips takes the first so many training clips of each ID, a
column for each number. Labels are read after the fits and choose nothing. What is in FOLDER already is not computed
again, and a training that was interrupted goes on from its last network; FOLDER/near_ablation.md has the tables as far
as they go.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from offkey import evaluate
from offkey._util.files import write_text
from offkey.benchmark.runs import Execution, Record, Run, Setting, execute
from offkey.datasets import Clips, Dataset, dcase2020, folder
from offkey.models.spectral import Spectral
from offkey.recipe import Recipe
from offkey.signal.near_anomalies import RICH_KINDS, STATIC_KINDS

NEAR = "near"
VARIANTS: dict[str, dict[str, object]] = {
    NEAR: {},
    "gate static": {"near__gate": "static"},
    "gate rich": {"near__gate": "rich"},
    "gate rich, conformer off": {"near__gate": "rich", "near__conformer": "off"},
    "conformer off": {"near__conformer": "off"},
    "conformer on": {"near__conformer": "on"},
    "2 networks": {"near__networks": 2},
    "8 networks": {"near__networks": 8},
    "125 steps": {"near__steps": 125},
    "500 steps": {"near__steps": 500},
    "whole clips": {"near__crop": [1.0, 1.0]},
    "ridge 0.01": {"near__ridge": 0.01},
    "no kind task": {"near__kind_weight": 0.0},
    "ArcFace 0.3": {"near__arcface_weight": 0.3},
}
for _title, _kinds in (("static", STATIC_KINDS), ("rich", RICH_KINDS)):
    for _kind in _kinds:
        _others = [other for other in _kinds if other != _kind]
        VARIANTS[f"{_title} without {_kind}"] = {"near__kinds": _others}
OTHERS = {
    "spectral of the first edition": Recipe.named("spectral").replace(spectral=Spectral.first_edition()),
    "spectral": Recipe.named("spectral"),
    "ensemble": Recipe.named("ensemble"),
}
SCORE = "anomaly_score"


class Result(NamedTuple):
    """What a run has found; means over IDs."""

    seed: int
    auc: float
    pauc: float
    alarms: float
    """The share of healthy test clips that are called at the recipe's rate."""
    called: float
    """The share of faulty ones."""
    seconds: float
    """Of the fit."""

    @classmethod
    def of(cls, run: Run, record: Record, out: Path) -> Result:
        """Return what a finished run has left."""
        rows = [
            row for row in evaluate(run.scores(out), run.data.test, resamples=0).ids if row.score == SCORE
        ]
        columns = [(row.auc, row.pauc, row.false_alarm_rate, row.detection_rate) for row in rows]
        auc, pauc, alarms, called = np.mean(np.array(columns, dtype=float), axis=0).tolist()
        return cls(record.seed, auc, pauc, alarms, called, record.fit_s)


Results = dict[str, dict[str, list[Result]]]
"""Name of a row -> title of a data set -> a result for each seed."""


class Learned(NamedTuple):
    """What a column of the tables is trained on."""

    title: str
    trees: Sequence[Path]
    """They take turns with the seeds."""
    load: Callable[[Path], Dataset]
    clips: int | None
    """How many training clips of each ID, the first ones; None: all."""

    def run(self, recipe: Recipe, seed: int) -> Run:
        """Return the run of a seed."""
        tree = self.trees[seed % len(self.trees)]
        data = self.load(tree)
        if self.clips is not None:
            data = first_of_each(data, self.clips)
        setting = Setting(re.sub("[^A-Za-z0-9]+", "-", self.title))
        return Run(setting=setting, recipe=recipe, seed=seed, data=data, root=tree)


def first_of_each(data: Dataset, count: int) -> Dataset:
    """Return the target type with the first training clips of each ID and all test clips."""
    seen: Counter[str | None] = Counter()
    clips = []
    for clip in data.train:
        seen[clip.machine_id] += 1
        if seen[clip.machine_id] <= count:
            clips.append(clip)
    return dataclasses.replace(data, clips=Clips(clips) + data.test)


def learned(arguments: argparse.Namespace) -> Iterator[Learned]:
    """Yield what there is to train on."""

    def synthetic(machine: str) -> Callable[[Path], Dataset]:
        return lambda tree: dcase2020(
            tree if (tree / machine).is_dir() else tree / "dev_data", machine=machine
        )

    def recorded(tree: Path) -> Dataset:
        return folder(tree, manifest="manifest.csv", machine="uav")

    for clips in arguments.clips:
        few = "" if clips is None else f", {clips} clips"
        for machine in arguments.machines.split(",") if arguments.synthetic else ():
            if arguments.tree_of_seed:
                yield Learned(machine + few, arguments.synthetic, synthetic(machine), clips)
                continue
            for tree in arguments.synthetic:
                yield Learned(f"{machine}, {tree.name}{few}", [tree], synthetic(machine), clips)
        for tree in arguments.uav:
            yield Learned(tree.name + few, [tree], recorded, clips)


def setting_of(text: str) -> tuple[str, object]:
    """Return the field of the recipe and the value of FIELD=VALUE."""
    field, _, value = text.partition("=")
    return f"near__{field}", msgspec.json.decode(value) if value[:1] in "0123456789[" else value


def recipe_of(name: str, base: dict[str, object]) -> Recipe:
    """Return `near` with what all rows have and one change, or another recipe."""
    recipe = OTHERS.get(name) or Recipe.named(NEAR).replace(**base | VARIANTS[name])
    return recipe.replace(name=re.sub("[^A-Za-z0-9]+", "-", name))


def cell(results: Sequence[Result]) -> str:
    """Return "AUC ± deviation, pAUC ± deviation, seconds to fit" over seeds."""
    ranks = np.array([(result.auc, result.pauc) for result in results])
    return f"{spread(ranks, ranks.std(axis=0, ddof=len(ranks) > 1), '.3f')}, {median_seconds(results):.0f} s"


def gain_cell(results: Sequence[Result], unchanged: Sequence[Result]) -> str:
    """Return "gain in AUC ± standard error, gain in pAUC ± standard error" over the same seeds of another row."""
    before = {result.seed: result for result in unchanged}
    pairs = [(result, before[result.seed]) for result in results if result.seed in before]
    if not pairs:
        return ""
    gains = np.array([(after.auc - first.auc, after.pauc - first.pauc) for after, first in pairs])
    return spread(gains, gains.std(axis=0, ddof=len(gains) > 1) / np.sqrt(len(gains)), "+.3f")


def call_cell(results: Sequence[Result]) -> str:
    """Return "false alarms, faults called", in percent, means over seeds."""
    alarms, called = np.mean([(result.alarms, result.called) for result in results], axis=0)
    return f"{100 * alarms:.1f}, {100 * called:.0f}"


def spread(values: np.ndarray, of_each: np.ndarray, form: str) -> str:
    """Return "mean ± what is given" of each column of ``(seeds, columns)``; of one seed its values."""
    if len(values) < 2:
        return ", ".join(f"{value:{form}}" for value in values[0])
    return ", ".join(f"{m:{form}} ± {d:.3f}" for m, d in zip(values.mean(axis=0), of_each, strict=True))


def median_seconds(results: Sequence[Result]) -> float:
    return float(np.median([result.seconds for result in results]))


def report(results: Results) -> str:
    """Return as Markdown what each row reaches and calls, and what it gains over `near` with the same seeds."""
    parts = [
        "AUC, pAUC, mean ± deviation over seeds; seconds to fit:",
        table(results, lambda seeds, _: cell(seeds)),
        "Healthy clips and faults called, %:",
        table(results, lambda seeds, _: call_cell(seeds)),
    ]
    if unchanged := results.get(NEAR):
        changed = {name: row for name, row in results.items() if name != NEAR}
        parts += [
            f"Gain in AUC and pAUC over `{NEAR}` with the same seeds, mean ± standard error:",
            table(changed, lambda seeds, title: gain_cell(seeds, unchanged.get(title, []))),
        ]
    return "\n\n".join(parts) + "\n"


def table(results: Results, shown: Callable[[Sequence[Result], str], str]) -> str:
    """Return a Markdown table, a row for each name and a column for each title."""
    titles = list(dict.fromkeys(title for row in results.values() for title in row))
    lines = [f"| | {' | '.join(titles)} |", "|---" * (len(titles) + 1) + "|"]
    for name, row in results.items():
        cells = [shown(row[title], title) if title in row else "" for title in titles]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Run what has not been run, and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--synthetic", type=Path, nargs="*", default=[])
    parser.add_argument("--machines", default="fan,pump,slider,valve")
    parser.add_argument("--uav", type=Path, nargs="*", default=[])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tree-of-seed", action="store_true")
    parser.add_argument("--clips", type=lambda text: [int(n) for n in text.split(",")], default=[None])
    parser.add_argument("--variants", default=",".join([*OTHERS, *VARIANTS]))
    parser.add_argument("--set", type=setting_of, action="append", default=[], metavar="FIELD=VALUE")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    how = Execution(device=arguments.device, num_threads=arguments.threads)
    names = arguments.variants.split(",")
    results: Results = {name: {} for name in names}
    columns = list(learned(arguments))
    for seed in range(arguments.seeds):
        for name in names:
            for column in columns:
                run = column.run(recipe_of(name, dict(arguments.set)), seed)
                record, again = execute(run, arguments.out, how)
                results[name].setdefault(column.title, []).append(Result.of(run, record, arguments.out))
                took = "done before" if again else f"{record.fit_s:.0f} s"
                print(f"{column.title}, {name}, seed {seed}: {took}", flush=True)
                write_text(arguments.out / "near_ablation.md", report(results))
    print(report(results))


if __name__ == "__main__":
    main()
