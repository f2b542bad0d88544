"""Log-Mel with the statistics of a clip over time: mean, ln of deviations, fifth percentile of each Mel band."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from peers import data
from peers.harness import Bench, Group, each
from peers.judge import at_most
from peers.logmel import CHECKED, LogMel, exact, librosa_logmel, mkl_logmel

group = Group(
    "statistics",
    "ms a clip",
    1e3,
    {
        "clip": "log-Mel 128 x 313 with the clip's statistics",
        "hop1024": "the same with the means of 256 Mels at n_fft 4096, hop 1024, and the rhythm",
        "hop2048": "the same with the means of 256 Mels at n_fft 4096, hop 2048, and the rhythm",
        "two": "as at hop 2048, with the means of 384 Mels at n_fft 8192, hop 4096, too",
    },
    same_work=(at_most("error", 1e-3),),
)
PLAIN, FINE = ("clip",), ("hop1024", "hop2048", "two")


def by_numpy(logmel: np.ndarray) -> tuple[np.ndarray, ...]:
    """(n_mels, frames) to mean, lstd, ldstd and p5, in the dtype of the log-Mel."""
    return (
        logmel.mean(axis=1),
        np.log(logmel.std(axis=1) + 1e-3),
        np.log(np.diff(logmel, axis=1).std(axis=1) + 1e-3),
        np.percentile(logmel, 5, axis=1),
    )


def bench(statistics: Callable[[np.ndarray], Iterable[np.ndarray]], threads: int) -> Bench:
    """`statistics` takes a clip; the check is against numpy on the definition of the log-Mel, in float64."""
    clips = data.clips(64)

    def check() -> dict[str, float]:
        pairs = (zip(statistics(clip), by_numpy(exact(clip)), strict=True) for clip in clips[:CHECKED])
        return {"error": max(float(np.abs(a - b).max()) for pair in pairs for a, b in pair)}

    made = each(clips, statistics, threads)
    made.check = check
    return made


_FINE = {
    "hop1024": ((4096, 1024, 256),),
    "hop2048": ((4096, 2048, 256),),
    "two": ((4096, 2048, 256), (8192, 4096, 384)),
}


def fine_of(case: str) -> list[Any]:
    """The finer spectrograms of a case."""
    import offkey

    return [
        offkey.LogMel(n_fft=n_fft, hop_length=hop, n_mels=mels) for n_fft, hop, mels in _FINE.get(case, ())
    ]


@group.contender("offkey", kind="ours")
def ours(case: str, threads: int) -> Bench:
    import offkey

    logmel, fine = offkey.LogMel.paper(num_threads=threads), fine_of(case)

    def statistics(clip: np.ndarray) -> list[np.ndarray]:
        values = logmel.statistics([clip], fine=fine, rhythm=bool(fine))
        return [column[0] for column in values[:4]]

    return bench(statistics, threads)


@group.contender("offkey, log-Mel alone", kind="reference")
def alone(case: str, threads: int) -> Bench:
    """Of the log-Mel, and of the finer ones in the cases that have any."""
    import offkey

    logmels = [offkey.LogMel.paper(), *fine_of(case)]
    return each(
        data.clips(64),
        lambda clip: [logmel([clip], num_threads=threads) for logmel in logmels],
        threads,
    )


@group.contender("offkey, statistics of one log-Mel", FINE, kind="reference")
def of_one(case: str, threads: int) -> Bench:
    import offkey

    logmel = offkey.LogMel.paper(num_threads=threads)
    return each(data.clips(64), lambda clip: logmel.statistics([clip]), threads)


def in_numpy(logmel: LogMel, threads: int) -> Bench:
    return bench(lambda clip: by_numpy(logmel(clip)), threads)


@group.contender("numpy + mkl_fft by an expert", PLAIN)
def expert(case: str, threads: int) -> Bench:
    return in_numpy(mkl_logmel(), threads)


@group.contender("librosa + numpy", PLAIN)
def librosa(case: str, threads: int) -> Bench:
    return in_numpy(librosa_logmel(), threads)


@group.contender("numpy on our log-Mel", PLAIN, kind="reference")
def on_ours(case: str, threads: int) -> Bench:
    import offkey

    logmel = offkey.LogMel.paper(num_threads=threads)
    return in_numpy(lambda clip: logmel([clip])[0], threads)
