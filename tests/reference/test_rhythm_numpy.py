"""The rhythm of clips against numpy in float64: 1e-4 where a rate has a thousandth of its band's mean power."""

import itertools

import numpy as np
import pytest
import torch
from logmel_reference import machine

import offkey


def numpy_rhythm(logmel, frame_rate_hz, *, bands=32, rates=4, lowest_hz=0.4):
    """(n_mels, frames) to two of (rates * bands,): the definition, and how far off a number may be."""
    pooled = torch.nn.functional.adaptive_avg_pool1d(
        torch.from_numpy(logmel.astype(np.float64).T.copy()), bands
    )
    levels = pooled.numpy().T
    frames = levels.shape[1]
    levels = (levels - levels.mean(axis=1, keepdims=True)) * np.hanning(frames)
    powers = np.square(np.abs(np.fft.rfft(levels))) / frames
    hz = np.arange(powers.shape[1]) * frame_rate_hz / frames
    edges = np.geomspace(lowest_hz, frame_rate_hz / 2, rates + 1)
    on_edge = 1 - 1e-9  # by rounding, a frequency on an edge may lie on either side
    of_band = powers.mean(axis=1)
    rows = []
    for low, high in itertools.pairwise(edges):
        below = hz < on_edge * high if high < edges[-1] else 2 * np.arange(len(hz)) < frames
        lines = np.flatnonzero((hz >= on_edge * low) & below)
        if not len(lines):
            lines = np.abs(hz - np.sqrt(low * high)).argmin(keepdims=True)
        power = powers[:, lines].mean(axis=1) + 1e-6
        rows.append([np.log(power), 1e-5 + 2e-6 * np.sqrt(of_band / power)])
    return np.concatenate(rows, axis=1)


def assert_equal_to_numpy(got, logmels, frame_rate_hz, **parameters):
    assert got.dtype == np.float32
    for row, logmel in zip(got, logmels, strict=True):
        expected, tolerance = numpy_rhythm(logmel, frame_rate_hz, **parameters)
        assert row.shape == expected.shape
        assert (np.abs(row - expected) <= tolerance).all(), np.abs(row - expected).max()


@pytest.mark.parametrize("frames", [1, 2, 3, 5, 8, 9, 30, 64, 157, 313, 626, 1000, 1876])
@pytest.mark.parametrize("n_mels", [128, 20, 40])
def test_any_number_of_frames_and_mels(frames, n_mels):
    rng = np.random.default_rng(frames)
    logmels = (-40 + 15 * rng.standard_normal((2, n_mels, frames))).astype(np.float32)
    assert_equal_to_numpy(offkey.rhythm(logmels, frame_rate_hz=31.25), logmels, 31.25)


@pytest.mark.parametrize("deviation", [1e-5, 1e-3, 0.1, 60])
def test_any_deviation(deviation):
    logmels = np.random.default_rng(0).normal(-90, deviation, (2, 128, 313)).astype(np.float32)
    assert_equal_to_numpy(offkey.rhythm(logmels, frame_rate_hz=31.25), logmels, 31.25)


def test_other_bands_rates_and_frame_rates():
    logmels = np.random.default_rng(0).normal(-50, 8, (2, 64, 200)).astype(np.float64)
    for parameters in ({"bands": 16, "rates": 8}, {"bands": 3, "rates": 1, "lowest_hz": 2.0}, {"bands": 70}):
        got = offkey.rhythm(logmels, frame_rate_hz=100 / 3, **parameters)
        assert_equal_to_numpy(got, logmels.astype(np.float32), 100 / 3, **parameters)


def test_a_long_recording():
    logmels = np.random.default_rng(0).normal(-50, 8, (1, 32, 112_501)).astype(np.float32)
    assert_equal_to_numpy(offkey.rhythm(logmels, frame_rate_hz=31.25), logmels, 31.25)


def test_fused_with_the_spectrogram():
    clips = [machine(seed, samples=16_000 + 9000 * seed) for seed in range(5)]
    logmel = offkey.LogMel.paper()
    got = logmel.statistics(clips, rhythm=True).rhythm
    for row, spectrogram in zip(got, logmel.each(clips), strict=True):
        assert_equal_to_numpy(row[None], spectrogram[None], 31.25)


@pytest.mark.parametrize("hop_length", [512, 1024])
def test_the_fine_mean_is_that_of_the_second_spectrogram(hop_length):
    clips = [machine(seed, samples=500 + 9000 * seed) for seed in range(5)]
    fine = offkey.LogMel(n_fft=2048, hop_length=hop_length, n_mels=256)
    got = offkey.LogMel.paper().statistics(clips, fine=fine).fine_mean
    assert got.dtype == np.float32
    expected = [spectrogram.astype(np.float64).mean(axis=1) for spectrogram in fine.each(clips)]
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5)
