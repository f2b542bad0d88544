"""What training tells while it runs: small typed events, handed to a callback. Nothing here prints."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from offkey._util.files import named, write_text
from offkey.errors import MissingExtraError, TrainingError

__all__ = [
    "CheckpointSaved",
    "EpochEnded",
    "EpochMetrics",
    "Event",
    "MetricsFile",
    "Note",
    "Observer",
    "Resumed",
    "StageStarted",
    "StepEnded",
    "TensorBoard",
    "TrainingStarted",
    "read_metrics",
    "several",
]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TrainingStarted:
    """A training begins, or goes on after an interruption: what computes, and with which numbers."""

    device: str
    """"cpu" or "cuda"."""
    precision: str
    """"float32" or "bfloat16"."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StageStarted:
    """A stage begins, or goes on after a resumption."""

    stage: int
    """1 or 2; of recipe `near` the number of the network, from 1."""
    epochs: int
    steps_per_epoch: int
    tasks: tuple[str, ...]
    """Which losses are summed: some of "id", "augmentation" and "type"; of recipe `near` "near", "kind" and "id"."""
    part: str = "stage"
    """What is numbered: "stage" or "network"."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StepEnded:
    """One step of the optimiser is done."""

    stage: int
    epoch: int
    """Within the stage, from 1."""
    step: int
    """Within the epoch, from 1."""
    steps: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EpochEnded:
    """One epoch is done."""

    stage: int
    epoch: int
    """Within the stage, from 1."""
    epochs: int
    losses: Mapping[str, float]
    """Mean over the epoch's steps of "total" and of each task's loss, before its weight."""
    steps_per_s: float
    eta_s: float
    """Estimate of the time left until the last epoch of the last stage, in seconds."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something that a user should know: what was left out, and why."""

    text: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointSaved:
    """The state after an epoch is on disk; an interrupted run goes on from it."""

    path: Path
    epochs_done: int
    """Over both stages."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """A checkpoint was found and training goes on from it."""

    path: Path
    epochs_done: int
    """Over both stages."""
    spent_s: float
    """How long those epochs took, in seconds."""


Event = TrainingStarted | StageStarted | StepEnded | EpochEnded | Note | CheckpointSaved | Resumed
Observer = Callable[[Event], None]


def several(*observers: Observer) -> Observer:
    """Return an observer that hands each event to all of them, in order."""

    def tell(event: Event) -> None:
        for observe in observers:
            observe(event)

    return tell


class EpochMetrics(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a metrics file: one epoch."""

    epoch: int
    """From 1, over both stages."""
    stage: int
    losses: dict[str, float]
    """Mean over the epoch's steps of "total" and of each task's loss, before its weight."""
    steps_per_s: float
    eta_s: float


class MetricsFile:
    """An observer that writes a line of JSON for each epoch as soon as it ends.

    After an interruption the lines of the epochs that are done stay; those after them go, as does what another
    training has left.

    Parameters
    ----------
    path
        The file; its folder must exist.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._epochs = 0
        self._begun = False

    def __call__(self, event: Event) -> None:
        """Take one event of a training."""
        if isinstance(event, Resumed):
            self._begin(_first_epochs(self._path, event.epochs_done), event.epochs_done)
        elif isinstance(event, EpochEnded):
            if not self._begun:
                self._begin([], 0)
            self._epochs += 1
            with named(self._path), self._path.open("a", encoding="utf-8") as file:
                file.write(msgspec.json.encode(_metrics(event, self._epochs)).decode() + "\n")

    def _begin(self, lines: list[str], epochs_done: int) -> None:
        write_text(self._path, "".join(f"{line}\n" for line in lines))
        self._epochs, self._begun = epochs_done, True


class TensorBoard:
    """An observer that writes the losses as TensorBoard's scalars, over epochs counted through both stages.

    Parameters
    ----------
    folder
        What `tensorboard --logdir` is given.

    Raises
    ------
    MissingExtraError
        If the package tensorboard is not installed.
    OSError
        If the folder cannot be written to.
    """

    # tensorboard's own SummaryWriter writes in a thread, which prints a traceback where a disk is full
    def __init__(self, folder: Path) -> None:
        try:
            from tensorboard.compat.proto.event_pb2 import Event as Record
            from tensorboard.summary.writer.record_writer import RecordWriter
        except ImportError as error:
            raise MissingExtraError(
                f"TensorBoard needs the package tensorboard: pip install tensorboard ({error})"
            ) from None
        now = time.time()
        self._path = folder / f"events.out.tfevents.{int(now):010d}.{socket.gethostname()}.{os.getpid()}"
        self._record: Any = Record
        self._records: Any = RecordWriter
        self._epochs = 0
        with named(self._path):
            folder.mkdir(parents=True, exist_ok=True)
        self._append(Record(wall_time=now, file_version="brain.Event:2"))

    def __call__(self, event: Event) -> None:
        """Take one event of a training."""
        if isinstance(event, Resumed):
            self._epochs = event.epochs_done
        elif isinstance(event, EpochEnded):
            self._epochs += 1
            scalars = {f"loss/{name}": loss for name, loss in event.losses.items()}
            scalars["steps_per_s"] = event.steps_per_s
            values = [{"tag": name, "simple_value": scalar} for name, scalar in scalars.items()]
            self._append(self._record(wall_time=time.time(), step=self._epochs, summary={"value": values}))

    def _append(self, record: Any) -> None:
        with named(self._path), self._path.open("ab") as file:
            self._records(file).write(record.SerializeToString())


def read_metrics(path: Path) -> list[EpochMetrics]:
    """Return the epochs of a metrics file, as far as they are written whole.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    TrainingError
        If a line is no epoch's.
    """
    with path.open("rb") as file:
        lines = [line for line in file if line.endswith(b"\n")]
    try:
        return [msgspec.json.decode(line, type=EpochMetrics) for line in lines]
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise TrainingError(f"{path}: not a metrics file: {error}") from None


def _first_epochs(path: Path, epochs_done: int) -> list[str]:
    """Return the lines of the first epochs; what is no line of a metrics file, or only a part of one, goes."""
    lines: dict[int, str] = {}
    for line in path.read_bytes().splitlines() if path.exists() else []:
        with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
            epoch = msgspec.json.decode(line, type=EpochMetrics).epoch
            if epoch <= epochs_done:
                lines[epoch] = line.decode()
    return [lines[epoch] for epoch in sorted(lines)]


def _metrics(event: EpochEnded, epoch: int) -> EpochMetrics:
    return EpochMetrics(
        epoch=epoch,
        stage=event.stage,
        losses=dict(event.losses),
        steps_per_s=event.steps_per_s,
        eta_s=event.eta_s,
    )
