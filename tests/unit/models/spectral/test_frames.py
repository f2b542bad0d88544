"""When in a clip its statistics are what they are."""

import numpy as np
import pytest

import offkey
from offkey.models.spectral import frames

RATE_HZ = 31.25
SHAPE = (8, 60)


@pytest.fixture
def logmel():
    return np.random.default_rng(0).normal(-40, 5, SHAPE)


def numerical(statistic, logmel, step=1e-3):
    """Return the gradient of a statistic by each cell."""
    gradient = np.zeros(logmel.shape)
    for cell in np.ndindex(logmel.shape):
        up, down = logmel.copy(), logmel.copy()
        up[cell] += step
        down[cell] -= step
        gradient[cell] = (statistic(up) - statistic(down)) / (2 * step)
    return gradient


@pytest.mark.parametrize(
    ("shared", "statistic"),
    [
        (frames.of_spread, lambda x: np.log(x.std(axis=1)).sum()),
        (frames.of_differences, lambda x: np.log(np.diff(x, axis=1).std(axis=1)).sum()),
    ],
)
def test_frames_add_their_level_times_the_gradient(logmel, shared, statistic):
    """Statistics are logarithms of roots: their derivative times the level sums to 1 in each bin."""
    ones = np.ones(SHAPE[0])
    centred = logmel - logmel.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(
        shared(ones, ones, logmel), centred * numerical(statistic, logmel), rtol=1e-4, atol=1e-6
    )


def test_less_of_it_than_usual_is_missing_at_all_times(logmel):
    ones = np.ones(SHAPE[0])
    for shared in (frames.of_spread, frames.of_differences):
        np.testing.assert_allclose(shared(ones, -ones, logmel), 1 / SHAPE[1])


def test_a_higher_floor_is_there_at_all_times_and_a_lower_one_in_the_quietest(logmel):
    ones = np.ones(SHAPE[0])
    np.testing.assert_allclose(frames.of_floor(ones, ones, logmel), 1 / SHAPE[1])
    added = frames.of_floor(ones, -ones, logmel)
    for shares, levels in zip(added, logmel, strict=True):
        assert set(np.flatnonzero(shares)) == set(np.argsort(levels)[:6])


def test_a_rhythm_is_where_it_swings():
    """Of a band of four Mel bins, one clicks four times a second in the second half."""
    logmel = np.random.default_rng(1).normal(-40, 0.5, (128, 160))
    logmel[82, 80::8] += 10.0
    rates = offkey.rhythm(logmel[None].astype(np.float32), frame_rate_hz=RATE_HZ)[0]
    amounts = np.zeros(128)
    amounts[64 + 20] = 1.0  # of the rates from 2.5 to 6.25 Hz
    assert rates[64 + 20] == rates[64:96].max()
    added = frames.of_rhythm(amounts, np.ones(128), logmel, frame_rate_hz=RATE_HZ)
    assert added.sum() == pytest.approx(1)
    assert added[82].sum() > 0.8 * added[80:84].sum()
    assert added[82, 80:].sum() > 0.9 * added[82].sum()
    np.testing.assert_allclose(np.delete(added, range(80, 84), axis=0), 0, atol=1e-12)
