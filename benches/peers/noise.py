"""White noise at 20 dB below one clip."""

from __future__ import annotations

import threading

import numpy as np

from peers import clip as clips
from peers import data, floor
from peers.harness import Bench, Group
from peers.judge import within

SNR_DB = 20.0
FACTOR = np.float32(0.1)
DRAWN = 10_000_000
group = Group(
    "noise",
    "ms a clip",
    1e3,
    {"noise": "white noise at an SNR of 20 dB"},
    same_work=(within("snr_error_db", 0.1),),
)


def level(effect: clips.Effect) -> dict[str, float]:
    """How far the ratio is from what was asked for, and the noise's kurtosis (3 of a Gaussian)."""
    clip = data.clips(1)[0]
    noise = np.asarray(effect(clip), np.float64).ravel() - clip
    ratio_db = 10 * np.log10(np.mean(np.square(clip, dtype=np.float64)) / np.mean(noise**2))
    return {
        "snr_error_db": abs(float(ratio_db) - SNR_DB),
        "kurtosis": float(np.mean((noise - noise.mean()) ** 4) / noise.var() ** 2),
    }


def kolmogorov_smirnov() -> dict[str, float]:
    """The p-value of 1e7 samples of our noise against the Gaussian."""
    from scipy.stats import kstest

    from offkey.signal import augment

    faint = np.full(DRAWN, 1e-5, np.float32)  # drowned by its noise, 100 dB above
    noise = augment.white_noise(faint, snr_db=-100.0, seed=1) - faint
    return {"ks_p": float(kstest(noise, "norm").pvalue)}


def bench(effect: clips.Effect, threads: int) -> Bench:
    return clips.bench(effect, threads, lambda: level(effect))


@group.contender("offkey", kind="ours")
def ours(case: str, threads: int) -> Bench:
    from offkey.signal import augment

    effect = lambda clip: augment.white_noise(clip, snr_db=SNR_DB, seed=1)  # noqa: E731
    return clips.bench(effect, threads, lambda: level(effect) | kolmogorov_smirnov())


@group.contender("offkey, out=", kind="reference")
def ours_out(case: str, threads: int) -> Bench:
    from offkey.signal import augment

    out = np.empty(data.SAMPLES, np.float32)
    return bench(lambda clip: augment.white_noise(clip, snr_db=SNR_DB, seed=1, out=out), 1)


@group.contender("torch.randn")
def torch_randn(case: str, threads: int) -> Bench:
    import torch

    torch.set_num_threads(1)

    def effect(clip: np.ndarray) -> np.ndarray:
        samples = torch.from_numpy(clip)
        return torch.randn(len(clip)).mul_(samples.square().mean().sqrt() * 0.1).add_(samples).numpy()

    return bench(effect, threads)


@group.contender("numpy")
def numpy_generator(case: str, threads: int) -> Bench:
    local = threading.local()

    def effect(clip: np.ndarray) -> np.ndarray:
        if not hasattr(local, "generator"):
            local.generator = np.random.Generator(np.random.SFC64())  # the fastest that it has
        noise = local.generator.standard_normal(len(clip), dtype=np.float32)
        noise *= np.sqrt(np.dot(clip, clip) / len(clip)) * FACTOR
        noise += clip
        return noise

    return bench(effect, threads)


@group.contender("audiomentations")
def audiomentations(case: str, threads: int) -> Bench:
    return bench(clips.audiomentation("AddGaussianSNR", SNR_DB, SNR_DB), threads)


@group.contender("floor: xoshiro in lanes, Box-Muller", kind="floor")
def floor_noise(case: str, threads: int) -> Bench:
    library, state = floor.library(), np.random.default_rng(0).integers(1, 2**32, 32, dtype=np.uint32)

    def effect(clip: np.ndarray) -> np.ndarray:
        out = np.empty_like(clip)
        sigma = float(np.sqrt(np.dot(clip, clip) / len(clip)) * FACTOR)
        library.add_noise(clip.ctypes.data, out.ctypes.data, len(clip), sigma, state.ctypes.data)
        return out

    return bench(effect, 1)
