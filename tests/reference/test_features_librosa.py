"""Log-Mel against librosa in float64: at most 1e-3 dB down to 80 dB below the clip's maximum."""

import typing

import librosa
import numpy as np
import pytest
from logmel_reference import TOLERANCE_DB, librosa_db, machine, torch_stft_db, worst_db

import offkey
from offkey.recipe_sections import Window


def tone_over_noise(seed, faint):
    """Loud pure tones beside faint noise: the hardest case for float32."""
    rng = np.random.default_rng(seed)
    time = np.arange(24_000) / 16_000
    tones = rng.uniform(50, 7900, rng.integers(1, 6))
    clip = sum(np.sin(2 * np.pi * f * time + rng.uniform(0, 6)) for f in tones) / len(tones)
    return (clip + faint * rng.standard_normal(time.size)).astype(np.float32)


CLIPS = {
    "machine": machine(0),
    "white noise": (0.1 * np.random.default_rng(1).standard_normal(48_000)).astype(np.float32),
    "full-scale square": np.where(np.arange(48_000) // 160 % 2, 1, -1).astype(np.float32),
    "constant": np.full(48_000, 0.9, np.float32),
    "click": np.eye(1, 48_000, 20_000, dtype=np.float32)[0],
    "sweep": np.sin(np.arange(48_000) ** 2 * 3e-5).astype(np.float32),
    "strokes": (np.sin(0.9 * np.arange(48_000)) * np.exp(-(np.arange(48_000) % 3000) / 90)).astype(
        np.float32
    ),
    "loud then faint": machine(2) * np.where(np.arange(48_000) < 24_000, 1, 1e-4).astype(np.float32),
}

SETTINGS = [
    {},
    {"mel_scale": "htk"},
    {"mel_norm": "none"},
    {"mel_scale": "htk", "mel_norm": "none"},
    {"pad_mode": "reflect"},
    {"pad_mode": "none"},
    {"spectrum": "magnitude"},
    {"spectrum": "magnitude", "floor": "add", "floor_value": 1e-8},
    {"floor": "add", "floor_value": 2.0**-52},
    {"f_min_hz": 50.0, "f_max_hz": 7000.0},
    {"n_fft": 2048, "hop_length": 300},
    {"n_fft": 256, "hop_length": 1000, "n_mels": 24},
    {"n_fft": 16, "hop_length": 3, "n_mels": 2},
    {"n_fft": 4096, "hop_length": 4096, "n_mels": 200},
    {"n_fft": 32_768, "hop_length": 5000},
    {"sample_rate": 44_100, "n_fft": 2048, "n_mels": 64},
    {"sample_rate": 11_025},
    {"n_fft": 400, "hop_length": 160, "n_mels": 40},
    {"n_fft": 480, "hop_length": 480, "n_mels": 40, "spectrum": "magnitude"},
    {"n_fft": 18, "hop_length": 5, "n_mels": 2},
    {"n_fft": 486, "hop_length": 700, "n_mels": 40},
    {"n_fft": 1250, "hop_length": 600, "pad_mode": "reflect"},
    {"n_fft": 33_750, "hop_length": 5000},
    {"win_length": 400, "window": "hamming"},
    {"n_fft": 480, "win_length": 1, "window": "blackman", "n_mels": 40},
    {"n_fft": 960, "win_length": 801, "pad_mode": "none"},
]

WINDOWS = typing.get_args(Window)


@pytest.mark.parametrize("name", CLIPS)
def test_paper_features_of_every_kind_of_clip(name):
    clip = CLIPS[name]
    got = offkey.LogMel.paper()(clip[None])[0]
    assert got.dtype == np.float32
    assert worst_db(got, librosa_db(clip)) < TOLERANCE_DB / 2


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_every_setting(settings):
    logmel = offkey.LogMel(**settings)
    got = logmel([CLIPS["machine"], CLIPS["sweep"]])
    for one, name in zip(got, ("machine", "sweep"), strict=True):
        assert worst_db(one, librosa_db(CLIPS[name], **settings)) < TOLERANCE_DB


@pytest.mark.parametrize("faint", [1e-6, 1e-5, 3e-5, 1e-4, 1e-3])
@pytest.mark.parametrize("spectrum", ["power", "magnitude"])
def test_tones_over_faint_noise(faint, spectrum):
    logmel = offkey.LogMel(spectrum=spectrum)
    clips = [tone_over_noise(seed, faint) for seed in range(6)]
    for clip, got in zip(clips, logmel(clips), strict=True):
        assert worst_db(got, librosa_db(clip, spectrum=spectrum)) < TOLERANCE_DB


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"mel_scale": "htk", "mel_norm": "none"},
        {"n_fft": 2048, "n_mels": 40, "f_min_hz": 125.0, "f_max_hz": 7500.0},
        {"sample_rate": 22_050, "n_fft": 2048},
    ],
    ids=str,
)
def test_filters(settings):
    logmel = offkey.LogMel(**settings)
    expected = librosa.filters.mel(
        sr=logmel.sample_rate,
        n_fft=logmel.n_fft,
        n_mels=logmel.n_mels,
        fmin=logmel.f_min_hz,
        fmax=logmel.f_max_hz,
        htk=logmel.mel_scale == "htk",
        norm=None if logmel.mel_norm == "none" else "slaney",
        dtype=np.float64,
    )
    np.testing.assert_allclose(logmel.filters(), expected, rtol=1e-6, atol=1e-7 * expected.max())
    peaks = librosa.mel_frequencies(
        n_mels=logmel.n_mels + 2,
        fmin=logmel.f_min_hz,
        fmax=logmel.f_max_hz or logmel.sample_rate / 2,
        htk=logmel.mel_scale == "htk",
    )[1:-1]
    np.testing.assert_allclose(logmel.peaks_hz(), peaks, rtol=1e-12)


