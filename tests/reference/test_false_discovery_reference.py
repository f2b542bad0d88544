"""Benjamini-Hochberg and the beta-binomial counts of drift against scipy."""

import numpy as np
import pytest
from scipy import stats

from offkey.scoring.drift import below_probabilities
from offkey.scoring.false_discovery import benjamini_hochberg


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("rate", [0.01, 0.1, 0.4])
def test_decisions_are_those_of_scipy(seed, rate):
    rng = np.random.default_rng(seed)
    p = np.concatenate([rng.uniform(size=rng.integers(1, 400)), rng.uniform(size=40) ** 4])
    adjusted = stats.false_discovery_control(p, method="bh")
    assert (benjamini_hochberg(p, rate) == (adjusted <= rate)).all()


@pytest.mark.parametrize(
    ("recordings", "k", "clips"),
    [(1, 1, 1), (12, 6, 60), (24, 120, 240), (54, 54, 60), (600, 60, 600), (20_000, 500, 1000)],
)
def test_counts_are_beta_binomial(recordings, k, clips):
    expected = stats.betabinom(recordings, k, clips + 1 - k).pmf(np.arange(recordings + 1))
    assert below_probabilities(recordings, k, clips) == pytest.approx(expected, rel=1e-8, abs=1e-15)
