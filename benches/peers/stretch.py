"""Time stretch of one clip at several rates, with the quality of each."""

from __future__ import annotations

import numpy as np

from peers import clip as clips
from peers.harness import Bench, Group
from peers.judge import within

RATES = (1.1, 0.8, 0.5, 2.0)
group = Group(
    "stretch",
    "ms a clip",
    1e3,
    {f"{rate:g}": f"time stretch, {rate:g} times as fast" for rate in RATES},
    same_work=(within("cents", 10),),
)


def bench(case: str, threads: int, effect: clips.Effect) -> Bench:
    return clips.bench(effect, threads, lambda: clips.quality(effect, time_ratio=1 / float(case)))


@group.contender("offkey", kind="ours")
def ours(case: str, threads: int) -> Bench:
    from offkey.signal import augment

    return bench(case, threads, lambda clip: augment.time_stretch(clip, rate=float(case)))


@group.contender("python-stretch (Signalsmith)")
def python_stretch(case: str, threads: int) -> Bench:
    return bench(case, threads, clips.signalsmith(rate=float(case)))


@group.contender("audiomentations (Signalsmith)")
def audiomentations(case: str, threads: int) -> Bench:
    rate = float(case)
    return bench(case, threads, clips.audiomentation("TimeStretch", rate, rate, leave_length_unchanged=False))


@group.contender("librosa")
def librosa(case: str, threads: int) -> Bench:
    import librosa

    return bench(case, threads, lambda clip: librosa.effects.time_stretch(clip, rate=float(case)))


@group.contender("the FFTs of a vocoder alone", kind="reference")
def transforms(case: str, threads: int) -> Bench:
    """Frames of 2048 every 512 there and back, without anything in between."""
    import mkl_fft

    frames = np.random.default_rng(0).standard_normal((313, 2048)).astype(np.float32)

    def there_and_back() -> np.ndarray:
        spectra = mkl_fft.rfft(frames, axis=1)[: round(313 / float(case))]
        return mkl_fft.irfft(spectra, n=2048, axis=1)

    return Bench(there_and_back)
