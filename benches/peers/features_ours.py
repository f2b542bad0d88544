"""offkey as a contender of the peers' `logmel.py` and `endtoend.py`: give this file to their `--plugin`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np


def numpy_statistics(logmels: np.ndarray) -> list[np.ndarray]:
    """The clip statistics, written in numpy."""
    deviations = logmels.std(-1), np.diff(logmels).std(-1)
    return [logmels.mean(-1), *(np.log(d + 1e-3) for d in deviations), np.percentile(logmels, 5, -1)]


def register(suite: Any) -> None:
    """Add offkey to the script that runs."""
    import __main__ as script

    if Path(suite.script).stem == "endtoend":
        files(suite, script)
    else:
        clips(suite, script)


def files(suite: Any, script: Any) -> None:
    """500 files in one call."""

    @suite.contender("offkey", kind="ours")
    def _(case: str, threads: int) -> Any:
        import offkey

        logmel, paths = offkey.LogMel.paper(num_threads=threads), script.files()
        made = script.bench(lambda: logmel.from_files(paths))
        made.pin = "alternate"
        return made


def clips(suite: Any, script: Any) -> None:
    """Log-Mels, and their statistics by the kernel and by numpy."""
    from offkey import LogMel, features

    logmel = LogMel.paper()

    def bench(case: str, threads: int, work: Any) -> Any:
        def whole(x: np.ndarray) -> Any:
            return work(x, num_threads=threads)

        return script.bench(case, threads, lambda x: whole(x[None])[0], whole, own_threads=True)

    def unchecked(case: str, threads: int, work: Any) -> Any:
        made = bench(case, threads, work)
        made.check = None
        return made

    def statistics(x: np.ndarray, *, num_threads: int) -> Any:
        return logmel.statistics(x, num_threads=num_threads)

    def by_numpy(x: np.ndarray, *, num_threads: int) -> Any:
        return numpy_statistics(logmel(x, num_threads=num_threads))

    def check() -> dict[str, float]:
        y = logmel(script.clips(8))
        pairs = zip(features.clip_statistics(y), numpy_statistics(y), strict=True)
        return {"err of statistics": max(float(np.abs(got - want).max()) for got, want in pairs)}

    @suite.contender("offkey", cases=script.CB, kind="ours")
    def _(case: str, threads: int) -> Any:
        return bench(case, threads, logmel)

    @suite.contender("offkey with statistics", cases=script.CB, kind="ours")
    def _(case: str, threads: int) -> Any:
        made = unchecked(case, threads, statistics)
        made.check = check
        return made

    @suite.contender("offkey, then statistics by numpy", cases=script.CB, threads=(1,), kind="ours")
    def _(case: str, threads: int) -> Any:
        return unchecked(case, threads, by_numpy)
