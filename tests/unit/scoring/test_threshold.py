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
