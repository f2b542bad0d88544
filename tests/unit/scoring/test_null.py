"""Null distributions: p-values and thresholds from the scores of normal clips."""

import numpy as np
import pytest
import scipy.stats

from offkey.errors import ArrayError, ParameterError
from offkey.scoring.null import NullDistribution, NullDistributions, achieved_rates


def of_one_id(scores):
    return NullDistributions.fit(scores, ["a"] * len(scores))


def drawn(seed, n):
    return np.random.default_rng(seed).standard_normal(n)


@pytest.mark.parametrize("rate", [0.5, 0.1, 0.05, 0.07, 0.01])
@pytest.mark.parametrize("n", [1, 19, 20, 99, 100, 299])
def test_the_threshold_is_the_rank_that_conformal_prediction_asks_for(rate, n):
    scores = np.arange(1.0, n + 1)
    rank = -int(-round((n + 1) * (1 - rate), 9) // 1)  # ceil, of a product that rounding leaves a little off
    null = of_one_id(scores).of("a", rate=rate)
    if rank <= n:
        assert null.kind == "own"
        assert null.threshold(rate) == rank
    else:
        assert null.kind == "tail"
        assert null.threshold(rate) > n or n == 1


@pytest.mark.parametrize("kind", ["own", "tail"])
@pytest.mark.parametrize("rate", [0.3, 0.1, 0.05, 0.02, 0.001])
def test_a_score_is_above_the_threshold_where_its_p_value_is_at_most_the_rate(kind, rate):
    null = NullDistribution(kind, np.sort(np.round(drawn(1, 49), 1)))  # with ties
    grid = np.concatenate([np.linspace(-4, 12, 1601), null.scores])
    p = null.p_values(grid)
    called = grid > null.threshold(rate)
    allowed = max(rate, null.smallest_rate)
    np.testing.assert_array_equal(called, p <= allowed * (1 + 1e-9))
    assert (np.diff(p[:1601]) <= 0).all()
    assert ((p > 0) & (p <= 1)).all()


def test_the_p_value_counts_normal_clips_that_sound_as_odd():
    null = NullDistribution("own", np.array([1.0, 2.0, 2.0, 3.0]))
    np.testing.assert_allclose(null.p_values([0.0, 2.0, 2.5, 3.0, 9.0]), np.array([5, 4, 2, 2, 1]) / 5)
    assert null.smallest_rate == 0.2


@pytest.mark.parametrize("draw", ["standard_normal", "standard_exponential", "standard_t"])
@pytest.mark.parametrize(("n", "rate"), [(80, 0.05), (20, 0.05), (80, 0.004), (240, 0.001), (20, 0.02)])
def test_new_normals_exceed_the_threshold_as_often_as_asked(draw, n, rate):
    rng = np.random.default_rng(n)
    args = (5,) if draw == "standard_t" else ()
    achieved = []
    for _ in range(400):
        null = of_one_id(getattr(rng, draw)(*args, size=n)).of("a", rate=rate)
        fresh = getattr(rng, draw)(*args, size=2000)
        achieved.append(np.mean(fresh > null.threshold(rate)))
    heavier = 2.5 if draw == "standard_t" and null.kind == "tail" else 1.1
    error = 3 * np.std(achieved) / np.sqrt(len(achieved))
    assert np.mean(achieved) < heavier * rate + error
    lighter = 0.2 if draw == "standard_normal" and null.kind == "tail" else 0.75
    assert np.mean(achieved) > lighter * rate - error


@pytest.mark.parametrize(("scores", "far"), [([0.0, 1e-308], 2.0), ([-1.5e308, -1.4e308], 1.5e308)])
def test_a_score_that_is_beyond_all_measure_has_the_smallest_p_value(scores, far):
    assert NullDistribution("tail", np.array(scores)).p_values([far])[0] == np.finfo(np.float64).tiny


def test_an_exponential_tail_is_met_exactly():
    rng = np.random.default_rng(0)
    rates = (0.03, 0.01, 0.001)
    p = np.concatenate(
        [
            NullDistribution("tail", np.sort(rng.standard_exponential(20))).p_values(
                rng.standard_exponential(200)
            )
            for _ in range(2000)
        ]
    )
    for rate in rates:
        assert np.mean(p <= rate) == pytest.approx(rate, rel=0.1)


def test_each_id_is_judged_by_its_own_clips_where_they_are_enough():
    scores = np.concatenate([drawn(0, 99), drawn(1, 60), drawn(2, 5)])
    ids = ["a"] * 99 + ["b"] * 60 + ["c"] * 5
    null = NullDistributions.fit(scores, ids, machine_ids=["a", "b", "c", "d"])
    kinds = {rate: "".join(null.of(i, rate=rate).kind[0] for i in "abcd") for rate in (0.05, 0.01, 0.001)}
    assert kinds == {0.05: "oopp", 0.01: "oppp", 0.001: "tttt"}
    assert null.notes(0.05)[:1] == (
        "false alarms: a rate of 0.05 takes 19 calibration clips of a machine; ID c (5), d (0): by the ranks among the "
        "164 clips of all IDs",
    )
    (note,) = null.notes(0.001)
    assert "0.001 takes 999 calibration clips" in note
    assert "ID a (99), b (60), c (5), d (0): by an exponential tail of the scores of all 164 clips" in note
    judged = null.judge([9.0] * 4, ["a", "b", "c", None], rate=0.01)
    assert judged.calibration == ("own", "pooled", "pooled", "pooled")
    assert judged.clips.tolist() == [99, 164, 164, 164]
    np.testing.assert_allclose(judged.p_value, 1 / (judged.clips + 1))
    assert judged.decision.tolist() == [1, 1, 1, 1]
    thresholds = null.thresholds(0.01)
    assert list(thresholds) == ["a", "b", "c", "d", None]
    np.testing.assert_array_equal(judged.threshold, [thresholds[i] for i in ("a", "b", "c", None)])


def test_recordings_of_unknown_ids_are_judged_by_normals_as_if_theirs_were_not_known():
    scores = drawn(3, 200)
    null = NullDistributions.fit(scores, ["a", "b"] * 100, nearest=scores - 1)
    assert null.thresholds(0.1)[None] == pytest.approx(null.of("a", rate=0.004).threshold(0.1) - 1, abs=0.2)
    for unknown in (None, "z"):
        assert null.judge([0.0], [unknown], rate=0.1).p_value == null.of(None, rate=0.1).p_values([0.0])


def test_the_worst_of_some_windows_has_their_number_times_the_p_value():
    null = of_one_id(drawn(4, 999))
    one = null.judge([2.0, 2.5], ["a"] * 2, rate=0.05)
    ten = null.judge([2.0, 2.5], ["a"] * 2, rate=0.05, windows=[10, 1])
    np.testing.assert_allclose(ten.p_value, one.p_value * [10, 1])
    assert ten.threshold[0] == null.thresholds(0.005)["a"]
    assert ten.threshold[1] == one.threshold[1]
    assert null.judge([-9.0], ["a"], rate=0.05, windows=7).p_value == 1.0
    assert null.judge([9.0], ["a"], rate=0.05, windows=100).calibration == ("tail",)
    (note,) = null.notes(0.05, windows=100)
    assert "a rate of 0.05 for the worst of 100 windows takes 1999 calibration clips" in note


@pytest.mark.parametrize("correlation", [0.0, 0.95])
def test_maxima_of_windows_are_called_at_most_as_often_as_promised(correlation):
    rng = np.random.default_rng(5)
    rates = []
    for _ in range(100):
        null = of_one_id(rng.standard_normal(400))
        common = np.sqrt(correlation) * rng.standard_normal((200, 1))
        windows = common + np.sqrt(1 - correlation) * rng.standard_normal((200, 20))
        rates.append(null.judge(windows.max(axis=1), ["a"] * 200, rate=0.1, windows=20).decision.mean())
    assert np.mean(rates) < 0.11
    assert np.mean(rates) > (0.05 if correlation == 0 else 0.005)


@pytest.mark.parametrize("scores", [[3.0], [2.0] * 12])
def test_scores_that_say_nothing_of_a_tail_give_the_smallest_rate_that_they_can(scores):
    null = of_one_id(scores)
    smallest = 1 / (len(scores) + 1)
    assert null.of("a", rate=0.01).smallest_rate == pytest.approx(smallest)
    assert null.thresholds(0.01)["a"] == scores[0]
    judged = null.judge([scores[0], scores[0] + 1], ["a"] * 2, rate=0.01)
    assert judged.decision.tolist() == [0, 1]
    np.testing.assert_allclose(judged.p_value, [1.0, smallest])
    (note,) = null.notes(0.01)
    assert f"the smallest rate that {len(scores)} such clips give is {smallest:.2g}, which is used" in note


def test_far_scores_have_p_values_above_zero():
    null = NullDistribution("tail", np.sort(drawn(6, 1000)))
    assert (null.p_values([50.0, 1e6, 1e300]) > 0).all()


@pytest.mark.parametrize(("clips", "rate"), [(19, 0.05), (60, 0.05), (200, 0.1), (999, 0.01)])
def test_the_spread_of_rates_over_calibration_sets_is_that_of_a_beta_distribution(clips, rate):
    k = round((clips + 1) * rate - 1e-9) if clips != 60 else 3
    expected = scipy.stats.beta(k, clips + 1 - k).ppf([0.05, 0.95])
    np.testing.assert_allclose(achieved_rates(clips, rate), expected, rtol=1e-6)


def test_ids_whose_rate_may_be_far_from_what_was_asked_are_told():
    null = NullDistributions.fit(drawn(0, 420), ["a"] * 20 + ["b"] * 400)
    (note,) = null.notes(0.05)
    assert "ID a (20): too few calibration clips to be sure of a rate of 0.05" in note
    assert "with 20, nine sets in ten give 0.0026 to 0.14" in note
    assert null.notes(0.05, windows=20)[0].startswith("false alarms: a rate of 0.05 for the worst")


@pytest.mark.parametrize("rate", [0.0, 1.0, -1, 95, float("nan"), "x", True])
def test_a_rate_that_is_none_is_refused(rate):
    with pytest.raises(ParameterError, match=r"false_alarm_rate = .*above 0 and below 1"):
        of_one_id([1.0, 2.0]).thresholds(rate)


def test_bad_scores_are_refused():
    with pytest.raises(ArrayError, match="none given"):
        NullDistributions.fit([], [], machine_ids=["a"])
    with pytest.raises(ArrayError, match="nearest"):
        NullDistributions.fit([1.0], ["a"], nearest=[1.0, 2.0])
    with pytest.raises(ParameterError, match="not known"):
        NullDistributions.fit([1.0], ["b"], machine_ids=["a"])
    with pytest.raises(ParameterError, match="windows = 0"):
        of_one_id([1.0, 2.0]).judge([1.0], ["a"], rate=0.1, windows=0)
    with pytest.raises(ArrayError):
        of_one_id([1.0, 2.0]).judge([np.nan], ["a"], rate=0.1)
