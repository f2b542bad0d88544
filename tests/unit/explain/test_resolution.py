"""The resolution of maps."""

import numpy as np
import pytest

import offkey
from offkey.explain.resolution import resolved

FEATURES = offkey.Recipe.named("spectral").features


def one_cell(shape, place):
    values = np.zeros(shape)
    values[place] = 1.0
    return values


def test_one_cell_is_a_bump_over_bins_and_the_overlap_of_frames():
    spread = resolved(one_cell((128, 50), (60, 20)), FEATURES)
    np.testing.assert_allclose(spread.sum(axis=0)[18:23], [0, 0.25, 0.5, 0.25, 0], atol=1e-12)
    over_bins = spread.sum(axis=1)
    deviation = np.sqrt(over_bins @ np.square(np.arange(128) - 60))
    assert deviation == pytest.approx(1.25, rel=0.02)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (3, 2), (128, 313)])
def test_sums_stay_at_every_edge(shape):
    values = np.random.default_rng(0).normal(size=shape)
    assert resolved(values, FEATURES).sum() == pytest.approx(values.sum())
    for place in {(0, 0), (shape[0] - 1, shape[1] - 1)}:
        assert resolved(one_cell(shape, place), FEATURES).sum() == pytest.approx(1)


def test_frames_that_do_not_overlap_and_few_bins_stay_apart():
    features = offkey.Recipe.named("spectral").replace(features__n_fft=512, features__hop_length=512).features
    spread = resolved(one_cell((16, 9), (8, 4)), features)
    assert spread[8, 4] > 0.99
    assert not spread[:, :4].any()
    assert not spread[:, 5:].any()


def test_what_lies_beside_the_window_is_no_overlap():
    features = offkey.Recipe.named("spectral").replace(features__win_length=512).features
    over_frames = resolved(one_cell((128, 50), (60, 20)), features).sum(axis=0)
    assert np.flatnonzero(over_frames).tolist() == [20]


def test_frames_that_overlap_more_are_spread_further():
    features = (
        offkey.Recipe.named("spectral").replace(features__n_fft=1024, features__hop_length=256).features
    )
    over_frames = resolved(one_cell((128, 50), (60, 20)), features).sum(axis=0)
    np.testing.assert_allclose(over_frames[16:25], np.array([0, 1, 2, 3, 4, 3, 2, 1, 0]) / 16, atol=1e-12)
