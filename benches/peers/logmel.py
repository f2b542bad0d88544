"""Clips in memory to log-Mel spectrograms of (128, 313), in the paper's parameters.

Those are librosa's too: 1024 / 512, periodic Hann, zeros around, power, 128 Slaney Mels, ``10 log10(max(x, 1e-10))``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from peers import data, floor
from peers.harness import Bench, Group, each
from peers.judge import at_most

group = Group(
    "logmel",
    "ms a clip",
    1e3,
    {
        "float32": "log-Mel 128 x 313 of a float32 clip",
        "int16": "log-Mel 128 x 313 of an int16 clip",
        "batch": "log-Mel of 32 float32 clips in one call",
        "offset": "log-Mel 128 x 313 of a float32 clip around 80 times its deviation",
        "hum": "log-Mel 128 x 313 of a float32 clip under a hum 80 times as strong",
    },
    same_work=(at_most("error_db", 1e-3),),
    two_threads=("batch",),
)
PLAIN, GREAT_RANGE = ("float32", "int16", "batch"), ("offset", "hum")
BATCH = 32
CHECKED = 8
HUM_HZ = 50.3
LogMel = Callable[[np.ndarray], np.ndarray]


@functools.cache
def filters() -> np.ndarray:
    """(128, 513) float64."""
    import librosa

    return librosa.filters.mel(sr=data.RATE_HZ, n_fft=1024, n_mels=128, dtype=np.float64)


def exact(clip: np.ndarray) -> np.ndarray:
    """The definition, in float64."""
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(clip.astype(np.float64), 512), 1024)[::512]
    power = np.abs(np.fft.rfft(frames * np.hanning(1025)[:-1], axis=1)) ** 2
    return 10 * np.log10(np.maximum(filters() @ power.T, 1e-10))


def integers(clips: list[np.ndarray]) -> list[np.ndarray]:
    return [np.round(clip * 32_768).astype(np.int16) for clip in clips]


def of_great_range(case: str, clips: list[np.ndarray]) -> list[np.ndarray]:
    """The same clips with an offset or a hum of 80 times their effective value."""
    hum = np.sin(2 * np.pi * HUM_HZ / data.RATE_HZ * np.arange(data.SAMPLES)) * np.sqrt(2)
    added = np.ones(data.SAMPLES) if case == "offset" else hum
    return [(clip + 80 * clip.std(dtype=np.float64) * added).astype(np.float32) for clip in clips]


def bench(case: str, threads: int, one: LogMel, many: LogMel | None = None) -> Bench:
    """`one` takes a clip; `many`, if the library has it, takes (clips, samples) with as many threads as it was told."""
    clips = data.clips(64)
    if case == "batch":
        return batch(clips, threads, one, many)
    if case in GREAT_RANGE:
        clips = of_great_range(case, clips)
    given = integers(clips) if case == "int16" else clips
    made = each(given, one, threads)
    made.check = lambda: {"error_db": error_db(clips[:CHECKED], [one(clip) for clip in given[:CHECKED]])}
    return made


def batch(clips: list[np.ndarray], threads: int, one: LogMel, many: LogMel | None) -> Bench:
    stacked = np.stack(clips[:BATCH])
    if many is not None:
        return Bench(lambda: many(stacked), BATCH)
    return each(list(stacked), one, threads, BATCH // threads)


def error_db(clips: list[np.ndarray], got: list[np.ndarray]) -> float:
    """The greatest difference from the definition."""
    return max(float(np.abs(mine - exact(clip)).max()) for clip, mine in zip(clips, got, strict=True))


def float32_of(clip: np.ndarray) -> np.ndarray:
    """What peers do with integers first."""
    return clip * np.float32(1 / 32_768) if clip.dtype == np.int16 else clip


@group.contender("offkey", kind="ours")
def ours(case: str, threads: int) -> Bench:
    import offkey

    logmel = offkey.LogMel.paper(num_threads=threads)
    return bench(case, threads, lambda clip: logmel([clip])[0], logmel)


@group.contender("offkey, neither", GREAT_RANGE, kind="reference", threads=(1,))
def neither(case: str, threads: int) -> Bench:
    """Of the clips as they are."""
    return ours("float32", threads)


def by_hand(rfft: Callable[[np.ndarray], np.ndarray]) -> LogMel:
    """What an expert writes: everything in float32, nothing computed twice, in place where numpy can."""
    window, mel = np.hanning(1025)[:-1].astype(np.float32), filters().astype(np.float32)

    def logmel(clip: np.ndarray) -> np.ndarray:
        padded = np.zeros(data.SAMPLES + 1024, np.float32)
        padded[512:-512] = float32_of(clip)
        parts = rfft(np.lib.stride_tricks.sliding_window_view(padded, 1024)[::512] * window).view(np.float32)
        parts *= parts
        mels = mel @ (parts[:, 0::2] + parts[:, 1::2]).T
        np.log10(np.maximum(mels, 1e-10, out=mels), out=mels)
        mels *= 10
        return mels

    return logmel


def mkl_logmel() -> LogMel:
    import mkl_fft

    return by_hand(lambda frames: mkl_fft.rfft(frames, axis=1))


def scipy_logmel() -> LogMel:
    import scipy.fft

    return by_hand(lambda frames: scipy.fft.rfft(frames, axis=1))


@group.contender("numpy + mkl_fft by an expert", PLAIN, settle_s=0.25)
def expert_mkl(case: str, threads: int) -> Bench:
    return bench(case, threads, mkl_logmel())


@group.contender("numpy + scipy.fft by an expert", PLAIN)
def expert_scipy(case: str, threads: int) -> Bench:
    return bench(case, threads, scipy_logmel())


def torch_logmel(threads: int) -> LogMel:
    import torch

    torch.set_num_threads(threads)
    window, mel = torch.hann_window(1024), torch.from_numpy(filters().astype(np.float32))
    settings = {"window": window, "center": True, "pad_mode": "constant", "return_complex": True}

    def logmel(clips: np.ndarray) -> np.ndarray:
        spectrum = torch.stft(torch.from_numpy(float32_of(clips)), 1024, 512, **settings)
        power = torch.view_as_real(spectrum).square_().sum(-1)
        return (mel @ power).clamp_(min=1e-10).log10_().mul_(10).numpy()

    return logmel


@group.contender("torch.stft", PLAIN)
def torch_stft(case: str, threads: int) -> Bench:
    logmel = torch_logmel(threads)
    return bench(case, threads, logmel, logmel)


def torchaudio_logmel(threads: int) -> LogMel:
    import torch
    from torchaudio.transforms import AmplitudeToDB, MelSpectrogram

    torch.set_num_threads(threads)
    settings = {
        "hop_length": 512,
        "n_mels": 128,
        "pad_mode": "constant",
        "norm": "slaney",
        "mel_scale": "slaney",
    }
    mel, decibels = MelSpectrogram(data.RATE_HZ, 1024, **settings), AmplitudeToDB("power", top_db=None)
    return lambda clips: decibels(mel(torch.from_numpy(float32_of(clips)))).numpy()


@group.contender("torchaudio", PLAIN)
def torchaudio(case: str, threads: int) -> Bench:
    logmel = torchaudio_logmel(threads)
    return bench(case, threads, logmel, logmel)


def librosa_logmel() -> LogMel:
    import librosa

    settings = {"sr": data.RATE_HZ, "n_fft": 1024, "hop_length": 512, "n_mels": 128}

    def logmel(clips: np.ndarray) -> np.ndarray:
        mels = librosa.feature.melspectrogram(y=float32_of(clips), **settings)
        return librosa.power_to_db(mels, top_db=None)

    return logmel


@group.contender("librosa", PLAIN)
def librosa(case: str, threads: int) -> Bench:
    return bench(case, threads, librosa_logmel())


@group.contender("audioflux", ("float32",), threads=(1,))
def audioflux(case: str, threads: int) -> Bench:
    from audioflux import BFT
    from audioflux import type as kinds

    plan = BFT(
        num=128,
        radix2_exp=10,
        samplate=data.RATE_HZ,
        slide_length=512,
        low_fre=0.0,
        high_fre=8000.0,
        window_type=kinds.WindowType.HANN,
        scale_type=kinds.SpectralFilterBankScaleType.MEL,
        style_type=kinds.SpectralFilterBankStyleType.SLANEY,
        normal_type=kinds.SpectralFilterBankNormalType.AREA,
        data_type=kinds.SpectralDataType.POWER,
    )

    def logmel(clip: np.ndarray) -> np.ndarray:
        return 10 * np.log10(np.maximum(plan.bft(np.pad(clip, (512, 512)), result_type=1), 1e-10))

    made = bench(case, threads, logmel)
    made.check = None  # its Mel filters are its own
    return made


@group.contender("floor: fused prototype", PLAIN, kind="floor")
def floor_logmel(case: str, threads: int) -> Bench:
    logmel = floor.LogMel()
    return bench(case, threads, logmel.of_int16 if case == "int16" else logmel.of_float32)