@pytest.mark.parametrize("samples", [1, 2, 511, 512, 513, 1024, 4095, 4096, 4097, 8192, 8193])
def test_lengths_around_frames_and_groups_of_frames(samples):
    clip = machine(3, samples=8193)[:samples]
    for settings in ({}, {"pad_mode": "reflect"}, {"pad_mode": "none"}):
        least = {"constant": 1, "reflect": 513, "none": 1024}[settings.get("pad_mode", "constant")]
        if samples < least:
            continue
        expected = librosa_db(clip, **settings)
        got = offkey.LogMel(**settings)(clip[None])[0]
        assert worst_db(got, expected) < TOLERANCE_DB
        assert offkey.LogMel(**settings).frames(samples) == expected.shape[1]


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("win_length", [None, 1, 2, 400, 555])
def test_windows_are_those_of_librosa(window, win_length):
    clip = machine(7)
    arguments = {"n_fft": 600, "hop_length": 250, "n_mels": 60, "window": window, "win_length": win_length}
    got = offkey.LogMel(**arguments)(clip[None])[0]
    assert worst_db(got, librosa_db(clip, **arguments)) < TOLERANCE_DB


@pytest.mark.parametrize(("n_fft", "win_length"), [(400, 400), (480, 320), (512, 400), (1200, 333)])
@pytest.mark.parametrize("window", ["hann", "hamming", "blackman", "bartlett"])
def test_windows_and_lengths_are_those_of_torch(n_fft, win_length, window):
    torch = pytest.importorskip("torch")
    clip = machine(8)
    arguments = {"n_fft": n_fft, "hop_length": 160, "win_length": win_length, "n_mels": 40}
    expected = torch_stft_db(clip, window=getattr(torch, f"{window}_window"), **arguments)
    got = offkey.LogMel(window=window, **arguments)(clip[None])[0]
    assert worst_db(got, expected) < TOLERANCE_DB
