"""A worker process of the harness: ``python -m peers.worker GROUP CONTENDER THREADS``, driven through its pipes.

Each line that comes in is a JSON object with a command, each line that goes out its answer.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from typing import IO, Any

from peers import groups
from peers.harness import Bench, Group


class Worker:
    """Prepares, checks and times one contender in one case after the other."""

    def __init__(self, group: Group, contender: str, threads: int) -> None:
        self.group, self.threads = group, threads
        self.contender = group.contenders[contender]
        self.bench = Bench(lambda: None)

    def prepare(self, case: str) -> dict[str, Any]:
        self.bench = Bench(lambda: None)  # what the last case held is free
        self.bench = self.contender.make(case, self.threads)
        self.bench.run()
        check = self.bench.check() if self.bench.check else {}
        if objection := self.group.objection(check):
            return {"check": check, "error": f"does other work: {objection}"}
        return {"check": check}

    def time(self, slice_s: float) -> dict[str, Any]:
        """One slice: the median call and the fastest, in seconds a unit."""
        run, units = self.bench.run, self.bench.units
        if self.bench.warm:
            run()
        times, end = [], time.perf_counter() + slice_s
        while not times or time.perf_counter() < end:
            start = time.perf_counter()
            run()
            times.append((time.perf_counter() - start) / units)
        return {"median": statistics.median(times), "least": min(times)}


def answer(worker: Worker, command: dict[str, Any]) -> dict[str, Any]:
    """Do what a line says; whatever goes wrong is an answer, too."""
    try:
        if command["do"] == "prepare":
            return worker.prepare(command["case"])
        return worker.time(command["slice_s"])
    except ImportError as error:
        return {"error": f"not installed: {error}"}
    except Exception as error:  # the driver reports it beside the contender's name
        return {"error": f"{type(error).__name__}: {error}"[:300]}


def own_stdout() -> IO[str]:
    """The pipe to the driver; what libraries print goes to stderr."""
    pipe = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return pipe


def main() -> None:
    """Answer until the driver closes the pipe."""
    pipe = own_stdout()
    name, contender, threads = sys.argv[1:]
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[-int(threads) :])
    worker = Worker(groups.load(name), contender, int(threads))
    for line in sys.stdin:
        print(json.dumps(answer(worker, json.loads(line))), file=pipe, flush=True)


if __name__ == "__main__":
    main()
