"""Runs one after the other, or several side by side, each in a process of its own."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import multiprocessing
import os
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from offkey._util.threads import cores
from offkey.benchmark.runs import Execution, Record, Run, RunEnded, RunStarted, execute
from offkey.errors import OffkeyError, OffkeyWarning, ParameterError

__all__ = ["outcomes"]

_KILLED = "its process or another one was killed; there may be too little memory for so many jobs"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Attempt:
    record: Record | None
    again: bool
    error: str | None
    warned: tuple[str, ...] = ()


def outcomes(runs: Sequence[Run], out: Path, how: Execution) -> Iterator[RunEnded]:
    """Yield how each run ended, in the order in which they end; a run that fails does not stop the others.

    Raises
    ------
    ParameterError
        If `how.jobs` is below 1.
    """
    if how.jobs < 1:
        raise ParameterError(f"jobs = {how.jobs}: expected at least 1")
    tell = how.on_event or (lambda _event: None)
    for number, attempt in _one_by_one(runs, out, how) if how.jobs == 1 else _side_by_side(runs, out, how):
        for text in attempt.warned:
            warnings.warn(text, OffkeyWarning, stacklevel=2)
        ended = RunEnded(
            run=runs[number - 1],
            number=number,
            runs=len(runs),
            record=attempt.record,
            again=attempt.again,
            error=attempt.error,
        )
        tell(ended)
        yield ended


def _one_by_one(runs: Sequence[Run], out: Path, how: Execution) -> Iterator[tuple[int, _Attempt]]:
    for number, run in enumerate(runs, 1):
        if how.on_event:
            how.on_event(RunStarted(run=run, number=number, runs=len(runs)))
        yield number, _attempt(run, out, how)


def _side_by_side(runs: Sequence[Run], out: Path, how: Execution) -> Iterator[tuple[int, _Attempt]]:
    threads = how.num_threads or max(1, cores() // how.jobs)
    # Callbacks stay in this process.
    each = dataclasses.replace(how, num_threads=threads, on_progress=None, on_event=None)
    with concurrent.futures.ProcessPoolExecutor(
        how.jobs,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_limit_threads,
        initargs=(threads,),
    ) as pool:
        futures = {pool.submit(_quiet_attempt, run, out, each): number for number, run in enumerate(runs, 1)}
        try:
            for future in concurrent.futures.as_completed(futures):
                try:
                    yield futures[future], future.result()
                except BrokenProcessPool:
                    yield futures[future], _Attempt(record=None, again=False, error=_KILLED)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _attempt(run: Run, out: Path, how: Execution) -> _Attempt:
    try:
        record, again = execute(run, out, how)
    except (OffkeyError, OSError) as error:
        return _Attempt(record=None, again=False, error=str(error))
    except (MemoryError, RuntimeError) as error:  # of torch: a GPU without memory, a compiler that fails
        return _Attempt(record=None, again=False, error=f"{type(error).__name__}: {error}")
    return _Attempt(record=record, again=again, error=None)


def _quiet_attempt(run: Run, out: Path, how: Execution) -> _Attempt:
    """As `_attempt`, with what it warned of in the result: the process has no terminal of its own."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", OffkeyWarning)
        attempt = _attempt(run, out, how)
    warned = tuple(str(warning.message) for warning in caught if issubclass(warning.category, OffkeyWarning))
    return dataclasses.replace(attempt, warned=warned)


def _limit_threads(threads: int) -> None:
    """Keep torch, which is not loaded yet, and its compiler to this process's share of the cores."""
    os.environ["OMP_NUM_THREADS"] = os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = str(threads)
