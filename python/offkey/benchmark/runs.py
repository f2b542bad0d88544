"""How much memory a piece of work takes at most."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

import offkey
from offkey._util import parameters
from offkey._util.files import write_text
from offkey._util.json_text import from_json, to_json
from offkey.benchmark.figures import Figure, figures
from offkey.datasets import Clips, Dataset
from offkey.datasets.passed_over import notes_on
from offkey.datasets.source import Progress
from offkey.detector import Detector
from offkey.errors import DatasetError
from offkey.models.base import kinds_of
from offkey.models.network.events import Resumed, TrainingStarted
from offkey.recipe import Precision, Recipe, recipe_names
from offkey.scores import ScoreTable
from offkey.signal.audio import MAX_SECONDS

__all__ = ["Execution", "PeakMemory", "Record", "Run", "RunEnded", "RunStarted", "Setting", "execute"]

_CLEAR_REFS, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


class PeakMemory:
    """Watches the resident memory of this process within its block; `bytes` is the peak, None where unknown."""

    def __init__(self) -> None:
        self.bytes: int | None = None

    def __enter__(self) -> Self:
        with contextlib.suppress(OSError):
            _CLEAR_REFS.write_text("5")  # Linux: the peak counts anew from here
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError, StopIteration, ValueError):
            line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
            self.bytes = int(line.split()[1]) * 1024


_RECORD, _DETECTOR, _SCORES, _CHECKPOINT = "run.json", "detector.offkey", "scores.csv", "training.checkpoint"


class Setting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is trained on: a machine type, for MIMII at one signal-to-noise ratio."""

    machine: str
    snr_db: float | None = None

    def __str__(self) -> str:
        return self.machine if self.snr_db is None else f"{self.machine} at {self.snr_db:g} dB"


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a run found, as `run.json` keeps it."""

    setting: Setting
    recipe: str
    seed: int
    labels: str
    """Which test labels the figures were computed with, as a hash: other labels, other figures."""
    figures: dict[str, tuple[Figure, ...]]
    """For each score or combination those of each machine ID."""
    combined: tuple[str, ...]
    """The scores that the recipe's anomaly score is made of."""
    parameters: int
    """How many numbers the fit has set."""
    train_clips: int
    other_clips: int
    test_clips: int
    fit_s: float
    """With the epochs that an interrupted or shared training had done before, each once."""
    score_s: float
    peak_memory_bytes: int | None
    """Of the process while it fitted and scored."""
    device: str
    """What has computed: "cpu" or "cuda"."""
    version: str
    notes: tuple[str, ...]
    precision: str | None = None
    """Of the network's training: "float32" or "bfloat16"; None without a network."""
    training: str | None = None
    """A hash of all that decides on the models (see `Run.training`)."""
    unread: tuple[str, ...] = ()
    """What is or may be a training recording and could not be read, or is broken."""
    changes: tuple[str, ...] = ()
    """In what the recipe differs from the one that has its name, such as ``ae: ae.epochs = 20, not 100``."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A recipe, what it is fitted to, and a seed."""

    setting: Setting
    recipe: Recipe
    seed: int
    data: Dataset
    root: Path
    """What the paths of the clips are relative to where the run is told from others."""
    max_seconds: float = MAX_SECONDS
    """Longer training recordings are left out; a longer test recording fails the run."""

    def __post_init__(self) -> None:
        parameters.seconds("max_seconds", self.max_seconds)

    def __str__(self) -> str:
        return f"{self.setting}, recipe {self.recipe.name}, seed {self.seed}"

    def folder(self, out: Path) -> Path:
        """Return where the run is kept: another recipe or version of offkey, other clips, another folder."""
        setting = str(self.setting).replace(" at ", "_").replace(" ", "_")
        return out / "runs" / setting / f"{self.recipe.name}-seed{self.seed}-{self._key()[:8]}"

    def is_done(self, out: Path) -> bool:
        """Return whether the run has ended well."""
        return (self.folder(out) / _RECORD).exists()

    def scores(self, out: Path) -> ScoreTable:
        """Return the scores that the run has left."""
        return ScoreTable.read(self.folder(out) / _SCORES)

    def labels(self) -> str:
        """Return a hash of the test labels."""
        return _hash(self.data.test.labels.tolist())

    def training(self) -> str | None:
        """Return a hash of all that decides on a fit with a network, but for the scoring; None without one."""
        if self.recipe.network is None:
            return None
        scoring = self.recipe.of_training().scoring
        recipe = self.recipe.replace(name="training", scoring=scoring)
        return _hash([recipe.to_json(), *self._data(), offkey.__version__])

    def _key(self) -> str:
        """Return a hash of all that decides on the detector and its scores; labels of test clips do not."""
        return _hash([self.recipe.to_json(), *self._data(), offkey.__version__])

    def _data(self) -> tuple[object, ...]:
        """Return what a fit depends on beside the recipe."""
        clips = [
            (
                os.path.relpath(c.path, self.root),
                c.path.stat().st_size,
                c.machine_type,
                c.machine_id,
                c.split,
            )
            for c in self.data.clips
        ]
        return self.seed, clips, float(self.max_seconds)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """How runs are executed; none of it but the precision changes their result by more than rounding."""

    device: str = "auto"
    precision: Precision | None = None
    """Of the training of networks, in place of what their recipes say; `auto` is settled before the first run."""
    compile: bool = False
    num_threads: int | None = None
    cache: Path | None = None
    """A folder for decoded training clips (see `offkey.datasets.cache`)."""
    jobs: int = 1
    """How many runs at a time, each in a process of its own with its share of the cores."""
    on_progress: Progress | None = None
    """Called with (done, total) recordings while they are read."""
    on_event: Callable[[Any], None] | None = None
    """Called with `RunStarted`, `RunEnded` and the events of the network's training."""

    def recipe(self, recipe: Recipe) -> Recipe:
        """Return a recipe with the precision that its networks are trained in, by which runs are told apart.

        Raises
        ------
        DeviceError, MissingExtraError
            If `auto` is to be settled, and the device is not there or torch is not installed.
        """
        precision = self.precision or recipe.training.precision
        if recipe.network is None:
            return recipe
        if precision == "auto":
            from offkey.models.network.device import Compute

            precision = Compute.of(self.device, "auto").precision
        return recipe.replace(training__precision=precision)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted:
    """A run begins."""

    run: Run
    number: int
    """From 1."""
    runs: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RunEnded:
    """A run has ended."""

    run: Run
    number: int
    runs: int
    record: Record | None
    """None where it failed."""
    again: bool
    """Whether it had been done before, and was only read."""
    error: str | None


