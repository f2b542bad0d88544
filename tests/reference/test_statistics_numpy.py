"""Clip statistics against numpy in float64: 1e-4."""

import numpy as np
import pytest
from logmel_reference import librosa_db, machine, numpy_statistics

import offkey


def assert_equal_to_numpy(got, logmels):
    for name, mine, theirs in zip(got.arrays(), got[:4], numpy_statistics(logmels), strict=True):
        assert mine.dtype == np.float32
        assert mine.shape == theirs.shape
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-4, err_msg=name)


@pytest.mark.parametrize("frames", [1, 2, 3, 7, 8, 9, 20, 21, 22, 100, 313, 1000])
def test_statistics_of_log_mels_of_any_number_of_frames(frames):
    rng = np.random.default_rng(frames)
    logmels = (-40 + 15 * rng.standard_normal((3, 17, frames))).astype(np.float32)
    assert_equal_to_numpy(offkey.clip_statistics(logmels), logmels)


def test_hard_values():
    rng = np.random.default_rng(0)
    rows = [
        np.full(313, -100.0),
        -100 + 1e-4 * rng.standard_normal(313),
        np.where(np.arange(313) == 7, 0.0, -100.0),
        np.sort(rng.uniform(-100, 0, 313)),
        np.repeat([-50.0, -20.0], [16, 297]),
    ]
    logmels = np.array([rows], np.float32)
    assert_equal_to_numpy(offkey.clip_statistics(logmels), logmels)


def test_fused_with_the_spectrogram():
    clips = [machine(seed, samples=16_000 + 3000 * seed) for seed in range(4)]
    logmel = offkey.LogMel.paper()
    got = logmel.statistics(clips)
    for index, spectrogram in enumerate(logmel.each(clips)):
        assert_equal_to_numpy(got.take([index]), spectrogram[None])


def test_end_to_end_against_librosa():
    clips = np.stack([machine(seed) for seed in range(3)])
    got = offkey.LogMel.paper().statistics(clips)
    expected = numpy_statistics([librosa_db(clip) for clip in clips])
    for mine, theirs in zip(got[:4], expected, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-4)


def test_any_layout_and_float64():
    logmels = np.random.default_rng(1).uniform(-100, 0, (4, 6, 50))
    expected = offkey.clip_statistics(logmels.astype(np.float32))
    for same in (
        logmels,
        np.asfortranarray(logmels.astype(np.float32)),
        logmels.astype(np.float32)[::-1][::-1],
    ):
        for mine, theirs in zip(offkey.clip_statistics(same)[:4], expected[:4], strict=True):
            np.testing.assert_array_equal(mine, theirs)
