"""Thresholds from normal clips."""

import json
import math

import numpy as np
import pytest

from offkey.errors import ArrayError, DetectorFileError, ParameterError
from offkey.scoring.threshold import Thresholds

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("quantile", [0.5, 0.9, 0.95, 0.99])
@pytest.mark.parametrize("n", [10, 37, 200])
def test_at_most_the_rest_of_the_normals_is_called_anomalous(quantile, n):
    scores, ids = RNG.normal(size=2 * n), ["a", "b"] * n
    scores[1::2] += 100
    fitted = Thresholds.fit(scores, ids, quantile=quantile)
    decisions = fitted.decide(scores, ids)
    for at in (0, 1):
        called = decisions[at::2].mean()
        assert 1 - quantile - 1 / n < called <= 1 - quantile + 1e-12


@pytest.mark.parametrize("n", [10, 19, 20, 40, 60])
def test_false_alarms_of_new_normals_follow_from_the_number_of_clips(n):
    """The threshold is the score of rank ceil(0.95 n), which a new score exceeds in (n + 1 - rank) / (n + 1)."""
    ids = [f"{number:04d}" for number in range(3000) for _ in range(n)]
    fitted = Thresholds.fit(RNG.uniform(size=len(ids)), ids, quantile=0.95)
    false_alarm_rates = 1 - fitted.values  # of new scores, uniform in [0, 1]
    rank = math.ceil(0.95 * n)
    assert false_alarm_rates.mean() == pytest.approx((n + 1 - rank) / (n + 1), abs=0.004)


def test_ids_with_few_clips_unknown_ids_and_none_have_the_pooled_threshold():
    scores = np.arange(24.0)
    fitted = Thresholds.fit(scores, ["a"] * 20 + ["b"] * 4, quantile=0.5, machine_ids=["a", "b", "c"])
    assert fitted.values.tolist() == [9.0, 11.0, 11.0]
    assert fitted.of(["a", "c", None, "z"]).tolist() == [9.0, 11.0, 11.0, 11.0]


def test_a_missing_score_has_no_decision():
    fitted = Thresholds.fit([1.0], ["a"])
    assert fitted.decide([2.0, 1.0, np.nan], ["a", "a", None]).tolist() == [1, 0, -1]


def test_the_state_is_plain_data():
    fitted = Thresholds.fit(RNG.normal(size=40), ["a", "b"] * 20)
    again = Thresholds.from_state(json.loads(json.dumps(fitted.state())))
    assert again.of(["a", "b", None]).tolist() == fitted.of(["a", "b", None]).tolist()
    for change in ({"ids": "ab"}, {"values": [1.0]}, {"fallback": None}, {"fallback": float("inf")}):
        with pytest.raises(DetectorFileError, match=f"thresholds: {next(iter(change))}"):
            Thresholds.from_state(fitted.state() | change)


def test_thresholds_name_bad_quantiles_and_lengths():
    for quantile in (0.0, 1.0, -1, 95, float("nan")):
        with pytest.raises(ParameterError, match="quantile = "):
            Thresholds.fit([1.0], ["a"], quantile=quantile)
    with pytest.raises(ParameterError, match="min_clips = 0"):
        Thresholds.fit([1.0], ["a"], min_clips=0)
    with pytest.raises(ArrayError, match="none given"):
        Thresholds.fit([], [], machine_ids=["a"])
    with pytest.raises(ArrayError, match="one for each ID given"):
        Thresholds.fit([1.0], ["a"]).decide([1.0], [])


@pytest.mark.parametrize("windows", [2, 6, 72, 1000])
@pytest.mark.parametrize("draw", ["standard_normal", "standard_exponential"])
def test_maxima_of_independent_windows_exceed_their_threshold_as_seldom_as_promised(windows, draw):
    rng = np.random.default_rng(windows)
    rates = []
    for _ in range(60):
        scores = getattr(rng, draw)(400)
        threshold = Thresholds.fit(scores, ["a"] * 400, quantile=0.95, windows=windows).values[0]
        maxima = getattr(rng, draw)((200, windows)).max(axis=1)
        rates.append(np.mean(maxima > threshold))
    assert np.mean(rates) < 0.1  # 0.05, and what 400 scores leave open
    assert np.mean(rates) > 0.001  # the exponential tail is longer than the normal one


def test_windows_that_are_alike_exceed_it_more_seldom():
    rng = np.random.default_rng(0)
    scores = rng.standard_normal(2000)
    threshold = Thresholds.fit(scores, ["a"] * 2000, quantile=0.95, windows=20).values[0]
    alike = 0.95 * rng.standard_normal((500, 1)) + np.sqrt(1 - 0.95**2) * rng.standard_normal((500, 20))
    assert np.mean(alike.max(axis=1) > threshold) < 0.05


def test_one_window_has_the_plain_quantile_and_more_windows_no_smaller_threshold():
    scores = np.random.default_rng(1).standard_normal(30)
    values = [
        Thresholds.fit(scores, ["a"] * 30, windows=windows).values[0] for windows in (1, 2, 3, 10, 10**6)
    ]
    assert values[0] == np.quantile(scores, 0.95, method="inverted_cdf")
    assert values == sorted(values)
    assert values[2] >= scores.max()
    assert Thresholds.fit([3.0], ["a"], windows=50).values.tolist() == [3.0]
    with pytest.raises(ParameterError, match="windows = 0"):
        Thresholds.fit(scores, ["a"] * 30, windows=0)