def execute(run: Run, out: Path, how: Execution) -> tuple[Record, bool]:
    """Do a run, or read what an earlier one has left.

    Parameters
    ----------
    run
        What to do.
    out
        The benchmark's folder. An interrupted training goes on from its checkpoint there.

    Returns
    -------
    Record, bool
        What was found, and whether it had been done before.

    Raises
    ------
    OffkeyError, OSError
        If the fit or the scoring fails, or a clip cannot be read.
    """
    run = dataclasses.replace(run, recipe=how.recipe(run.recipe))
    folder = run.folder(out)
    folder.mkdir(parents=True, exist_ok=True)
    finished = _finished_record(folder)
    if finished is not None:
        return (
            finished if finished.labels == run.labels() else _with_new_figures(run, folder, finished)
        ), True
    training = _TrainingSeen(how.on_event)
    with PeakMemory() as memory:
        started = time.perf_counter()
        detector = _rescored(run, folder, training) or _fitted(run, folder, how, training)
        detector.save(folder / _DETECTOR)
        fitted = time.perf_counter()
        scores = detector.score(
            _without_labels(run.data.test),
            device=how.device,
            max_seconds=run.max_seconds,
            num_threads=how.num_threads,
            on_progress=how.on_progress,
        )
        scored = time.perf_counter()
    _refuse_unread(scores)
    scores.write(folder / _SCORES)
    record = Record(
        setting=run.setting,
        recipe=run.recipe.name,
        seed=run.seed,
        labels=run.labels(),
        figures=figures(detector, scores, run.data.test),
        combined=tuple(detector.describe()["combined"]),
        parameters=detector.parameters,
        train_clips=len(run.data.train),
        other_clips=len(run.data.others) if run.recipe.network else 0,
        test_clips=len(run.data.test),
        fit_s=fitted - started + training.spent_s,
        score_s=scored - fitted,
        peak_memory_bytes=memory.bytes,
        device=training.device,
        precision=training.precision,
        training=run.training(),
        version=offkey.__version__,
        notes=detector.notes,
        unread=training.unread or _unread(detector, run.data),
        changes=_changes(run.recipe),
    )
    _keep(folder, record)
    (folder / _CHECKPOINT).unlink(missing_ok=True)
    return record, False


