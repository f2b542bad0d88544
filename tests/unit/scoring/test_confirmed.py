"""Thresholds below confirmed anomalies."""

import numpy as np
import pytest

from offkey.errors import DetectorFileError
from offkey.scoring.confirmed import Confirmed, decided
from offkey.scoring.null import NullDistribution, NullDistributions

NULL = NullDistribution("own", np.arange(99, dtype=np.float64))  # p = (1 + number above) / 100


def below(scores, max_rate, *, windows=1):
    scores = np.asarray(scores, dtype=np.float64)
    p_values = np.minimum(1.0, windows * NULL.p_values(scores))
    whole = np.full(len(scores), windows == 1)
    return Confirmed.below(NULL, scores, p_values, whole, max_rate=max_rate)


def test_the_threshold_lies_just_below_the_lowest_anomaly_and_costs_its_p_value():
    confirmed = below([97.5, 92.5, 95.5], 0.2)
    assert confirmed.threshold == np.nextafter(92.5, -np.inf)
    assert confirmed.false_alarm_rate == NULL.p_values([92.5])[0] == pytest.approx(0.07)


def test_the_threshold_stops_at_the_largest_rate():
    confirmed = below([10.0], 0.2)
    assert confirmed.threshold == NULL.threshold(0.2)
    assert confirmed.false_alarm_rate == pytest.approx(0.2)


def test_an_anomaly_that_is_the_worst_of_some_windows_is_called_once_the_rate_reaches_its_p_value():
    score, windows = 96.5, 4  # p = 4 * 0.03
    confirmed = below([score], 0.3, windows=windows)
    assert confirmed.false_alarm_rate == pytest.approx(0.12)
    assert score > confirmed.threshold_of(NULL, windows)
    slightly_less = Confirmed(NULL.threshold(0.11), 0.11)
    assert score < slightly_less.threshold_of(NULL, windows)


@pytest.mark.parametrize("windows", [1, 2, 5, 50, 400])
def test_more_windows_never_lower_a_threshold(windows):
    confirmed = below([92.5], 0.2)
    assert confirmed.threshold_of(NULL, windows) <= confirmed.threshold_of(NULL, windows + 1)
    assert confirmed.threshold_of(NULL, 1) == confirmed.threshold


def test_only_thresholds_and_decisions_of_confirmed_ids_change():
    null = NullDistributions.fit(np.tile(np.arange(99.0), 2), ["a"] * 99 + ["b"] * 99)
    scores, ids = np.array([93.0, 93.0, 93.0, 80.0]), ["a", "b", None, "a"]
    windows = np.ones(4, dtype=np.int64)
    judged = null.judge(scores, ids, rate=0.05)
    assert judged.decision.tolist() == [0, 0, 0, 0]
    confirmed = {"a": Confirmed(92.5, 0.07)}
    after = decided(judged, scores, ids, windows, confirmed=confirmed, null=null, rate=0.05)
    assert after.decision.tolist() == [1, 0, 0, 0]
    assert after.threshold.tolist() == [92.5, *judged.threshold[1:3], 92.5]
    assert after.p_value is judged.p_value
    assert after.calibration == judged.calibration


@pytest.mark.parametrize(
    "state",
    [
        None,
        {},
        {"threshold": 1.0},
        {"threshold": "x", "false_alarm_rate": 0.1},
        {"threshold": float("nan"), "false_alarm_rate": 0.1},
        {"threshold": 1.0, "false_alarm_rate": 0.0},
        {"threshold": 1.0, "false_alarm_rate": 1.5},
    ],
)
def test_what_is_no_confirmed_threshold_is_refused(state):
    with pytest.raises(DetectorFileError, match="confirmed"):
        Confirmed.from_state(state)
