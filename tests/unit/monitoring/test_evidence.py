"""From payoffs to evidence and alarms."""

import dataclasses

import numpy as np
import pytest

from offkey.monitoring.bets import bets_on
from offkey.monitoring.evidence import Raised, evidence, recordings_to_alarm


def test_a_stake_joins_at_each_recording():
    values, alarms = evidence(np.array([[2.0, 0.5, 1.0], [1.0, 1.0, 3.0]]), 1000.0)
    # bets: 2, 1.5, 2.5 and 1, 2, 9
    assert values.tolist() == [1.5, 1.75, 5.75]
    assert alarms == ()


def test_an_alarm_is_raised_and_over():
    paid = np.array([[1.0, 0.5, 10.0, 10.0, 10.0, 0.5, 0.01, 1.0]])
    values, alarms = evidence(paid, 100.0)
    assert alarms == (Raised(since=2, at=3, until=6),)
    assert values[3:].tolist() == [100.0, 100.0, 50.5, 0.0, 1.0]


def test_an_alarm_that_goes_on_has_no_end_and_one_after_another_is_a_new_one():
    paid = np.array([[10.0, 10.0, 0.001, 10.0, 10.0, 10.0]])
    _, alarms = evidence(paid, 100.0)
    assert alarms == (Raised(0, 1, 2), Raised(3, 4, None))


def test_no_recordings():
    values, alarms = evidence(np.empty((4, 0)), 100.0)
    assert values.size == 0
    assert alarms == ()


def test_how_soon_an_alarm_can_be():
    soonest = [recordings_to_alarm(clips, 0.05, 8760.0) for clips in (5, 20, 60, 240, 1000)]
    assert soonest == sorted(soonest, reverse=True)
    assert soonest[2:4] == [5, 3]
    assert recordings_to_alarm(1, 1e-9, 1e6) is None


def average_run_lengths(bets, *, run_length, sets, runs):
    """Average run lengths of healthy machines, one for each calibration set; runs end after four times the promise."""
    rng = np.random.default_rng(0)
    sizes = np.diff(bets.starts, append=bets.clips + 2)
    edges = np.repeat(np.cumsum(rng.dirichlet(sizes, size=sets), axis=1)[:, :-1], runs, axis=0)
    wealth, lengths = np.zeros((len(bets.payoffs), len(edges))), np.full(len(edges), 4 * run_length)
    for count in range(1, 4 * run_length):
        blocks = (rng.random(len(edges))[:, None] > edges).sum(axis=1)
        wealth = (1 + wealth) * bets.payoffs[:, blocks]
        lengths[(wealth.mean(axis=0) >= run_length) & (lengths > count)] = count
    return lengths.reshape(sets, runs).mean(axis=1)


@pytest.mark.parametrize("clips", [60, 240])
def test_run_lengths_keep_their_promise_for_nearly_every_calibration_set(clips):
    lengths = average_run_lengths(bets_on(clips, 0.05), run_length=200, sets=60, runs=10)
    assert np.mean(lengths < 200) <= 0.05


@pytest.mark.parametrize("clips", [60, 240])
def test_bets_that_are_fair_on_average_only_would_break_it(clips):
    bets = bets_on(clips, 0.05)
    means = bets.payoffs @ np.diff(bets.starts, append=clips + 2) / (clips + 1)
    fair = dataclasses.replace(bets, payoffs=bets.payoffs / means[:, None])
    assert np.mean(average_run_lengths(fair, run_length=200, sets=60, runs=10) < 200) > 0.2


def test_the_walk_through_recordings_is_that_of_the_run_lengths():
    """What the simulation above does for many machines at once, `evidence` does for one."""
    bets = bets_on(60, 0.05)
    p_values = np.random.default_rng(0).integers(1, 10, size=30) / 61
    values, alarms = evidence(bets.paid(p_values), 200.0)
    wealth = np.zeros(len(bets.payoffs))
    for at, paid in enumerate(bets.paid(p_values).T):
        wealth = (1 + wealth) * paid
        if wealth.mean() >= 200:
            break
        assert values[at] == pytest.approx(wealth.mean())
    assert alarms[0].at == at
