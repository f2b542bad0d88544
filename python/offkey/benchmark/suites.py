"""Which runs a benchmark has: the paper's machine types and signal-to-noise ratios, as far as a folder has them."""

from __future__ import annotations

import functools
import os
from collections.abc import Container, Iterator, Sequence
from pathlib import Path
from typing import Literal

from offkey import datasets
from offkey._util.files import check_folder
from offkey.benchmark.published import MACHINES, SNRS_DB
from offkey.benchmark.runs import Execution, Record, Run, Setting
from offkey.benchmark.schedule import outcomes
from offkey.benchmark.tables import Benchmark
from offkey.datasets import Dataset
from offkey.datasets.dcase import EVAL_LIST
from offkey.datasets.mimii import Split, snr_folders, types_at
from offkey.datasets.paths import existing_folder
from offkey.errors import DatasetError, ParameterError
from offkey.evaluation import submission
from offkey.models.base import kinds_of
from offkey.recipe import Recipe
from offkey.signal.audio import MAX_SECONDS

__all__ = ["dcase2020", "mimii"]

PathLike = str | os.PathLike[str]


def mimii(
    root: PathLike,
    *,
    out: PathLike,
    recipes: Sequence[Recipe],
    seeds: int = 3,
    machines: Sequence[str] | None = None,
    snrs_db: Sequence[float] | None = None,
    split: Split = "hitachi",
    max_seconds: float = MAX_SECONDS,
    how: Execution = Execution(),  # noqa: B008  # immutable
) -> Benchmark:
    """Make Table 1 of the paper: each recipe on each machine type of MIMII at each signal-to-noise ratio.

    Parameters
    ----------
    root
        As for `offkey.datasets.mimii`. Types and ratios of the paper that are missing are named in the notes.
    out
        A folder for detectors, scores and figures, created if it does not exist. Finished runs in it are not
        repeated; an interrupted training is resumed.
    recipes
        What to compare.
    seeds
        Number of seeds, counted from 0. With `split` = ``"random75"`` each seed draws its own test normals.
    machines, snrs_db
        Only these; all in the folder if None.
    split
        As for `offkey.datasets.mimii`.
    max_seconds
        Longer training recordings are left out; a longer test recording fails its run.
    how
        Device, threads and callbacks of progress.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist.
    DatasetError
        If the folder is not laid out as MIMII or has none of the types.
    ParameterError
        If there is no recipe, two have one name, or `seeds` is below 1.
    """
    base = existing_folder(root)
    requested = [Setting(name, db) for name in machines or MACHINES for db in snrs_db or SNRS_DB]
    available = {Setting(name, db) for db in _ratios(base) for name, _ in types_at(base, db)}

    @functools.cache
    def load(setting: Setting, seed: int) -> Dataset:
        return datasets.mimii(
            base, machine=setting.machine, snr_db=setting.snr_db or 0.0, split=split, seed=seed
        )

    runs = [
        Run(
            setting=setting,
            recipe=recipe,
            seed=seed,
            data=load(setting, seed if split == "random75" else 0),
            root=base,
            max_seconds=max_seconds,
        )
        for setting, recipe, seed in _product(base, available, requested, recipes, seeds, how)
    ]
    return _benchmark("mimii", runs, Path(out), how, _missing(base, available, requested))


def dcase2020(
    root: PathLike,
    *,
    out: PathLike,
    recipes: Sequence[Recipe],
    seeds: int = 3,
    machines: Sequence[str] | None = None,
    also: Sequence[PathLike] = (),
    max_seconds: float = MAX_SECONDS,
    how: Execution = Execution(),  # noqa: B008  # immutable
) -> Benchmark:
    """Make Tables 2 and 3 of the paper: each recipe on each machine type of DCASE 2020 Task 2.

    One model for each type is trained on all its IDs, those of the additional training data too; the development
    IDs make Table 2, the evaluation IDs Table 3. Submission files of the challenge are written for every run.

    Parameters
    ----------
    root, also
        As for `offkey.datasets.dcase2020`. Without `eval_data_list.csv` the evaluation clips get scores and
        submission files, but no figures.
    out, recipes, seeds, max_seconds, how
        As for `mimii`.
    machines
        Only these; the paper's four types if None, as far as the folder has them.

    Raises
    ------
    FileNotFoundError, DatasetError, ParameterError
        As for `mimii`.
    """
    base = existing_folder(root)
    parts = (base, *map(Path, also))
    requested = [Setting(name) for name in machines or MACHINES]
    available = {Setting(name) for part in parts for name in datasets.list_machines(part, layout="dcase2020")}

    @functools.cache
    def load(setting: Setting) -> Dataset:
        return datasets.dcase2020(base, machine=setting.machine, also=list(also) or None)

    runs = [
        Run(
            setting=setting,
            recipe=recipe,
            seed=seed,
            data=load(setting),
            root=base,
            max_seconds=max_seconds,
        )
        for setting, recipe, seed in _product(base, available, requested, recipes, seeds, how)
    ]
    missing = (*_missing(base, available, requested), *_without_labels(runs))
    result = _benchmark("dcase2020", runs, Path(out), how, missing)
    for run in runs:
        if run.is_done(Path(out)):
            folder = Path(out) / "submissions" / f"{run.recipe.name}-seed{run.seed}"
            submission.write(run.scores(Path(out)), folder, test=run.data.test)
    return result


