"""Pitch shift of one clip by several amounts, with the quality of each."""

from __future__ import annotations

import numpy as np

from peers import clip as clips
from peers import data
from peers.harness import Bench, Group
from peers.judge import within

AMOUNTS = (2.0, -2.0, 7.0, -7.0, 10.0, -10.0, 0.5)
group = Group(
    "pitch",
    "ms a clip",
    1e3,
    {f"{amount:+g}": f"pitch shift by {amount:+g} semitones" for amount in AMOUNTS},
    same_work=(within("cents", 10),),
)


def bench(case: str, threads: int, effect: clips.Effect) -> Bench:
    ratio = 2 ** (float(case) / 12)
    return clips.bench(effect, threads, lambda: clips.quality(effect, frequency_ratio=ratio))


@group.contender("offkey", kind="ours")
def ours(case: str, threads: int) -> Bench:
    from offkey.signal import augment

    return bench(case, threads, lambda clip: augment.pitch_shift(clip, semitones=float(case)))


@group.contender("python-stretch (Signalsmith)")
def python_stretch(case: str, threads: int) -> Bench:
    return bench(case, threads, clips.signalsmith(semitones=float(case)))


@group.contender("audiomentations (Signalsmith)")
def audiomentations(case: str, threads: int) -> Bench:
    return bench(case, threads, clips.audiomentation("PitchShift", float(case), float(case)))


@group.contender("librosa")
def librosa(case: str, threads: int) -> Bench:
    import librosa

    return bench(
        case, threads, lambda clip: librosa.effects.pitch_shift(clip, sr=data.RATE_HZ, n_steps=float(case))
    )


@group.contender("Signalsmith's stretch, then soxr VHQ", kind="reference")
def chain(case: str, threads: int) -> Bench:
    """The best quality that a chain of two peers reaches."""
    import soxr

    ratio = 2 ** (float(case) / 12)
    stretch = clips.signalsmith(rate=1 / ratio)

    def effect(clip: np.ndarray) -> np.ndarray:
        out = soxr.resample(stretch(clip), data.RATE_HZ * ratio, data.RATE_HZ, quality="VHQ")[: len(clip)]
        return np.pad(out, (0, len(clip) - len(out)))

    return bench(case, threads, effect)


@group.contender("a resampling alone, soxr HQ", kind="reference")
def resampling(case: str, threads: int) -> Bench:
    import soxr

    rate_hz = data.RATE_HZ * 2 ** (float(case) / 12)
    return clips.bench(lambda clip: soxr.resample(clip, rate_hz, data.RATE_HZ), threads)
