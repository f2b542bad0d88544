"""Ten seconds to another rate, and how faithful that is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from peers.harness import Bench, Group
from peers.judge import at_most

SECONDS = 10
# Channels, from, to. Channels are mixed before one of them is resampled: the same result for half the work.
RATES = {
    "stereo_44100_16000": (2, 44_100, 16_000),
    "mono_48000_16000": (1, 48_000, 16_000),
    "mono_8000_16000": (1, 8_000, 16_000),
    "mono_22050_16000": (1, 22_050, 16_000),
    "mono_96000_16000": (1, 96_000, 16_000),
    "mono_16000_44100": (1, 16_000, 44_100),
    "mono_16000_16001": (1, 16_000, 16_001),
}
EVERYBODY = ("stereo_44100_16000", "mono_48000_16000", "mono_8000_16000")
PASS_BAND = 0.913
"""Of the lower Nyquist frequency: as far as soxr's HQ goes."""

group = Group(
    "resample",
    "ms a clip",
    1e3,
    {
        case: f"{from_hz} to {to_hz} Hz, {channels} channels to mono, 10 s"
        for case, (channels, from_hz, to_hz) in RATES.items()
    },
    same_work=(at_most("low_error_db", -35),),
)

Resample = Callable[[np.ndarray, int, int], np.ndarray]


def mixed(clip: np.ndarray) -> np.ndarray:
    """(channels, samples) to their mean."""
    return clip[0] if len(clip) == 1 else np.float32(0.5) * (clip[0] + clip[1])


def noise(channels: int, rate_hz: int) -> np.ndarray:
    """(channels, samples) float32."""
    return (0.1 * np.random.default_rng(0).standard_normal((channels, SECONDS * rate_hz))).astype(np.float32)


def sine(hz: float, rate_hz: int, count: int) -> np.ndarray:
    return np.sin(2 * np.pi * hz * np.arange(count) / rate_hz + 0.3)


def level_db(signal: np.ndarray) -> float:
    """Largest magnitude of the middle third, away from the silence outside."""
    third = len(signal) // 3
    return 20 * float(np.log10(np.abs(signal[third:-third]).max() + 1e-30))


def quality(run: Resample, from_hz: int, to_hz: int) -> dict[str, float]:
    """Pass band (-0.1 dB, of the lower Nyquist frequency), error of sines in it, loudest rest of what lies above.

    Also the error in the lowest third, where even short filters are right.
    """
    nyquist = min(from_hz, to_hz) / 2

    def gone_through(fraction: float) -> np.ndarray:
        return np.asarray(run(sine(fraction * nyquist, from_hz, from_hz).astype(np.float32), from_hz, to_hz))

    def error_db(fraction: float) -> float:
        out = gone_through(fraction)
        return level_db(out - sine(fraction * nyquist, to_hz, len(out)))

    edges = (f / 100 for f in range(99, 0, -1) if level_db(gone_through(f / 100)) > -0.1)
    above = [f for f in (1.001, 1.1, 1.5, 1.9, 2.6) if f * nyquist < from_hz / 2]
    found = {
        "pass_band": next(edges, 0.0),
        "low_error_db": max(error_db(fraction) for fraction in (0.01, 0.3)),
        "error_db": max(error_db(fraction) for fraction in (0.01, 0.3, 0.6, 0.85, PASS_BAND)),
    }
    if above:
        found["alias_db"] = max(level_db(gone_through(fraction)) for fraction in above)
    return found


def bench(case: str, run: Resample) -> Bench:
    channels, from_hz, to_hz = RATES[case]
    clip = noise(channels, from_hz)
    return Bench(lambda: run(mixed(clip), from_hz, to_hz), 1, lambda: quality(run, from_hz, to_hz))


@group.contender("offkey", kind="ours")
def ours(case: str, threads: int) -> Bench:
    import offkey

    return bench(case, lambda clip, a, b: offkey.resample(clip, from_rate=a, to_rate=b))


def by_soxr(quality_name: str) -> Callable[[str, int], Bench]:
    def make(case: str, threads: int) -> Bench:
        import soxr

        return bench(case, lambda clip, a, b: soxr.resample(clip, a, b, quality=quality_name))

    return make


for name in ("HQ", "VHQ", "LQ"):
    group.contender(f"soxr {name}", RATES if name == "HQ" else EVERYBODY)(by_soxr(name))


@group.contender("torchaudio", EVERYBODY)
def torchaudio_resample(case: str, threads: int) -> Bench:
    import torch
    from torchaudio.transforms import Resample as Transform

    torch.set_num_threads(threads)
    transform = Transform(*RATES[case][1:])
    return bench(case, lambda clip, *_: transform(torch.from_numpy(clip)).numpy())


@group.contender("scipy.signal.resample_poly", EVERYBODY)
def scipy_poly(case: str, threads: int) -> Bench:
    from scipy.signal import resample_poly

    return bench(case, lambda clip, a, b: resample_poly(clip, b, a))
