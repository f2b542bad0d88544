"""Decisions over many recordings together: the Benjamini-Hochberg procedure and what it can find."""

import math

import numpy as np
import pytest

from offkey.errors import ArrayError, ParameterError
from offkey.scoring.false_discovery import Discoveries, benjamini_hochberg, least_findable

NAN = math.nan


def test_the_example_of_the_paper():
    # Benjamini and Hochberg (1995), section 3.2: 15 p-values of a trial; at 5% the four smallest are called.
    p = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240]
    p += [0.4262, 0.5719, 0.6528, 0.7590, 1.0000]
    assert benjamini_hochberg(p, 0.05).tolist() == [1] * 4 + [0] * 11
    assert benjamini_hochberg(p[::-1], 0.05).tolist() == [0] * 11 + [1] * 4


def test_a_larger_p_value_within_its_bound_takes_smaller_ones_along():
    assert benjamini_hochberg([0.06, 0.07], 0.1).tolist() == [1, 1]  # 0.06 alone is above 0.1 / 2
    assert benjamini_hochberg([0.06, 0.5], 0.1).tolist() == [0, 0]


def test_what_has_no_p_value_is_not_tested_and_does_not_count():
    assert benjamini_hochberg([0.04, NAN, NAN, NAN], 0.05).tolist() == [1, -1, -1, -1]
    assert benjamini_hochberg([NAN, NAN], 0.05).tolist() == [-1, -1]
    decisions = benjamini_hochberg([], 0.05)
    assert (decisions.shape, decisions.dtype) == ((0,), np.int8)


@pytest.mark.parametrize(("clips", "rate"), [(240, 0.1), (60, 0.1), (240, 0.07), (999, 0.3)])
def test_a_floor_that_meets_its_bound_exactly_is_enough(clips, rate):
    tests = 10 * (clips + 1)
    floor = 1 / (clips + 1)
    least = least_findable(np.full(tests, floor), rate)
    assert least == math.ceil(round(10 / rate, 9))
    for at_floor, called in ((least, least), (least - 1, 0)):
        p = np.ones(tests)
        p[:at_floor] = floor
        assert np.count_nonzero(benjamini_hochberg(p, rate)) == called


def test_the_least_number_that_can_be_found():
    assert least_findable(np.full(10_000, 1 / 241), 0.1) == 415
    assert least_findable(np.zeros(10_000), 0.1) == 1
    assert least_findable([1 / 11] * 5, 0.05) is None
    assert least_findable([], 0.05) is None
    assert least_findable([NAN], 0.05) is None
    # One machine with many clips among those with few: its recordings alone can be called.
    assert least_findable([0.5] * 9 + [0.001] * 1, 0.1) == 1
    assert least_findable([0.5] * 8 + [0.015] * 2, 0.1) == 2


def _discoveries(p, recordings, rate=0.1, smallest=0.0):
    return Discoveries.among(
        p, smallest_p=np.full(len(p), smallest), recordings=np.array(recordings, dtype=np.int64), rate=rate
    )


def test_a_recording_is_one_test_however_many_windows_it_has():
    # Three windows of the first recording, of which one alone is odd enough for all three; two of the second.
    result = _discoveries([0.5, 0.01, 0.04, 0.03, 0.2, 0.9], [0, 0, 0, 1, 1, 2])
    assert (result.recordings, result.called) == (3, 2)
    assert result.decisions.tolist() == [0, 1, 0, 1, 0, 0]  # bound 0.06: 3 x 0.01 and 2 x 0.03
    assert (result.rate, result.least_findable) == (0.1, 1)


def test_windows_of_one_faulty_recording_lend_no_others_their_discoveries():
    p = np.concatenate([np.full(360, 1e-6), np.full(40, 0.06), np.full(60, 0.5)])
    recordings = np.concatenate([np.zeros(360), np.arange(1, 101)]).astype(np.int64)
    assert np.count_nonzero(benjamini_hochberg(p, 0.1) == 1) == 400  # as tests of their own
    result = _discoveries(p, recordings)
    assert (result.recordings, result.called) == (101, 1)
    assert result.decisions[:360].all()
    assert not result.decisions[360:].any()


def test_windows_raise_the_least_number_that_can_be_found():
    each = np.repeat(np.arange(100), 6)
    assert _discoveries(np.ones(100), np.arange(100), smallest=1 / 241).least_findable == 5
    assert _discoveries(np.ones(600), each, smallest=1 / 241).least_findable == 25
    assert _discoveries(np.ones(600), each, smallest=1 / 21).least_findable is None


def test_rows_without_a_p_value_are_no_windows():
    result = _discoveries([NAN, 0.02, NAN], [0, 0, 1])
    assert (result.recordings, result.called) == (1, 1)
    assert result.decisions.tolist() == [-1, 1, -1]
    nothing = _discoveries([NAN], [0])
    assert (nothing.recordings, nothing.called, nothing.least_findable) == (0, 0, None)
    assert _discoveries([], []).recordings == 0


@pytest.mark.parametrize("rate", [0, 1, -0.1, 1.5, NAN, True, "0.1", None])
def test_rates_outside_0_to_1_are_refused(rate):
    for function in (benjamini_hochberg, least_findable):
        with pytest.raises(ParameterError, match=r"false_discovery_rate = .*above 0 and below 1"):
            function([0.5], rate)


@pytest.mark.parametrize(
    ("p", "message"),
    [
        ([0.1, 1.2], "p_values: 1.2 at position 1; expected numbers from 0 to 1"),
        ([-0.1], "p_values: -0.1 at position 0"),
        ([math.inf], "p_values: inf at position 0"),
        ([[0.1]], r"p_values: dtype float64, shape \(1, 1\)"),
        (["a"], "p_values: dtype <U1"),
    ],
)
def test_what_is_no_p_value_is_refused(p, message):
    with pytest.raises(ArrayError, match=message):
        benjamini_hochberg(p, 0.1)
