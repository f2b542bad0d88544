"""`offkey train`."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from offkey import datasets
from offkey._util import ranks
from offkey._util.files import check_folder, check_writable
from offkey.cli import app, console, exit_codes
from offkey.cli.console import TrainingDisplay
from offkey.cli.options import (
    ChannelOption,
    DataOptions,
    Device,
    RateOptions,
    SettingList,
    with_channel,
    with_settings,
)
from offkey.cli.words import description_in_options, in_options
from offkey.datasets.clips import check_roles
from offkey.datasets.passed_over import any_unread
from offkey.detector import Detector
from offkey.errors import OffkeyWarning, ParameterError, RecipeError
from offkey.models.base import ignore, kinds_of
from offkey.recipe import Precision, Recipe, recipe_names
from offkey.signal.audio import MAX_SECONDS

__all__ = ["train"]


def train(
    data: Path,
    /,
    *,
    out: Annotated[Path, Parameter(alias="-o")],
    recipe: str = "spectral",
    set_: SettingList | None = None,
    reading: DataOptions = DataOptions(),  # noqa: B008  # immutable
    channel: ChannelOption = None,
    rate: RateOptions = RateOptions(),  # noqa: B008
    seed: int = 0,
    device: Device = "auto",
    precision: Precision | None = None,
    compile: bool = False,  # noqa: A002
    max_seconds: float = MAX_SECONDS,
    threads: int | None = None,
    cache: Path | None = None,
    checkpoint: Path | None = None,
    keep_statistics: int | Literal["all", "none"] = 200,
    keep_broken: bool = False,
    metrics: Path | None = None,
    tensorboard: Path | None = None,
    json: bool = False,
) -> int:
    """Train a detector of one type of machine, from normal recordings alone.

    Parameters
    ----------
    data
        A folder: a DCASE 2020 or MIMII tree, or any folder of recordings (a folder for each machine, or a CSV
        manifest).
    out
        File of the detector, such as `fan.offkey`.
    recipe
        `spectral` (seconds, no GPU, best with up to a few hundred clips of a machine), `near` (small networks taught by
        slight faults added to normal recordings, minutes on a CPU), `ensemble` (both), `paper` (the paper's network),
        `small` (the same, smaller), a baseline such as `ae` (docs/baselines.md), the name of a model that an installed
        package brings, or a JSON file with a recipe of your own.
    set_
        Fields of the recipe in place of its own, such as `training.stage1_epochs=20`; several may follow.
    channel
        Which channel of recordings with several is learned, and later scored: its number, counted from 0 (the default);
        `mean`, the mean of all; `loudest`, the one with the highest level in the training recordings; `near,far` where
        the first channel is a microphone at the machine and the second one hears its surroundings (`far,near` the other
        way round): the near one is learned.
    seed
        Seed of all random choices.
    device
        Where the network is trained: `auto`, `cpu`, `cuda`, or one GPU such as `cuda:1`. For several GPUs:
        `torchrun --nproc-per-node 4 -m offkey train ...`.
    precision
        Precision of the network's training, in place of the recipe's (float32 unless it says otherwise): `bfloat16`
        keeps weights and losses in float32; `auto` is bfloat16 where the hardware supports it.
    compile
        Train through torch.compile: a slow start, then faster steps on a GPU.
    max_seconds
        Longer recordings are left out and named; 24 hours by default.
    threads
        Number of threads of the kernels and torch; all cores by default.
    cache
        A folder that stores decoded recordings for later trainings. Useful where decoding is slow: many channels,
        another sample rate, a slow disk.
    checkpoint
        A file with the state of the network's training. Rerun the same command after an interruption to resume
        from it.
    keep_statistics
        Number of training recordings of each machine ID whose statistics (2 kB each) the detector's file keeps:
        a number, `all` or `none`.
    keep_broken
        Learn from recordings that are silent, constant or clipped throughout too. By default they are left out.
    metrics
        A file that gets a line of JSON for each epoch of the network: losses, steps per second, time left.
    tensorboard
        A folder for the same figures as TensorBoard logs; needs the package tensorboard.
    json
        Print a description of the detector as JSON.
    """
    check_writable(out)
    if metrics is not None:
        check_writable(metrics)
    for folder in (cache, tensorboard):
        if folder is not None:
            check_folder(folder)
    chosen = with_settings(with_channel(read_recipe(recipe), channel), set_)
    detector = Detector(_with_rate(chosen, rate.rate()))
    trains = any(kind.trained for kind in kinds_of(detector.recipe))
    if not trains and (metrics or tensorboard):
        raise ParameterError(f"recipe {recipe!r} trains no network whose losses could be written")
    dataset = reading.load(data, seed=seed)
    if isinstance(channel, str) and "," in channel:
        dataset = dataset.with_channels(*check_roles(channel.split(",")))
    console.note(f"machine IDs to learn: {datasets.describe_ids(dataset.train)}")
    if not ranks.rank():
        with console.bars() as bars:
            console.table(dataset.survey(num_threads=threads, on_progress=bars.counter("looking")).table())
    with console.bars() as bars, _advice_when_stopped(checkpoint), warnings.catch_warnings():
        warnings.simplefilter("ignore", OffkeyWarning)  # the notes say it, file by file
        detector.fit(
            dataset,
            seed=seed,
            device=device,
            precision=precision,
            compile=compile,
            max_seconds=max_seconds,
            num_threads=threads,
            cache=cache,
            checkpoint=checkpoint,
            keep_statistics=0 if keep_statistics == "none" else keep_statistics,
            keep_broken=keep_broken,
            on_progress=bars.counter("reading"),
            on_event=observer(bars, metrics, tensorboard) if trains else None,
        )
    if ranks.rank():
        return 0  # the first of torchrun's processes writes and speaks
    detector.save(out)
    for text in detector.notes:
        console.warn(in_options(text, app["train"]))
    console.note(f"detector of {detector.machine} written to {out}; next: offkey score {out} RECORDINGS")
    if json:
        console.print_json(description_in_options(detector.describe(), app["train"]))
    return exit_codes.partly(detector.unread, any_unread(dataset.passed_over))


def observer(bars: console.Bars, metrics: Path | None, tensorboard: Path | None) -> Callable[[Any], None]:
    """Return what is told of a network's training: the display, and what writes its losses where that is asked for.

    Of torchrun's processes only the first is to write.
    """
    from offkey.models.network.events import MetricsFile, TensorBoard, several

    if ranks.rank():
        return ignore
    writers = [MetricsFile(metrics)] if metrics else []
    boards = [TensorBoard(tensorboard)] if tensorboard else []
    return several(TrainingDisplay(bars), *writers, *boards)


@contextmanager
def _advice_when_stopped(checkpoint: Path | None) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        if checkpoint is not None and checkpoint.exists():
            console.note(f"rerun the same command to resume from {checkpoint}")
        raise


def _with_rate(recipe: Recipe, rate: float | None) -> Recipe:
    return recipe if rate is None else recipe.replace(scoring__false_alarm_rate=rate)


def read_recipe(name: str) -> Recipe:
    """Return a built-in recipe, or one read from a JSON file."""
    if name in recipe_names():
        return Recipe.named(name)
    if Path(name).is_file():
        try:
            return Recipe.from_json(Path(name).read_bytes())
        except RecipeError as error:
            raise RecipeError(f"{name}: {error}") from None
    raise RecipeError(
        f"recipe {name!r}: expected one of {', '.join(recipe_names())}, or a JSON file that exists"
    )
