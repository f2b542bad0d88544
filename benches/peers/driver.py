"""Runs a group: starts its workers, visits them in turn, and returns what they measured."""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from peers import data
from peers.harness import Contender, Group

ROOT = Path(__file__).resolve().parents[2]
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "RAYON_NUM_THREADS",
)
# Set on some machines, where they slow numpy.
DROPPED = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")


@dataclass
class Line:
    """One contender in one case."""

    name: str
    kind: str
    threads: int
    medians: list[float] = field(default_factory=list)
    """Of each slice, in seconds a unit."""
    leasts: list[float] = field(default_factory=list)
    check: dict[str, float] = field(default_factory=dict)
    error: str | None = None

    def report(self, per_unit: float) -> dict[str, Any]:
        """What is kept of it, times in the group's unit."""
        kept = {"name": self.name, "kind": self.kind, "threads": self.threads, "check": self.check}
        if self.error or not self.medians:
            return {**kept, "error": self.error or "no measurement"}
        tenths = statistics.quantiles(self.medians, n=10) if len(self.medians) > 1 else self.medians * 9
        return {
            **kept,
            "median": statistics.median(self.medians) * per_unit,
            "least": min(self.leasts) * per_unit,
            "spread": (tenths[-1] - tenths[0]) / statistics.median(self.medians),
        }


class Workplace:
    """A worker process and the talk with it."""

    def __init__(self, group: Group, contender: Contender, threads: int, log: Path) -> None:
        self.contender, self.threads = contender, threads
        command = [sys.executable, "-m", "peers.worker", group.name, contender.name, str(threads)]
        with log.open("a") as stderr:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                env=environment(threads),
            )

    def ask(self, **command: Any) -> dict[str, Any]:
        """Give a command and wait for the answer."""
        assert self.process.stdin
        assert self.process.stdout
        try:
            print(json.dumps(command), file=self.process.stdin, flush=True)
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            return {"error": f"the worker died with status {self.process.wait()}"}
        return json.loads(line)

    def close(self) -> None:
        """Let the process end."""
        self.process.communicate()


def environment(threads: int) -> dict[str, str]:
    """The variables of a worker: threads, and where to find the modules of benches and tests."""
    kept = {name: value for name, value in os.environ.items() if name not in DROPPED}
    paths = [str(ROOT / "benches"), str(ROOT / "tests"), kept.get("PYTHONPATH", "")]
    kept["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    kept["PEERS_DIR"] = str(data.folder())
    return kept | dict.fromkeys(THREAD_VARIABLES, str(threads))


def run(group: Group, rounds: int, slice_s: float) -> dict[str, list[dict[str, Any]]]:
    """Measure all cases of a group: case -> lines."""
    log = data.folder() / "workers.log"
    places = [
        Workplace(group, contender, threads, log)
        for contender in group.contenders.values()
        for threads in (1, 2)
        if any(group.takes_part(contender, case, threads) for case in group.cases)
    ]
    try:
        return {case: run_case(group, case, places, rounds, slice_s) for case in group.cases}
    finally:
        for place in places:
            place.close()


def run_case(
    group: Group, case: str, places: list[Workplace], rounds: int, slice_s: float
) -> list[dict[str, Any]]:
    """Prepare the workers of a case one after the other, then time them in turn."""
    taking = [place for place in places if group.takes_part(place.contender, case, place.threads)]
    lines = [Line(place.contender.name, place.contender.kind, place.threads) for place in taking]
    for place, line in zip(taking, lines, strict=True):
        got = place.ask(do="prepare", case=case)
        line.error, line.check = got.get("error"), got.get("check", {})
    order = list(zip(taking, lines, strict=True))
    for _ in range(rounds):
        random.shuffle(order)
        for place, line in order:
            if line.error:
                continue
            got = place.ask(do="time", slice_s=slice_s)
            line.error = got.get("error")
            if line.error is None:
                line.medians.append(got["median"])
                line.leasts.append(got["least"])
            if place.threads > 1:
                time.sleep(place.contender.settle_s)
    return [line.report(group.per_unit) for line in lines]