class _TrainingSeen:
    """Hands on the events of a fit, and keeps what the record tells of its training."""

    def __init__(self, tell: Callable[[Any], None] | None) -> None:
        self._tell = tell
        self.device = "cpu"
        self.precision: str | None = None
        self.spent_s = 0.0
        self.unread: tuple[str, ...] = ()
        """Of the run whose training is used again."""

    def __call__(self, event: object) -> None:
        match event:
            case TrainingStarted():
                self.device, self.precision = event.device, event.precision
            case Resumed():
                self.spent_s = event.spent_s
        if self._tell is not None:
            self._tell(event)


def _rescored(run: Run, folder: Path, seen: _TrainingSeen) -> Detector | None:
    """Return the detector of a finished run that differs in scoring alone, with the scoring of this one."""
    if run.recipe.network is None:
        return None
    for other in sorted(folder.parent.glob(f"*-seed{run.seed}-*")):
        record = _finished_record(other)
        if record is not None and record.training == run.training():
            seen.device, seen.precision, seen.spent_s = record.device, record.precision, record.fit_s
            seen.unread = record.unread
            return Detector.load(other / _DETECTOR).rescored(run.recipe.scoring, name=run.recipe.name)
    return None


def _unread(detector: Detector, data: Dataset) -> tuple[str, ...]:
    return (*detector.unread, *notes_on(passed for passed in data.passed_over if passed.unread))


def _fitted(run: Run, folder: Path, how: Execution, on_event: Callable[[Any], None]) -> Detector:
    return Detector(run.recipe).fit(
        run.data,
        seed=run.seed,
        device=how.device,
        compile=how.compile,
        max_seconds=run.max_seconds,
        num_threads=how.num_threads,
        cache=how.cache,
        checkpoint=folder / _CHECKPOINT if any(kind.trained for kind in kinds_of(run.recipe)) else None,
        on_progress=how.on_progress,
        on_event=on_event,
    )


def _finished_record(folder: Path) -> Record | None:
    """Return what a finished run has left; one that cannot be read is done again."""
    try:
        return from_json((folder / _RECORD).read_bytes(), Record)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def _with_new_figures(run: Run, folder: Path, record: Record) -> Record:
    """Return the record with figures by other labels: the detector has not seen the labels, so it stands."""
    measures = figures(Detector.load(folder / _DETECTOR), ScoreTable.read(folder / _SCORES), run.data.test)
    record = msgspec.structs.replace(record, labels=run.labels(), figures=measures)
    _keep(folder, record)
    return record


def _changes(recipe: Recipe) -> tuple[str, ...]:
    """Return in what a recipe differs from the built-in one of its name; the precision is told by the record."""
    if recipe.name not in recipe_names():
        return ()
    usual = Recipe.named(recipe.name).replace(training__precision=recipe.training.precision)
    before, after = (_flat(json.loads(each.to_json())) for each in (usual, recipe))
    names = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    return tuple(f"{recipe.name}: {name} = {after.get(name)}, not {before.get(name)}" for name in names)


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the leaves of a tree by dotted names."""
    leaves: dict[str, Any] = {}
    for key, value in tree.items():
        leaves |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return leaves


def _keep(folder: Path, record: Record) -> None:
    write_text(folder / _RECORD, to_json(record, indent=1) + "\n")


def _without_labels(test: Clips) -> Clips:
    return Clips([dataclasses.replace(clip, label=None) for clip in test])


def _refuse_unread(scores: ScoreTable) -> None:
    """Refuse figures over fewer clips than the protocol has: they could not be compared with anything."""
    unread: Sequence[str] = [error for error in scores.error if error]
    if unread:
        raise DatasetError(
            f"{len(unread)} of {len(scores)} test clips cannot be scored, the first: {unread[0]}; "
            "replace them, then run the benchmark again"
        )


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode(errors="surrogateescape")).hexdigest()
