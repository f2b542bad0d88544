"""What pitch shift and time stretch do to machine sounds, with bars a little below what they reach."""

import numpy as np
import pytest
from quality_probes import RATE_HZ, Quality, measure

from offkey.signal import augment


def assert_quality(quality: Quality) -> None:
    assert quality.length == 0
    assert abs(quality.cents) < 0.01
    assert quality.one_tone_db > 100
    assert quality.one_tone_whole_db > 90
    assert quality.five_tones_db > 85
    assert abs(quality.gain_db) < 0.001
    assert abs(quality.noise_db) < 1.6
    assert quality.ripple_db < 0.6
    assert quality.click_percent > 99.5
    assert abs(quality.lag_ms) < 0.2
    assert quality.hum_click_percent > 97


@pytest.mark.parametrize("semitones", [2.0, 7.0, -2.0, -7.0])
def test_pitch_shift(semitones: float) -> None:
    assert_quality(
        measure(
            lambda clip: augment.pitch_shift(clip, semitones=semitones),
            frequency_ratio=2 ** (semitones / 12),
            time_ratio=1.0,
        )
    )


@pytest.mark.parametrize("rate", [0.8, 1.1])
def test_time_stretch(rate: float) -> None:
    assert_quality(
        measure(lambda clip: augment.time_stretch(clip, rate=rate), frequency_ratio=1.0, time_ratio=1 / rate)
    )


@pytest.mark.parametrize(
    ("hz", "bar_db"),
    [(50.0, 65), (125.0, 90), (500.0, 120), (1000.0, 120), (1000.3, 120), (3906.25, 120)],
)
def test_tones_on_and_off_the_bins_stay_pure(hz: float, bar_db: float) -> None:
    time_s = np.arange(4 * RATE_HZ) / RATE_HZ
    out = augment.time_stretch(0.5 * np.sin(2 * np.pi * hz * time_s), rate=1.1).astype(np.float64)
    middle = out[len(out) // 2 - 8000 : len(out) // 2 + 8000]
    basis = np.stack([f(2 * np.pi * hz * np.arange(16_000) / RATE_HZ) for f in (np.cos, np.sin)], axis=1)
    rest = middle - basis @ np.linalg.lstsq(basis, middle, rcond=None)[0]
    assert 10 * np.log10(middle.var() / rest.var()) > bar_db


@pytest.mark.parametrize("sample_rate", [8_000, 44_100, 48_000])
def test_other_sample_rates_keep_tones_and_places(sample_rate: int) -> None:
    time_s = np.arange(2 * sample_rate) / sample_rate
    clip = 0.3 * np.sin(2 * np.pi * 1000 * time_s)
    clip[sample_rate] = 0.9
    out = augment.time_stretch(clip, rate=0.8, sample_rate=sample_rate)
    spectrum = np.abs(np.fft.rfft(out * np.hanning(len(out))))
    assert spectrum.argmax() * sample_rate / len(out) == pytest.approx(1000, abs=0.5)
    steady = 0.3 * np.sqrt(0.5)
    level = np.sqrt(np.mean(out[sample_rate // 4 : sample_rate] ** 2))
    assert level == pytest.approx(steady, rel=1e-3)
    assert np.abs(out).argmax() == pytest.approx(sample_rate / 0.8, abs=0.005 * sample_rate)
