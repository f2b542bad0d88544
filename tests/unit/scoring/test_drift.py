"""Whether a batch of recordings sounds as the calibration clips did."""

import math

import numpy as np
import pytest

from offkey.errors import ArrayError
from offkey.scoring.drift import LEVEL, Drift, below_probabilities


def _clips(n=240, seed=0):
    return np.random.default_rng(seed).normal(size=n)


@pytest.mark.parametrize("shift", [-1.0, 1.0])
def test_a_shift_of_one_deviation_is_seen_in_sixty_recordings(shift):
    drift = Drift.between(_clips(60, seed=1) + shift, _clips(), machine_id="00")
    assert drift.p_value < LEVEL
    assert drift.higher == (shift > 0)
    assert (drift.machine_id, drift.recordings, drift.calibration_clips) == ("00", 60, 240)


def test_the_same_state_is_no_drift():
    assert Drift.between(_clips(60, seed=1), _clips()).p_value > LEVEL
    assert Drift.between(_clips(), _clips()).p_value == 1


@pytest.mark.parametrize("off", [1000, -1000])
def test_a_tenth_of_odd_recordings_is_no_drift_whatever_their_scores(off):
    batch = _clips(600, seed=1)
    batch[:60] += off
    assert Drift.between(batch, _clips(600)).p_value > LEVEL


@pytest.mark.parametrize("off", [1000, -1000])
def test_a_third_of_odd_recordings_is_said(off):
    batch = _clips(300, seed=1)
    batch[:100] += off
    drift = Drift.between(batch, _clips(600))
    assert drift.p_value < LEVEL
    assert drift.higher == (off > 0)


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_another_spread_is_seen_in_three_hundred_recordings(factor):
    assert Drift.between(factor * _clips(300, seed=1), _clips(600)).p_value < LEVEL


def test_what_is_said_can_be_counted_again():
    clips, batch = _clips(), _clips(60, seed=1) + 1
    drift = Drift.between(batch, clips)
    limit = np.sort(clips)[round(drift.share * len(clips)) - 1]
    assert drift.below == np.count_nonzero(batch <= limit)
    assert 0.0 < drift.share < 1.0


def test_scores_that_are_all_equal_are_no_drift():
    assert Drift.between(np.zeros(50), np.zeros(50)).p_value == 1
    assert Drift.between(np.zeros(50), np.ones(50)).p_value < LEVEL
    assert Drift.between([0.0], [0.0]).p_value == 1


def test_monotone_changes_of_both_sides_change_nothing():
    one = Drift.between(_clips(40, seed=3) + 0.5, _clips())
    other = Drift.between(np.exp(_clips(40, seed=3) + 0.5), np.exp(_clips()))
    assert one == other


def test_few_recordings_or_few_clips_prove_nothing():
    assert Drift.between([1e9, 1e9], _clips()).p_value > LEVEL
    assert Drift.between(np.full(500, 1e9), [0.0]).p_value > LEVEL


def test_counts_of_recordings_below_a_clip_by_hand():
    # One recording and n clips: it lies below the k-th lowest with k / (n + 1).
    assert below_probabilities(1, 3, 9) == pytest.approx([0.7, 0.3])
    # Two recordings and one clip: each of the three is as likely to be the middle one.
    assert below_probabilities(2, 1, 1) == pytest.approx([1 / 3] * 3)


@pytest.mark.parametrize(
    ("scores", "calibration", "message"),
    [
        ([], [1.0], "0 scores, 1 calibration clips"),
        ([1.0], [], "1 scores, 0 calibration clips"),
        ([math.nan], [1.0], "scores: nan at position 0"),
        ([1.0], [math.inf], "calibration: inf at position 0"),
    ],
)
def test_bad_scores_are_refused(scores, calibration, message):
    with pytest.raises(ArrayError, match=message):
        Drift.between(np.array(scores), np.array(calibration))
