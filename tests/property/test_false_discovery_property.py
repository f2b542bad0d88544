"""What decisions over an archive and the test for drift promise, over many draws."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offkey.scoring.drift import LEVEL, Drift
from offkey.scoring.false_discovery import Discoveries, benjamini_hochberg, least_findable

P_VALUES = st.lists(st.floats(0, 1) | st.sampled_from([0.0, 1 / 61, 1.0, np.nan]), max_size=40)
RATES = st.floats(0.01, 0.99)


@given(P_VALUES, RATES)
def test_the_called_are_the_smallest_and_within_their_bound(p_values, rate):
    p = np.array(p_values, dtype=np.float64)
    decisions = benjamini_hochberg(p, rate)
    assert ((decisions == -1) == np.isnan(p)).all()
    called, others = p[decisions == 1], p[decisions == 0]
    tested = len(called) + len(others)
    assert called.max(initial=0) * tested <= rate * len(called) * (1 + 1e-9)
    # No more could have been called: every larger set has a p-value above its bound.
    for more, value in enumerate(np.sort(others), start=len(called) + 1):
        assert value * tested > rate * more


@given(P_VALUES, RATES)
def test_a_higher_rate_calls_no_fewer_and_order_does_not_matter(p_values, rate):
    p = np.array(p_values, dtype=np.float64)
    decisions = benjamini_hochberg(p, rate)
    assert (benjamini_hochberg(p, (1 + rate) / 2) >= decisions).all()
    assert (benjamini_hochberg(p[::-1], rate)[::-1] == decisions).all()


@given(P_VALUES, RATES, st.data())
def test_nothing_below_the_least_number_is_ever_called(p_values, rate, data):
    smallest = np.array(p_values, dtype=np.float64)
    p = np.array([data.draw(st.floats(value, 1)) if value == value else value for value in smallest])
    least = least_findable(smallest, rate)
    called = np.count_nonzero(benjamini_hochberg(p, rate) == 1)
    assert called == 0 if least is None else called == 0 or called >= least
    reached = np.count_nonzero(benjamini_hochberg(smallest, rate) == 1)
    assert (reached == 0) == (least is None)


@given(P_VALUES, RATES)
def test_recordings_of_one_row_each_are_tests_of_their_own(p_values, rate):
    p = np.array(p_values, dtype=np.float64)
    smallest = np.where(np.isnan(p), np.nan, 0.0)
    result = Discoveries.among(p, smallest_p=smallest, recordings=np.arange(len(p)), rate=rate)
    assert (result.decisions == benjamini_hochberg(p, rate)).all()
    assert result.called == np.count_nonzero(result.decisions == 1)


@pytest.mark.parametrize(("clips", "recordings", "anomalies"), [(60, 200, 40), (240, 500, 25)])
def test_ranks_among_shared_clips_keep_the_false_discovery_rate(clips, recordings, anomalies):
    rng, rate, shares, found = np.random.default_rng(0), 0.1, [], []
    for _ in range(400):
        calibration = np.sort(rng.normal(size=clips))
        scores = rng.normal(size=recordings)
        scores[:anomalies] += 4
        p = (1 + clips - np.searchsorted(calibration, scores)) / (clips + 1)
        called = benjamini_hochberg(p, rate) == 1
        shares.append(np.count_nonzero(called[anomalies:]) / max(1, np.count_nonzero(called)))
        found.append(called[:anomalies].mean())
    error = np.std(shares) / np.sqrt(len(shares))
    assert np.mean(shares) < rate + 2 * error  # the bound itself is 0.1 times the share of normals
    assert np.mean(found) > 0.5


def _rate_of_drift(draw_batch, draw_clips, draws=2000):
    return np.mean([Drift.between(draw_batch(), draw_clips()).p_value <= LEVEL for _ in range(draws)])


@pytest.mark.parametrize(("recordings", "clips"), [*itertools.product((20, 60, 600), repeat=2)])
@pytest.mark.parametrize("tied", [False, True])
def test_drift_is_said_at_most_as_often_as_stated_where_there_is_none(recordings, clips, tied):
    rng = np.random.default_rng([recordings, clips, tied])

    def draw(size):
        values = rng.gamma(4, size=size)
        return np.round(values / 2) if tied else values

    rate = _rate_of_drift(lambda: draw(recordings), lambda: draw(clips), draws=1000)
    assert rate <= LEVEL + 3 * np.sqrt(LEVEL * (1 - LEVEL) / 1000)


@pytest.mark.parametrize("recordings", [30, 100, 600])
@pytest.mark.parametrize("off", [6, -6])
def test_a_tenth_of_odd_recordings_raises_the_rate_of_drift_no_further(recordings, off):
    rng = np.random.default_rng(recordings)

    def batch():
        scores = rng.normal(size=recordings)
        scores[: recordings // 10] += off
        return scores

    rate = _rate_of_drift(batch, lambda: rng.normal(size=240), draws=1000)
    assert rate <= LEVEL + 3 * np.sqrt(LEVEL * (1 - LEVEL) / 1000)


@pytest.mark.parametrize(
    ("recordings", "shift", "factor", "seen"),
    [
        (24, 1, 1, 0.5),
        (24, -1, 1, 0.5),
        (60, 1, 1, 0.95),
        (60, -1, 1, 0.95),
        (300, 0, 2, 0.4),
        (300, 0, 0.5, 0.9),
    ],
)
def test_a_change_of_the_bulk_is_seen(recordings, shift, factor, seen):
    rng = np.random.default_rng(0)
    rate = _rate_of_drift(
        lambda: factor * rng.normal(size=recordings) + shift, lambda: rng.normal(size=240), draws=300
    )
    assert rate > seen
