"""A training batch: 28 clips, one of eight classes of augmentation each, then their log-Mels.

Run with the peers' scripts on the path: `PYTHONPATH=peers:python python benches/peers/batch.py --rounds 7`. Every
contender does the same work: the classes in turn, with the same parameters. The masks fall on the log-Mel.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from common import SR, Bench, Suite, pool
from logmel import ref_librosa, torch_fn

CLIPS = 28
CLASSES = 8
SNR_DB, SHIFT, RATE, SEMITONES, FADE = 20.0, 12_345, 1.1, 2.0, 8_000
TIME, BINS = slice(100, 130), slice(30, 42)

suite = Suite(__file__, "ms/batch", 1e3, {"batch": "28 clips: one of eight augmentations each, then log-Mel"})


def clips() -> np.ndarray:
    """Noise and a hum, `(clips, samples)`."""
    rng = np.random.default_rng(0)
    hum = sum(np.sin(2 * np.pi * 50 * k * np.arange(10 * SR) / SR) / k for k in range(1, 20))
    return (0.1 * rng.standard_normal((CLIPS, 10 * SR)) + 0.05 * hum).astype(np.float32)


def bench(run: Callable[[np.ndarray], np.ndarray]) -> Bench:
    """The clips that stay as they are must have librosa's log-Mel."""
    x = clips()

    def check() -> dict[str, Any]:
        y = run(x)
        assert y.shape == (CLIPS, 128, 313), y.shape
        return {"err dB": float(np.abs(y[0] - ref_librosa(x[0])).max())}

    return Bench(lambda: run(x), 1, check)


def audiomentations() -> list[Callable[[np.ndarray], np.ndarray]]:
    """The effect of each class on one clip; the fade is numpy's, for there is none."""
    import audiomentations as a

    ramp = np.linspace(0, 1, FADE, dtype=np.float32)

    def fade(x: np.ndarray) -> np.ndarray:
        y = x.copy()
        y[:FADE] *= ramp
        y[-FADE:] *= ramp[::-1]
        return y

    noise = a.AddGaussianSNR(SNR_DB, SNR_DB, p=1.0)
    shift = a.Shift(SHIFT, SHIFT, shift_unit="samples", rollover=True, fade_duration=0.0, p=1.0)
    stretch = a.TimeStretch(RATE, RATE, leave_length_unchanged=True, p=1.0)
    pitch = a.PitchShift(SEMITONES, SEMITONES, p=1.0)
    effects = [lambda x: noise(x, SR), fade, *(lambda x, f=f: f(x, SR) for f in (shift, stretch, pitch))]
    return [np.copy, *effects, np.copy, np.copy]


def mask(logmel: np.ndarray, index: int) -> np.ndarray:
    """Apply the masks of the last two classes."""
    if index % CLASSES == CLASSES - 2:
        logmel[:, TIME] = logmel.min()
    elif index % CLASSES == CLASSES - 1:
        logmel[BINS] = logmel.min()
    return logmel


def one_by_one(feature: Callable[[np.ndarray], np.ndarray], threads: int) -> Bench:
    """Clips spread over threads, as a careful user of these libraries would."""
    effects = audiomentations()
    workers = pool(threads) if threads > 1 else None

    def run(x: np.ndarray) -> np.ndarray:
        out = np.empty((CLIPS, 128, 313), np.float32)

        def one(i: int) -> None:
            out[i] = mask(np.array(feature(effects[i % CLASSES](x[i]))), i)

        list(workers.map(one, range(CLIPS)) if workers else map(one, range(CLIPS)))
        return out

    return bench(run)


@suite.contender("audiomentations + torch.stft")
def _(case: str, threads: int) -> Bench:
    return one_by_one(torch_fn(1), threads)


@suite.contender("audiomentations + librosa")
def _(case: str, threads: int) -> Bench:
    import librosa

    kinds = {"sr": SR, "n_fft": 1024, "hop_length": 512, "n_mels": 128}
    return one_by_one(
        lambda x: librosa.power_to_db(librosa.feature.melspectrogram(y=x, **kinds), top_db=None), threads
    )


@suite.contender("offkey", kind="ours")
def _(case: str, threads: int) -> Bench:
    import offkey
    from offkey.recipe import Augmentation

    same = {"snr_db": SNR_DB, "shift_s": SHIFT / SR, "stretch_rate": RATE, "pitch_semitones": SEMITONES}
    settings = Augmentation(**{name: (value, value) for name, value in same.items()})
    augmenter = offkey.Augmenter(settings, num_threads=threads)
    logmel = offkey.LogMel.paper(num_threads=threads)
    # A class is drawn by the clip's number: for each place the next number that draws the class whose turn it is.
    drawn = augmenter(np.zeros((1000, 1), np.float32), seed=0).classes
    turns = [np.flatnonzero(drawn == k) for k in range(CLASSES)]
    numbers = [turns[i % CLASSES][i // CLASSES] for i in range(CLIPS)]

    def run(x: np.ndarray) -> np.ndarray:
        samples, masks, _ = augmenter(x, seed=0, clips=numbers)
        return logmel(samples, masks=masks)

    made = bench(run)
    made.pin = "alternate"
    return made


if __name__ == "__main__":
    suite.main()
