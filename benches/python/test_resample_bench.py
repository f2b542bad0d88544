"""Resampling 10 s beside soxr's HQ, the fastest peer of this quality: 44.1 kHz stereo to 16 kHz mono, and others.

    pytest benches/python/test_resample_bench.py            # each by itself, with pytest-benchmark
    python benches/python/test_resample_bench.py            # both in turn in one run: medians and their ratio

What both yield is compared before anything is measured: the error of sines within the pass band (up to 0.913 of the
lower Nyquist frequency), and how far what lies above that frequency is down.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable

import numpy as np
import pytest
import soxr
from numpy.typing import NDArray

import offkey
from offkey import _native

PASS_BAND = 0.913
SECONDS = 10

# Channels are mixed before one of them is resampled: the same result as after it, for half of the work.
CASES = {
    "stereo 44.1 to mono 16 kHz": (2, 44_100, 16_000),
    "mono 44.1 to 16 kHz": (1, 44_100, 16_000),
    "mono 48 to 16 kHz": (1, 48_000, 16_000),
    "mono 22.05 to 16 kHz": (1, 22_050, 16_000),
    "mono 8 to 16 kHz": (1, 8000, 16_000),
    "mono 16 to 44.1 kHz": (1, 16_000, 44_100),
    "mono 96 to 16 kHz": (1, 96_000, 16_000),
    "mono 16 to 16.001 kHz": (1, 16_000, 16_001),
}

Contender = Callable[[NDArray[np.float32], int, int], NDArray[np.float32]]


def mixed(clip: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean of two channels; one channel as it is."""
    return clip[0] if len(clip) == 1 else np.float32(0.5) * (clip[0] + clip[1])


def ours(clip: NDArray[np.float32], from_rate: int, to_rate: int) -> NDArray[np.float32]:
    return offkey.resample(mixed(clip), from_rate=from_rate, to_rate=to_rate)


def soxr_hq(clip: NDArray[np.float32], from_rate: int, to_rate: int) -> NDArray[np.float32]:
    return soxr.resample(mixed(clip), from_rate, to_rate, quality="HQ")


CONTENDERS: dict[str, Contender] = {"offkey": ours, "soxr HQ": soxr_hq}


def sine(hz: float, rate: int, count: int) -> NDArray[np.float64]:
    return np.sin(2 * np.pi * hz * np.arange(count) / rate + 0.3)


def level_db(signal: NDArray[np.floating]) -> float:
    """Largest magnitude of the middle third, away from the silence outside."""
    third = len(signal) // 3
    return 20 * float(np.log10(np.abs(signal[third:-third]).max() + 1e-30))


def quality_db(run: Contender, from_rate: int, to_rate: int) -> tuple[float, float]:
    """Worst error of a sine of the pass band, and loudest rest of one above the lower Nyquist frequency."""
    nyquist = min(from_rate, to_rate) / 2
    error, alias = -np.inf, -np.inf
    for fraction in (0.01, 0.3, 0.6, 0.85, PASS_BAND):
        out = run(sine(fraction * nyquist, from_rate, from_rate).astype(np.float32)[None], from_rate, to_rate)
        error = max(error, level_db(out - sine(fraction * nyquist, to_rate, len(out))))
    for fraction in (1.001, 1.1, 1.5, 1.9, 2.6):
        if fraction * nyquist < from_rate / 2:
            clip = sine(fraction * nyquist, from_rate, from_rate).astype(np.float32)[None]
            alias = max(alias, level_db(run(clip, from_rate, to_rate)))
    return error, alias


def make_clip(channels: int, rate: int) -> NDArray[np.float32]:
    return (0.1 * np.random.default_rng(0).standard_normal((channels, SECONDS * rate))).astype(np.float32)


def check(case: str) -> tuple[NDArray[np.float32], int, int]:
    """The case's clip and rates, once both contenders are known to do the same."""
    channels, from_rate, to_rate = CASES[case]
    error_db, alias_db = quality_db(ours, from_rate, to_rate)
    assert error_db < -115, f"{case}: error of {error_db:.1f} dB in the pass band"
    assert alias_db < -120, f"{case}: alias at {alias_db:.1f} dB"
    # soxr's HQ leaves images of -60 dB of what lies near the edge of the pass band: compare the band below.
    clip = make_clip(channels, from_rate)
    hz = np.fft.rfftfreq(clip.shape[1], 1 / from_rate)
    kept = np.fft.rfft(clip) * (hz < 0.2 * min(from_rate, to_rate))
    # Faded at its ends: a jump there has all frequencies.
    fade = np.sin(np.linspace(0, np.pi, clip.shape[1])) ** 2
    smooth = (np.fft.irfft(kept, clip.shape[1]) * fade).astype(np.float32)
    a, b = (run(smooth, from_rate, to_rate) for run in CONTENDERS.values())
    shared = min(len(a), len(b))
    assert abs(len(a) - len(b)) <= 1
    np.testing.assert_allclose(a[:shared], b[:shared], rtol=0, atol=1e-4 * np.abs(a).max())
    return clip, from_rate, to_rate


@pytest.mark.parametrize("contender", CONTENDERS)
@pytest.mark.parametrize("case", CASES)
def test_resample(benchmark, case: str, contender: str) -> None:
    benchmark.group = case
    clip, from_rate, to_rate = check(case)
    benchmark(CONTENDERS[contender], clip, from_rate, to_rate)


def medians_ms(clip: NDArray[np.float32], from_rate: int, to_rate: int, rounds: int) -> dict[str, float]:
    """Time the contenders in turn."""
    times: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    for _ in range(rounds):
        for name, run in CONTENDERS.items():
            start = time.perf_counter()
            run(clip, from_rate, to_rate)
            times[name].append(time.perf_counter() - start)
    return {name: 1e3 * statistics.median(each) for name, each in times.items()}


def main() -> None:
    """Print the table of all cases."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=101)
    rounds = parser.parse_args().rounds
    if _native.DEBUG_BUILD:
        raise SystemExit("offkey._native is a debug build; build it with `maturin develop --release`")
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    print("| 10 s | offkey ms | soxr HQ ms | ratio | offkey error, alias dB | soxr HQ error, alias dB |")
    print("|---|---|---|---|---|---|")
    for case in CASES:
        clip, from_rate, to_rate = check(case)
        ms = medians_ms(clip, from_rate, to_rate, rounds)
        quality = [
            "{:.1f}, {:.1f}".format(*quality_db(run, from_rate, to_rate)) for run in CONTENDERS.values()
        ]
        ratio = ms["offkey"] / ms["soxr HQ"]
        cells = [case, *(f"{each:.3f}" for each in ms.values()), f"{ratio:.2f}", *quality]
        print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