def _ratios(base: Path) -> list[float]:
    available = sorted({db for _, db, _ in snr_folders(base)})
    if not available:
        types_at(base, 0.0)  # says what it expects
    return available


def _product(
    base: Path,
    available: Container[Setting],
    requested: Sequence[Setting],
    recipes: Sequence[Recipe],
    seeds: int,
    how: Execution,
) -> list[tuple[Setting, Recipe, int]]:
    """Return what is to be run: what the cheaper recipes say comes first."""
    names = [recipe.name for recipe in recipes]
    if not names or len(set(names)) < len(names):
        raise ParameterError(f"recipes = {', '.join(names) or 'none'}: expected one or more, each name once")
    if seeds < 1:
        raise ParameterError(f"seeds = {seeds}: expected at least 1, and 3 or more for a deviation")
    settings = [setting for setting in requested if setting in available]
    if not settings:
        raise DatasetError(
            f"{base}: contains none of the settings asked for: {', '.join(map(str, requested))}"
        )
    ordered = sorted(map(how.recipe, recipes), key=_expense)
    return [(s, recipe, seed) for recipe in ordered for seed in range(seeds) for s in settings]


def _expense(recipe: Recipe) -> tuple[bool, bool]:
    """Return what orders recipes: those that are trained epoch by epoch come later, the paper's network last."""
    return any(kind.trained for kind in kinds_of(recipe)), recipe.network is not None


def _missing(base: Path, available: Container[Setting], requested: Sequence[Setting]) -> tuple[str, ...]:
    """Return what the tables lack of the paper's: types, ratios, or the data themselves."""
    synthetic = f"{base} holds synthetic machines (`offkey synth`): its figures cannot be compared with published ones"
    return (
        *[synthetic] * datasets.synthetic.is_synthetic(base),
        *(f"{setting} is not in {base}" for setting in requested if setting not in available),
    )


def _without_labels(runs: Sequence[Run]) -> Iterator[str]:
    for run in {run.setting: run for run in runs}.values():
        unlabelled = int((run.data.test.labels < 0).sum())
        if unlabelled:
            yield (
                f"{run.setting}: {unlabelled} of {len(run.data.test)} test clips have no label "
                f"({EVAL_LIST} is not there): they are scored for the submission and have no figures"
            )


def _benchmark(
    suite: Literal["mimii", "dcase2020"],
    runs: Sequence[Run],
    out: Path,
    how: Execution,
    missing: tuple[str, ...],
) -> Benchmark:
    check_folder(out)
    out.mkdir(parents=True, exist_ok=True)
    records: list[Record] = []
    failures: list[str] = []
    result = Benchmark(suite=suite, records=(), missing=missing, failures=(), runs=len(runs))
    for ended in outcomes(runs, out, how):
        if ended.record is not None:
            records.append(ended.record)
        else:
            failures.append(f"{ended.run}: {ended.error}")
        # The tables are there, and grow, from the first run on.
        result = Benchmark(
            suite=suite,
            records=_ordered(records, runs),
            missing=missing,
            failures=tuple(failures),
            runs=len(runs),
        )
        result.write(out)
    return result


def _ordered(records: Sequence[Record], runs: Sequence[Run]) -> tuple[Record, ...]:
    """Return the records in the order of the runs, however they ended."""
    by_run = {(record.setting, record.recipe, record.seed): record for record in records}
    keys = [(run.setting, run.recipe.name, run.seed) for run in runs]
    return tuple(by_run[key] for key in keys if key in by_run)
