"""Has blocks scored by processes of a Ray cluster, each of which writes the parts itself.

Ray carries names of recordings to its workers, and back what there is to say of them beside their rows. Where a worker
dies, its block is another's, and a new one takes its place once there is room: a part is written whole or not at all,
and twice the same.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import socket
import warnings
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from offkey import __version__
from offkey._util import parameters
from offkey.archive.blocks import PartWriter
from offkey.archive.worker import BlockReport, Job, Worker
from offkey.datasets.objects import Remote
from offkey.datasets.recordings import Item
from offkey.datasets.source import Source
from offkey.errors import ClusterError, MissingExtraError, OffkeyError, OffkeyWarning, ParameterError
from offkey.fitted import Fitted
from offkey.recipe import ScoringPrecision
from offkey.score_progress import ScoringProgress
from offkey.score_rows import ScoreRows

__all__ = ["RayCluster", "cluster_scorer", "need_ray"]

_DEATHS = 4
"""So many workers may die of one block."""
_ANSWER_S = 10.0
"""How long the head of a cluster may take to answer."""
_PATIENCE_S = 60.0
"""No worker has come up for so long: that is said."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RayCluster:
    """Which Ray cluster scores, and what of it is used.

    Parameters
    ----------
    address
        Of the cluster, such as ``10.0.0.1:6379``, or ``auto`` for the one that runs on this machine. None: what Ray is
        connected to already, or what the environment variable RAY_ADDRESS names, or else one of this machine alone, for
        this call.
    workers
        How many processes score; as many as fit if None.
    cpus
        Processor cores of each, and threads of its kernels where no number of them is asked for.
    gpus
        GPUs of each; ``0.5``: two share one.

    Raises
    ------
    ParameterError
        If a number is outside its range.
    """

    address: str | None = None
    workers: int | None = None
    cpus: int = 1
    gpus: float = 0.0

    def __post_init__(self) -> None:
        if self.workers is not None:
            parameters.integer("workers", self.workers, 1, 100_000)
        parameters.integer("cpus", self.cpus, 1, 4096)
        gpus = self.gpus
        if not (isinstance(gpus, int | float) and (0 <= gpus < 1 or gpus in range(1, 65))):
            raise ParameterError(
                f"gpus = {gpus!r}: expected a whole number up to 64, or a part of one GPU such as 0.5"
            )


def need_ray() -> Any:
    """Return the package of Ray.

    Raises
    ------
    MissingExtraError
        If it is not installed.
    """
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError(f"Ray needs the extra: pip install 'offkey[cluster]' ({error})") from None
    return ray


@contextlib.contextmanager
def cluster_scorer(
    source: Source,
    writers: Sequence[PartWriter],
    progress: ScoringProgress,
    *,
    rows: Sequence[ScoreRows],
    **job: Any,
) -> Iterator[ClusterScorer]:
    """Yield what has blocks scored by a cluster; on leaving all of them are.

    Parameters
    ----------
    source
        What workers have to say of recordings is entered here.
    writers
        Write the parts of each result, in the workers.
    progress
        Is told of each block.
    rows
        What workers have to say of the rows of each result is entered here.
    **job
        See `ClusterScorer`.
    """
    scorer = ClusterScorer(writers, progress, **job)
    try:
        yield scorer
        for report in scorer.reports():
            for of_result, summary in zip(rows, report.summaries, strict=True):
                of_result.join(summary)
            source.surveyor.join(report.surveyor)
    finally:
        scorer.close()


@dataclasses.dataclass(slots=True)
class _Block:
    """A block that is not scored yet."""

    number: int
    items: Sequence[Item]
    deaths: int = 0
    """Of workers that were scoring it."""


class _Task(NamedTuple):
    """What a worker is doing."""

    worker: Any
    block: _Block | None = None
    """None: it is coming up."""


