"""Scores blocks in a process of a cluster, which may be on another machine."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import operator
import os
import pickle
import socket
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import offkey
from offkey.advance import Advance
from offkey.archive.blocks import BlockScorer, PartWriter
from offkey.datasets.recordings import Item
from offkey.datasets.source import Source
from offkey.datasets.survey import Surveyor
from offkey.errors import ClusterError
from offkey.fitted import Fitted
from offkey.models.base import needs_samples
from offkey.recipe import ScoringPrecision
from offkey.score_progress import ScoringProgress
from offkey.score_rows import RowsSummary, ScoreRows

__all__ = ["BlockReport", "Job", "Worker"]

_HEAD_BYTES = 1 << 16


class BlockReport(NamedTuple):
    """What there is to say of a block whose parts are written."""

    summaries: Sequence[RowsSummary]
    """Of the rows of each result."""
    surveyor: Surveyor
    audio_s: float


class _Witness(NamedTuple):
    """A recording by which a worker finds out whether it sees those that it is to score."""

    name: str
    content: Path
    head: str
    """Size and digest of the first bytes."""

    @classmethod
    def among(cls, items: Iterable[Item]) -> Self | None:
        """Return the first of some recordings that can be read; None if there is none."""
        for item in items:
            if isinstance(item.content, Path):
                with contextlib.suppress(OSError):
                    return cls(item.name, item.content, _head(item.content))
        return None

    def check(self) -> None:
        try:
            head = _head(self.content)
        except OSError as error:
            raise ClusterError(
                f"{_here()}: cannot read {self.name} ({error.strerror}), which can be read where the run was started: "
                "recordings must have the same paths on all machines"
            ) from None
        if head != self.head:
            raise ClusterError(
                f"{_here()}: has another {self.name} than the machine where the run was started: recordings must be "
                "the same on all machines"
            )


def _head(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
        return f"{os.fstat(file.fileno()).st_size} {hashlib.blake2b(head).hexdigest()}"


def _here() -> str:
    return f"the worker on {socket.gethostname()}"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """All that a worker needs to know to score blocks of one run."""

    fitted: Sequence[Fitted]
    """Those that score; they hear the same of a recording."""
    options: Mapping[str, Any]
    """Of `ScoreRows`."""
    num_threads: int
    device: str
    precision: ScoringPrecision
    max_seconds: float
    writers: Sequence[PartWriter]
    """Of the parts of each."""
    signs: Sequence[str]
    """The name of a file beside the parts of each."""
    folder: str
    """Where relative paths begin."""
    witness: _Witness | None

    @classmethod
    def of(cls, items: Sequence[Item], **parameters: Any) -> Self:
        """Return the job whose workers must see these recordings, as this process does."""
        return cls(witness=_Witness.among(items), folder=os.getcwd(), **parameters)  # noqa: PTH109

    def begin(self) -> None:
        """Find out whether blocks can be scored here.

        Raises
        ------
        ClusterError
            If the parts or the recordings are not seen.
        DeviceError
            If the device is not there.
        """
        with contextlib.suppress(OSError):  # if it is not there, what is below it is not seen
            os.chdir(self.folder)
        if self.witness is not None:
            self.witness.check()
        for writer, sign in zip(self.writers, self.signs, strict=True):
            if hidden := writer.parts.place.hidden_from_here(sign):
                raise ClusterError(f"{_here()}: {hidden}")
        for each in self.fitted:
            each.compute_on(self.device, self.precision)

    def score(self, number: int, items: Sequence[Item]) -> BlockReport:
        """Score a block and write its parts."""
        rows = [ScoreRows(each, num_threads=self.num_threads, **self.options) for each in self.fitted]
        first = self.fitted[0]
        source = Source(
            (),
            features=first.features,
            plan=functools.reduce(operator.or_, (each.plan for each in self.fitted)),
            clip_seconds=first.clip_seconds,
            max_seconds=self.max_seconds,
            keep_samples=any(needs_samples(each.recipe) for each in self.fitted),
        )
        advances = deque[Advance](maxlen=1)
        progress = ScoringProgress(source, None, advances.append)
        BlockScorer(source, rows, self.num_threads, self.writers, progress).score(number, iter(items))
        return BlockReport([each.summary() for each in rows], source.surveyor, advances[0].audio_s)


class Worker:
    """Scores blocks of one job, one after the other; to be made into an actor."""

    def __init__(self) -> None:
        self._job: Job | None = None

    def begin(self, version: str, job: bytes) -> None:
        """Find out whether blocks can be scored here.

        Parameters
        ----------
        version
            Of offkey, where the run was started.
        job
            The `Job`, pickled: what cannot be loaded is this worker's to say.

        Raises
        ------
        ClusterError
            If the version is another, something cannot be loaded, or as `Job.begin`.
        """
        self._known(version, job)

    def score(self, version: str, job: bytes, number: int, items: Sequence[Item]) -> BlockReport:
        """Score a block and write its part; a worker that was started anew finds out first whether it can."""
        return self._known(version, job).score(number, items)

    def _known(self, version: str, job: bytes) -> Job:
        if self._job is not None:
            return self._job
        if offkey.__version__ != version:
            raise ClusterError(
                f"{_here()}: has offkey {offkey.__version__}, the run was started with {version}: all machines must "
                "have the same version"
            )
        try:
            loaded: Job = pickle.loads(job)
        except ImportError as error:
            raise ClusterError(
                f"{_here()}: cannot load the detector, or a function that was given: {error}; all machines must have "
                "the same packages"
            ) from None
        loaded.begin()
        self._job = loaded
        return loaded
