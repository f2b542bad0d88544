"""A training batch: 28 clips, one of eight classes of augmentation each, then the log-Mel, masked."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from peers import clip as clips
from peers import data
from peers.harness import Bench, Group, one_blas_thread, pool
from peers.logmel import LogMel, librosa_logmel, torch_logmel

CLIPS = 28
CLASSES = 8
group = Group(
    "batch", "ms a batch", 1e3, {"batch": "28 clips augmented, then log-Mel"}, two_threads=("batch",)
)


def given() -> np.ndarray:
    return np.stack(data.clips(CLIPS))


def bench(step: clips.Effect) -> Bench:
    batch = given()

    def check() -> dict[str, float]:
        logmels = step(batch)
        assert logmels.shape == (CLIPS, 128, data.FRAMES)
        return {"finite": float(np.isfinite(logmels).all())}

    return Bench(lambda: step(batch), 1, check)


def step_of_ours(num_threads: int) -> Callable[..., np.ndarray]:
    import offkey

    augmenter = offkey.Augmenter.paper(num_threads=num_threads)
    logmel = offkey.LogMel.paper(num_threads=num_threads)
    # The mean over seeds: classes and amounts are drawn, and a stretch takes longer than a mask.
    seeds = iter(range(1 << 62))

    def step(batch: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        done = augmenter(batch, seed=next(seeds))
        return logmel(done.samples, masks=done.masks, out=out)

    return step


@group.contender("offkey", kind="ours")
def ours(case: str, threads: int) -> Bench:
    return bench(step_of_ours(threads))


@group.contender("floor", kind="floor")
def halves(case: str, threads: int) -> Bench:
    """What the machine's threads give: each has its share of the batch, and calls the kernels on one thread of theirs.

    With one thread that is what ours is.
    """
    steps = [step_of_ours(1) for _ in range(threads)]
    executor = pool(threads) if threads > 1 else None

    def step(batch: np.ndarray) -> np.ndarray:
        shares = np.array_split(batch, threads)
        return np.concatenate(
            list((executor.map if executor else map)(lambda own, part: own(part), steps, shares))
        )

    return bench(step)


def effects() -> list[clips.Effect]:
    """The eight classes with the ranges of ours; both masks come after the log-Mel."""
    return [
        lambda clip: clip,
        clips.audiomentation("AddGaussianSNR", -6.0, 6.0),
        clips.audiomentation("GainTransition", -60.0, -60.0, 0.5, 2.5, "seconds"),  # the nearest to a fade
        clips.audiomentation("Shift", 0.0, 0.5),
        clips.audiomentation("TimeStretch", 0.5, 2.0),
        clips.audiomentation("PitchShift", -10.0, 10.0),
        lambda clip: clip,
        lambda clip: clip,
    ]


def step_of_audiomentations(logmel: LogMel, threads: int = 1) -> clips.Effect:
    """Every class as often as the others; with threads, each thread has its transforms, which keep parameters."""
    transforms = [effects() for _ in range(threads)]
    if threads > 1:
        one_blas_thread()
    executor = pool(threads) if threads > 1 else None

    def part(batch: np.ndarray, out: np.ndarray, first: int) -> None:
        for i in range(first, len(batch), threads):
            out[i] = transforms[first][i // threads % CLASSES](batch[i])

    def step(batch: np.ndarray) -> np.ndarray:
        out = np.empty_like(batch)
        parts = (executor.map if executor else map)(lambda first: part(batch, out, first), range(threads))
        list(parts)
        logmels = logmel(out)
        logmels[6::CLASSES, :, 100:116] = logmels.min()
        logmels[7::CLASSES, 30:36] = logmels.min()
        return logmels

    return step


@group.contender("audiomentations + torch.stft")
def with_torch(case: str, threads: int) -> Bench:
    return bench(step_of_audiomentations(torch_logmel(threads), threads))


@group.contender("audiomentations + librosa")
def with_librosa(case: str, threads: int) -> Bench:
    one = librosa_logmel()
    executor = pool(threads) if threads > 1 else None
    logmel = lambda batch: np.stack(list((executor.map if executor else map)(one, batch)))  # noqa: E731
    return bench(step_of_audiomentations(logmel, threads))