class ClusterScorer:
    """Hands blocks to workers of a cluster, which is connected to with the first.

    Parameters
    ----------
    writers, progress
        See `cluster_scorer`.
    cluster
        The cluster.
    fitted, options, num_threads, device, precision, max_seconds
        As of a `Job`.
    """

    def __init__(
        self,
        writers: Sequence[PartWriter],
        progress: ScoringProgress,
        *,
        cluster: RayCluster,
        fitted: Sequence[Fitted],
        options: Mapping[str, Any],
        num_threads: int | None,
        device: str,
        precision: ScoringPrecision,
        max_seconds: float,
    ) -> None:
        self._writers, self._progress, self._cluster = writers, progress, cluster
        self._parameters = {
            "fitted": fitted,
            "options": options,
            "num_threads": num_threads or cluster.cpus,
            "device": device,
            "precision": precision,
            "max_seconds": max_seconds,
            "writers": writers,
        }
        self._ray: Any = None
        self._job: Any = None
        self._connected_here = False
        self._signs = contextlib.ExitStack()
        self._workers: list[Any] = []
        self._free: list[Any] = []
        self._tasks: dict[Any, _Task] = {}
        self._waiting: deque[_Block] = deque()
        self._stillborn = 0
        self._reports: dict[int, BlockReport] = {}
        self._failed = 0

    def score(self, number: int, block: Iterator[Item]) -> Sequence[str]:
        """Have a block scored, soon; return the names of its recordings.

        Raises
        ------
        ClusterError
            If the cluster cannot do it, or could not do one of those before.
        """
        items = list(block)
        for item in items:
            if not isinstance(item.content, Path | Remote | Exception):
                raise ParameterError(
                    f"{item.name}: with engine = 'ray' workers open sound files; expected paths, folders "
                    f"or patterns, given {type(item.content).__name__}"
                )
        if self._ray is None:
            self._start(items)
        self._waiting.append(_Block(number, items))
        self._hand_out()
        while self._waiting:
            self._wait()
        return [item.name for item in items]

    def reports(self) -> Iterator[BlockReport]:
        """Wait for all blocks, and yield what there is to say of each, in their order."""
        while self._waiting or any(task.block for task in self._tasks.values()):
            self._wait()
        for number in sorted(self._reports):
            yield self._reports[number]

    def close(self) -> None:
        """End the workers, whatever they are doing, and leave the cluster."""
        self._signs.close()
        for worker in self._workers:
            self._ray.kill(worker)
        if self._connected_here:
            self._ray.shutdown()

    def _start(self, items: Sequence[Item]) -> None:
        """Connect to the cluster, and start workers that see what is to be seen."""
        self._ray = ray = need_ray()
        self._connect()
        signs = [self._signs.enter_context(writer.parts.sign()) for writer in self._writers]
        self._job = ray.put(ray.cloudpickle.dumps(Job.of(items, signs=signs, **self._parameters)))
        for _ in range(self._cluster.workers or self._most_workers()):
            self._add_worker()

    def _add_worker(self) -> None:
        """Ask for a worker, which comes up where there is a place, and when."""
        actor = self._ray.remote(Worker).options(
            num_cpus=self._cluster.cpus, num_gpus=self._cluster.gpus, scheduling_strategy="SPREAD"
        )
        worker = actor.remote()
        self._workers.append(worker)
        self._tasks[worker.begin.remote(__version__, self._job)] = _Task(worker)

    def _hand_out(self) -> None:
        """Give blocks that wait to workers that do nothing."""
        while self._waiting and self._free:
            worker, block = self._free.pop(), self._waiting.popleft()
            future = worker.score.remote(__version__, self._job, block.number, block.items)
            self._tasks[future] = _Task(worker, block)

    def _connect(self) -> None:
        ray, address = self._ray, self._cluster.address
        if ray.is_initialized() and address is None:
            return
        address = address or os.environ.get("RAY_ADDRESS") or None
        _check_answers(address or "")
        try:
            ray.init(address=address, include_dashboard=False, log_to_driver=False, logging_level="WARNING")
        except (ConnectionError, OSError, RuntimeError, ValueError) as error:
            token = (
                "; its token is missing: RAY_AUTH_MODE=token and the token, on all machines (docs/cluster.md)"
                if "AuthToken" in f"{error}{error.__cause__}"
                else ""
            )
            raise ClusterError(
                f"ray: cannot connect to {address or 'a cluster'}: {_line(error)}{token}"
            ) from None
        self._connected_here = True

    def _most_workers(self) -> int:
        """Return how many workers fit."""
        there = self._ray.cluster_resources()
        cpus, gpus = there.get("CPU", 0.0), there.get("GPU", 0.0)
        most = cpus // self._cluster.cpus
        if self._cluster.gpus:
            most = min(most, math.floor(gpus / self._cluster.gpus + 1e-6))
        if not most:
            raise ClusterError(
                f"ray: the cluster has {cpus:g} CPUs and {gpus:g} GPUs, and a worker takes {self._cluster.cpus} and "
                f"{self._cluster.gpus:g}: none fits"
            )
        return int(most)

    def _wait(self) -> None:
        """Wait until a worker has come up, or has done what it was to do."""
        up = self._free or any(task.block for task in self._tasks.values())
        done, _ = self._ray.wait(list(self._tasks), timeout=None if up else _PATIENCE_S)
        if not done:
            warnings.warn(
                f"ray: no worker has come up for {_PATIENCE_S:.0f} s; others may use the cluster, or it has no place "
                f"for one of {self._cluster.cpus} CPUs and {self._cluster.gpus:g} GPUs: waiting",
                OffkeyWarning,
                stacklevel=2,
            )
        for future in done:
            self._end(future, self._tasks.pop(future))
        self._hand_out()

    def _end(self, future: Any, task: _Task) -> None:
        """Take what a worker says, whose error is raised here; or replace it where it died."""
        try:
            report: BlockReport | None = self._ray.get(future)
        except self._ray.exceptions.RayTaskError as error:
            cause = error.cause
            if isinstance(cause, OffkeyError | OSError):
                raise cause from None
            raise _without_package(str(error)) or error from None
        except self._ray.exceptions.RayActorError as error:
            self._replace(task, error)
        except (self._ray.exceptions.RayError, RuntimeError) as error:
            raise _without_package(str(error)) or ClusterError(f"ray: {_line(error)}") from None
        else:
            self._free.append(task.worker)
            if task.block is not None and report is not None:
                self._reports[task.block.number] = report
                self._failed += report.summaries[0].failed
                recordings = len(task.block.items)
                self._progress.add_block(recordings, errors=self._failed, audio_s=report.audio_s)
            else:
                self._stillborn = 0

    def _replace(self, task: _Task, error: Exception) -> None:
        """Ask for another worker in place of one that died, whose block is the next to be scored."""
        if task.block is None:
            self._stillborn += 1
            deaths, what = self._stillborn, "none of the last has come up"
        else:
            task.block.deaths += 1
            deaths = task.block.deaths
            first, count = task.block.items[0].name, len(task.block.items)
            what = f"all of them at this block: {count} recordings from {first} on"
            self._waiting.appendleft(task.block)
        if deaths >= _DEATHS:
            raise _without_package(str(error)) or ClusterError(
                f"ray: {deaths} workers have died, {what}; were they killed, or was there too little memory? "
                f"{_line(error)}"
            ) from None
        self._workers.remove(task.worker)
        self._ray.kill(task.worker)  # it may live, and not be heard of
        self._add_worker()


def _check_answers(address: str) -> None:
    """Refuse an address that nothing listens at; Ray would try for minutes."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not host or not port.isdecimal():
        return  # a word, such as auto
    try:
        socket.create_connection((host, int(port)), _ANSWER_S).close()
    except (OSError, OverflowError) as error:
        raise ClusterError(
            f"ray: nothing answers at {address}: {error}; expected the head of a cluster, which ray start --head began"
        ) from None


def _without_package(text: str) -> ClusterError | None:
    """Return what to say of a worker that has no offkey; None if that is not what is wrong."""
    if "No module named 'offkey" not in text:
        return None
    return ClusterError(
        "ray: a worker has no offkey: install the same version on all machines of the cluster, or start it in an "
        f"environment that has it: pip install 'offkey[cluster]=={__version__}'"
    )


def _line(error: Exception) -> str:
    """Return what an error says at first, in one line."""
    return str(error).strip().partition("\n")[0]
