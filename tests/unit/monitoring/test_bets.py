"""Bets whose mean payoff is known for nearly every calibration set."""

import numpy as np
import pytest

from offkey.monitoring.bets import bets_on, upper_quantile


@pytest.mark.parametrize("clips", [1, 2, 60, 5000])
@pytest.mark.parametrize("probability", [0.3, 0.05, 1e-6])
def test_a_bet_on_the_lowest_level_is_bounded_by_the_beta_quantile(clips, probability):
    # D_1 is Beta(1, n): it exceeds u with probability (1 - u)^n
    bound = upper_quantile(np.array([1.0, 0.0]), np.array([1.0, clips]), probability)
    assert bound == pytest.approx(1 - probability ** (1 / clips), rel=1e-5)


@pytest.mark.parametrize(("clips", "delta"), [(5, 0.05), (60, 0.05), (240, 0.2)])
def test_each_bet_pays_more_than_its_stake_for_the_promised_part_of_calibration_sets(clips, delta):
    bets = bets_on(clips, delta)
    sizes = np.diff(bets.starts, append=clips + 2)
    weights = np.random.default_rng(0).dirichlet(sizes, size=40_000)
    exceeding = np.mean(weights @ bets.payoffs.T > 1, axis=0)
    expected = delta / len(bets.payoffs)
    assert exceeding == pytest.approx(expected, abs=4 * np.sqrt(expected / 40_000))


def test_payoffs_fall_with_the_level_and_a_stake_is_never_lost_as_a_whole():
    for clips in (1, 17, 1000):
        bets = bets_on(clips, 0.05)
        assert bets.starts[0] == 1
        assert bets.starts[-1] <= clips + 1
        assert (np.diff(bets.payoffs, axis=1) < 0).all()
        assert (bets.payoffs > 0).all()


def test_the_level_of_a_p_value_is_the_next_higher_one():
    bets = bets_on(9, 0.05)
    paid = bets.paid(np.array([1e-9, 0.1, 0.100001, 0.2, 3 * 0.1, 1.0]))
    levels = np.searchsorted(bets.starts, [1, 1, 2, 2, 3, 10], side="right") - 1
    assert np.array_equal(paid, bets.payoffs[:, levels])


@pytest.mark.parametrize("delta", [1e-300, 1e-9, 0.999999])
def test_any_part_of_calibration_sets_may_be_asked_for(delta):
    for clips in (1, 60, 10**6):
        bets = bets_on(clips, delta)
        assert np.isfinite(bets.payoffs).all()
        sizes = np.diff(bets.starts, append=clips + 2)
        assert (bets.payoffs @ sizes / (clips + 1) <= 1 + 1e-9).all()  # never more than fair in the mean


def test_more_clips_are_worth_more():
    highest = [bets_on(clips, 0.05).payoffs[:, 0] for clips in (5, 20, 60, 240)]
    assert (np.diff(highest, axis=0) > 0).all()
