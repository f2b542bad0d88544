"""Contenders, each in a process of its own, timed in turn.

A contender is a function ``f(case, threads) -> Bench``; its heavy imports stand inside of it. Every (contender,
threads) has a worker process, which knows its number of threads before any library is loaded and is pinned to so many
cores: no library cheats with hidden threads. In each round the driver visits all workers of a case in a new random
order and asks for one timed slice after one untimed call, so that slow drifts of the machine hit all alike.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal

from peers.judge import Figure

Kind = Literal["ours", "peer", "floor", "reference"]
Check = Callable[[], dict[str, float]]


@dataclass
class Bench:
    """What one contender does in one case."""

    run: Callable[[], object]
    units: float = 1.0
    """Clips, rows, ... that a call works on."""
    check: Check | None = None
    """How right the result is, in figures; called once."""
    warm: bool = True
    """One untimed call before each slice; not for calls that last seconds."""


Make = Callable[[str, int], Bench]


@dataclass(frozen=True)
class Contender:
    name: str
    make: Make
    cases: tuple[str, ...]
    threads: tuple[int, ...]
    kind: Kind
    settle_s: float
    """Idle time after a slice of two threads, in which libraries that spin come to rest."""


@dataclass
class Group:
    """Cases of one kind of work, with all contenders."""

    name: str
    unit: str
    per_unit: float
    """What a second is in that unit: 1e3 for milliseconds."""
    cases: dict[str, str]
    same_work: tuple[Figure, ...] = ()
    """What the check of every contender must yield, or else it does other work and is not timed."""
    two_threads: tuple[str, ...] = ()
    """The cases that are also run with two threads."""
    contenders: dict[str, Contender] = field(default_factory=dict)

    def contender(
        self,
        name: str,
        cases: Iterable[str] | None = None,
        *,
        kind: Kind = "peer",
        threads: tuple[int, ...] = (1, 2),
        settle_s: float = 0.05,
    ) -> Callable[[Make], Make]:
        """Register a function that makes a `Bench` for a case and a number of threads."""

        def register(make: Make) -> Make:
            which = tuple(self.cases if cases is None else cases)
            self.contenders[name] = Contender(name, make, which, threads, kind, settle_s)
            return make

        return register

    def objection(self, check: dict[str, float]) -> str | None:
        """Why a contender with these figures does other work."""
        return next(filter(None, (figure.objection(check) for figure in self.same_work)), None)

    def takes_part(self, contender: Contender, case: str, threads: int) -> bool:
        """Whether the contender is measured there."""
        return (
            case in contender.cases
            and threads in contender.threads
            and (threads == 1 or case in self.two_threads)
        )


_PINNED: dict[int, int] = {}


def pool(threads: int) -> ThreadPoolExecutor:
    """Threads that are pinned to a core each: some kernels pack short bursts of two onto one core."""
    lock, barrier, cores = threading.Lock(), threading.Barrier(threads), sorted(os.sched_getaffinity(0))

    def pin() -> None:
        with lock:
            core = cores[len(_PINNED) % len(cores)]
            _PINNED[threading.get_native_id()] = core
        os.sched_setaffinity(threading.get_native_id(), {core})

    executor = ThreadPoolExecutor(threads, initializer=pin)
    list(executor.map(lambda _: barrier.wait(), range(threads)))  # all of them start now
    return executor


def one_blas_thread() -> None:
    """What a careful user sets who has threads of his own."""
    import threadpoolctl

    threadpoolctl.threadpool_limits(1)


def each(inputs: list[Any], apply: Callable[[Any], object], threads: int, per_call: int = 1) -> Bench:
    """Apply to one input after the other: by one thread, or by a pool in which each thread takes as many.

    `per_call` of them make up a timed call: several where one takes microseconds, as the clock does itself.
    """
    share, source = per_call if threads == 1 else max(per_call, 4), itertools.cycle(inputs)
    parts = itertools.cycle([list(itertools.islice(source, share)) for _ in inputs])

    def work(part: list[Any]) -> None:
        for one in part:
            apply(one)

    if threads == 1:
        return Bench(lambda: work(next(parts)), share)
    one_blas_thread()
    executor = pool(threads)
    return Bench(lambda: list(executor.map(work, [next(parts) for _ in range(threads)])), share * threads)
