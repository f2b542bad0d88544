"""Evidence that a machine has changed, from one recording to the next, and the alarms that it raises."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from offkey.monitoring.bets import bets_on

__all__ = ["Raised", "evidence", "recordings_to_alarm"]

_MOST = 10_000


class Raised(NamedTuple):
    """An alarm, by places in the row of recordings."""

    since: int
    """The first recording of the evidence that raised it."""
    at: int
    """The recording that raised it."""
    until: int | None
    """The first recording at which it was over; None while it goes on."""


def evidence(paid: NDArray[np.float64], run_length: float) -> tuple[NDArray[np.float64], tuple[Raised, ...]]:
    """Follow bets from recording to recording.

    At each recording a new stake of 1, shared by the bets, joins what the stakes before have become, and all is bet
    again: the e-detector of Shiryaev and Roberts (Shin, Ramdas and Rinaldo 2024). Where no bet pays more than its
    stake on average, the evidence after t recordings is t at most on average, and so reaches `run_length` after that
    many recordings or later, on average. It grows no further, and an alarm is over, and all evidence with it, once it
    has fallen to the square root of that.

    Parameters
    ----------
    paid
        ``(bets, recordings)``, at least 0: what each bet pays at each recording for a stake of 1.
    run_length
        Above 1: alarms are raised where the evidence reaches it.

    Returns
    -------
    evidence
        ``(recordings,)`` float64, from 0 to `run_length`.
    alarms
        In their order.
    """
    bets, count = paid.shape
    values = np.empty(count)
    alarms: list[Raised] = []
    running, begin = False, 0
    wealth = [0.0] * bets
    for at, payoffs in enumerate(paid.T.tolist()):
        wealth = [(1.0 + held) * payoff for held, payoff in zip(wealth, payoffs, strict=True)]
        total = sum(wealth) / bets
        if total >= run_length:
            if not running:
                best = paid[wealth.index(max(wealth)), begin : at + 1]
                alarms.append(Raised(begin + _onset(best), at, None))
                running = True
            wealth = [held * (run_length / total) for held in wealth]
            total = run_length
        elif running and total <= math.sqrt(run_length):
            alarms[-1] = alarms[-1]._replace(until=at)
            running, begin = False, at + 1
            wealth, total = [0.0] * bets, 0.0
        values[at] = total
    return values, tuple(alarms)


def _onset(paid: NDArray[np.float64]) -> int:
    """Return the place from which on a bet has won most, up to the end."""
    won = np.cumsum(np.log(paid[::-1]))
    return len(paid) - 1 - int(np.argmax(won))


def recordings_to_alarm(clips: int, delta: float, run_length: float) -> int | None:
    """Return how many recordings an alarm takes if each sounds odder than all calibration clips; None beyond 10,000."""
    paid = np.repeat(bets_on(clips, delta).paid(np.array([1 / (clips + 1)])), _MOST, axis=1)
    _, alarms = evidence(paid, run_length)
    return alarms[0].at + 1 if alarms else None
