"""`offkey bench`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from offkey._util import ranks
from offkey.cli import app, console, exit_codes
from offkey.cli.console import TrainingDisplay
from offkey.cli.options import (
    COMMAS,
    ChannelOption,
    Device,
    PathList,
    SettingList,
    with_channel,
    with_settings_of,
)
from offkey.cli.train import read_recipe
from offkey.cli.words import in_options
from offkey.errors import ParameterError
from offkey.recipe import Precision
from offkey.signal.audio import MAX_SECONDS

__all__ = ["bench"]


def bench(
    suite: Literal["mimii", "dcase2020"],
    data: Path,
    /,
    *,
    out: Annotated[Path, Parameter(alias="-o")] = Path("bench"),
    recipes: Annotated[tuple[str, ...], COMMAS] = ("paper", "spectral"),
    set_: SettingList | None = None,
    seeds: int = 3,
    machines: Annotated[list[str] | None, COMMAS] = None,
    snr_db: Annotated[list[float] | None, COMMAS] = None,
    split: Literal["hitachi", "random75"] = "hitachi",
    also: PathList | None = None,
    channel: ChannelOption = None,
    device: Device = "auto",
    precision: Precision | None = None,
    compile: bool = False,  # noqa: A002
    max_seconds: float = MAX_SECONDS,
    threads: int | None = None,
    cache: Path | None = None,
    jobs: int = 1,
    json: bool = False,
) -> int:
    """Make a paper's tables from your own copy of MIMII or DCASE 2020: every type, every score, several seeds.

    Parameters
    ----------
    suite
        `mimii` makes Table 1 of Zhang et al. (2023), `dcase2020` Tables 2 and 3 and the challenge's submission files.
    data
        The folder of the dataset, as its archives were unpacked. A subset is enough; what is missing is named.
    out
        A folder for detectors, scores and tables (`tables.md`, `figures.csv`, `results.json`). Rerun the
        same command after an interruption to continue; finished runs are not repeated.
    recipes
        What to compare, separated by commas: `spectral`, `near`, `paper`, `small`, baselines such as `ae`
        (docs/baselines.md), or JSON files with own recipes.
    set_
        Fields of recipes in place of theirs, such as `ae.epochs=20`, where a recipe has that section; several may
        follow. The tables say it.
    seeds
        Number of trainings of each recipe, with the seeds 0, 1, 2 and so on.
    machines
        Only these machine types, separated by commas.
    snr_db
        MIMII: only these signal-to-noise ratios, separated by commas.
    split
        MIMII: which normal clips are for testing, as for `offkey train`.
    also
        DCASE 2020: more parts, where they are not all in one folder.
    channel
        Which channel of recordings with several is learned and scored, in place of the recipes': its number, counted
        from 0; `mean`, the mean of all; `loudest`, the one with the highest level in the training recordings.
    device
        Where networks are trained: `auto`, `cpu`, `cuda`, or one GPU such as `cuda:1`.
    precision
        Precision of the networks' training, in place of the recipes'; `auto` is bfloat16 where the hardware supports
        it.
    compile
        Train networks through torch.compile.
    max_seconds
        Longer training recordings are left out; a longer test recording fails its run; 24 hours by default.
    threads
        Number of threads of a run; by default all cores, shared by the jobs.
    cache
        A folder that stores decoded training clips, shared by all runs. Useful for MIMII, whose files have eight
        channels.
    jobs
        Number of trainings at a time, each in its own process: useful if one training does not fill the GPU.
    json
        Print all figures as JSON.
    """
    if ranks.launched():
        raise ParameterError(
            "offkey bench: start it without torchrun; --jobs trains several types side by side"
        )
    if isinstance(channel, str) and "," in channel:
        raise ParameterError(
            f"channel = {channel}: the recordings of MIMII and DCASE 2020 have no microphones near and far; expected a "
            "number, mean or loudest"
        )
    from offkey import benchmark
    from offkey.benchmark.runs import Execution

    with console.bars() as bars:
        how = Execution(
            device=device,
            precision=precision,
            compile=compile,
            num_threads=threads,
            cache=cache,
            jobs=jobs,
            on_progress=bars.counter("reading"),
            on_event=_Display(bars),
        )
        chosen = [with_channel(read_recipe(name), channel) for name in recipes]
        chosen = with_settings_of(chosen, set_)
        if suite == "mimii":
            _refuse(suite, also=also)
            tables = benchmark.mimii(
                data,
                out=out,
                recipes=chosen,
                seeds=seeds,
                machines=machines,
                snrs_db=snr_db,
                split=split,
                max_seconds=max_seconds,
                how=how,
            )
        else:
            _refuse(suite, snr_db=snr_db, split=None if split == "hitachi" else split)
            tables = benchmark.dcase2020(
                data,
                out=out,
                recipes=chosen,
                seeds=seeds,
                machines=machines,
                also=also or (),
                max_seconds=max_seconds,
                how=how,
            )
    console.result(tables.to_json() if json else tables.to_text())
    console.note(f"tables written to {out / 'tables.md'}, figures to figures.csv and results.json beside it")
    return exit_codes.partly(tables.failures, tables.unread) if tables.records else exit_codes.REFUSED


def _refuse(suite: str, **options: object) -> None:
    for name, value in options.items():
        if value is not None:
            raise ParameterError(f"{name} = {value}: `offkey bench {suite}` has no such option")


class _Display:
    """A line for each run, and within a training the display of `offkey train`."""

    def __init__(self, bars: console.Bars) -> None:
        self._training = TrainingDisplay(bars)

    def __call__(self, event: object) -> None:
        from offkey.benchmark.figures import ANOMALY_SCORE
        from offkey.benchmark.runs import RunEnded, RunStarted

        match event:
            case RunStarted():
                console.note(f"run {event.number} of {event.runs}: {event.run}")
            case RunEnded(record=None):
                console.error(in_options(f"{event.run}: {event.error}", app["bench"]))
            case RunEnded(record=record) if record is not None:
                figures = record.figures[ANOMALY_SCORE]
                mean = (
                    f"AUC {sum(f.auc for f in figures) / len(figures):.4f}"
                    if figures
                    else "no labels, no figures"
                )
                took = (
                    "done before"
                    if event.again
                    else f"{record.fit_s:.1f} s to fit, {record.score_s:.1f} s to score"
                )
                console.note(f"    {mean}, mean over IDs ({took})")
            case _:
                self._training(event)
