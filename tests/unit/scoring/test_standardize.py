"""Standardisation for each ID."""

import json

import numpy as np
import pytest

from offkey.errors import ArrayError, DetectorFileError, ParameterError
from offkey.scoring.standardize import Standardizer

RNG = np.random.default_rng(0)


def test_each_id_has_mean_0_and_deviation_1():
    ids = ["b", "a"] * 50
    scores = RNG.normal(size=100)
    scores[::2] = 5 + 10 * scores[::2]
    fitted = Standardizer.fit(scores, ids)
    z = fitted.transform_own(scores, ids)
    for name in ("a", "b"):
        mine = z[np.array(ids) == name]
        assert mine.mean() == pytest.approx(0, abs=1e-12)
        assert mine.std() == pytest.approx(1, abs=1e-12)
    np.testing.assert_array_equal(fitted.transform(np.stack([scores, scores], 1))[::2, 1], z[::2])


def test_ids_with_few_clips_or_none_share_the_statistics_of_all():
    scores = RNG.normal(size=24)
    fitted = Standardizer.fit(scores, ["a"] * 20 + ["b"] * 4, machine_ids=["c", "b", "a"])
    assert fitted.ids == ("a", "b", "c")
    np.testing.assert_allclose(fitted.means, [scores[:20].mean(), scores.mean(), scores.mean()])
    np.testing.assert_allclose(fitted.deviations, [scores[:20].std(), scores.std(), scores.std()])
    own = Standardizer.fit(scores, ["a"] * 20 + ["b"] * 4, min_clips=4)
    assert own.means[1] == pytest.approx(scores[20:].mean())


@pytest.mark.parametrize("scores", [[2.5], [0.1] * 30, [1e9 + 0.1] * 12])
def test_scores_without_deviation_are_moved_only(scores):
    fitted = Standardizer.fit(scores, ["a"] * len(scores))
    assert fitted.deviations.tolist() == [1.0]
    assert fitted.transform(np.array([[scores[0] + 3]]))[0, 0] == pytest.approx(3, abs=1e-6)


def test_the_state_is_plain_data_and_restores_every_bit():
    fitted = Standardizer.fit(RNG.normal(size=30), ["a", "b", "c"] * 10)
    again = Standardizer.from_state(json.loads(json.dumps(fitted.state())))
    z = RNG.normal(size=(4, 3))
    np.testing.assert_array_equal(again.transform(z), fitted.transform(z))


@pytest.mark.parametrize(
    "change",
    [
        {"ids": None},
        {"ids": []},
        {"ids": ["b", "a"]},
        {"ids": ["a", 1]},
        {"means": [0.0]},
        {"means": [0.0, float("nan")]},
        {"means": "ab"},
        {"deviations": [1.0, 0.0]},
        {"deviations": [1.0, True]},
    ],
)
def test_a_damaged_state_of_a_standardizer_is_refused_by_its_field(change):
    state = {"ids": ["a", "b"], "means": [0.0, 1.0], "deviations": [1.0, 1.0]}
    Standardizer.from_state(state)
    with pytest.raises(DetectorFileError, match=f"standardizer: {next(iter(change))}"):
        Standardizer.from_state(state | change)


def test_a_standardizer_names_bad_scores_and_ids():
    with pytest.raises(ArrayError, match="none given"):
        Standardizer.fit([], [])
    with pytest.raises(ArrayError, match="scores: nan at position 1"):
        Standardizer.fit([1.0, np.nan], ["a", "a"])
    with pytest.raises(ArrayError, match="2 values; expected 1"):
        Standardizer.fit([1.0, 2.0], ["a"])
    with pytest.raises(ParameterError, match="'b' not known"):
        Standardizer.fit([1.0, 2.0], ["a", "b"], machine_ids=["a"])
    with pytest.raises(ParameterError, match="min_clips = 1"):
        Standardizer.fit([1.0], ["a"], min_clips=1)
    fitted = Standardizer.fit([1.0, 2.0], ["a", "b"])
    with pytest.raises(ArrayError, match=r"shape \(3,\); expected \(n, 2\)"):
        fitted.transform(np.zeros(3))
    with pytest.raises(ParameterError, match="'c' not known"):
        fitted.transform_own([1.0], ["c"])
