"""Laws that hold for any data: identity of the ratio, folds, and what the scores may depend on."""

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from spectral_clips import machine_clips, take

from offkey.errors import DatasetError
from offkey.models.spectral.check import add_bumps
from offkey.models.spectral.folds import make_folds
from offkey.models.spectral.likelihood_ratio import Whitening, prior_covariance
from offkey.models.spectral.model import SpectralModel
from offkey.recipe import Recipe
from offkey.signal.statistics import ClipStatistics

RECIPE = Recipe.named("spectral").replace(spectral__check=False)


@given(
    p=st.integers(1, 20),
    samples=st.integers(1, 60),
    ridge=st.floats(1e-4, 1),
    tau=st.floats(1e-4, 10),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=60, deadline=None)
def test_the_factor_is_the_difference_of_inverses(p, samples, ridge, tau, seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((samples, p))
    covariance = x.T @ x / samples
    assume(np.trace(covariance) > 1e-3 * p)
    prior = prior_covariance(n_mels=p, mask=np.ones(p, dtype=bool))
    w = Whitening.of(covariance, prior, ridge=ridge, tau=tau).factor()
    t = np.trace(covariance) / p
    s = (1 - ridge) * covariance + ridge * t * np.eye(p)
    expected = np.linalg.inv(s) - np.linalg.inv(s + tau * t * prior)
    assert np.allclose(w @ w.T, expected, rtol=1e-6, atol=1e-9 * np.abs(np.linalg.inv(s)).max())


@st.composite
def recordings(draw):
    """IDs and groups of some clips; a group is of one ID, or now and then of several."""
    n = draw(st.integers(6, 60))
    ids = draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))
    within = draw(st.lists(st.integers(0, 6), min_size=n, max_size=n))
    across = draw(st.booleans())
    groups = [str(g) if across else f"{i}/{g}" for i, g in zip(ids, within, strict=True)]
    return np.array(ids), groups


@given(table=recordings(), count=st.integers(2, 8), seed=st.integers(0, 1000))
@settings(max_examples=150, deadline=None)
def test_folds_never_split_a_recording_unless_they_say_so(table, count, seed):
    ids, groups = table
    names = ["a", "b", "c", "d"]
    try:
        folds = make_folds(ids, groups, names=names, count=count, seed=seed)
    except DatasetError:
        return
    assert folds.fold.shape == ids.shape
    assert 2 <= folds.fold.max() + 1 <= count
    assert set(folds.fold.tolist()) == set(range(int(folds.fold.max()) + 1))
    split = [
        g for g in set(groups) if len({int(f) for f, h in zip(folds.fold, groups, strict=True) if h == g}) > 1
    ]
    assert not split or any("divided" in note for note in folds.notes)
    for k in range(int(folds.fold.max()) + 1):
        rest = ids[folds.fold != k]
        assert len(rest) > len(set(rest.tolist()))


@given(counts=st.lists(st.integers(5, 40), min_size=1, max_size=4), seed=st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_single_clips_are_spread_evenly(counts, seed):
    ids = np.repeat(np.arange(len(counts)), counts)
    groups = [str(k) for k in range(len(ids))]
    folds = make_folds(ids, groups, names=["a", "b", "c", "d"], count=5, seed=seed)
    for i, n in enumerate(counts):
        held = np.bincount(folds.fold[ids == i], minlength=5)
        assert held.max() - held.min() <= 1, (n, held)


@given(n_mels=st.integers(1, 300), n_clips=st.integers(0, 20), seed=st.integers(0, 1000))
@settings(max_examples=50, deadline=None)
def test_bumps_are_finite_and_bounded(n_mels, n_clips, seed):
    deviation = np.linspace(0, 5, n_mels)
    level, log_deviation = add_bumps(np.random.default_rng(seed), n_clips, deviation_db=deviation)
    assert level.shape == log_deviation.shape == (n_clips, n_mels)
    assert (np.abs(level) <= 4 * deviation).all()
    assert (log_deviation >= np.log(0.5)).all()
    assert (log_deviation <= np.log(1.5)).all()


@given(shift=st.floats(-30, 30), seed=st.integers(0, 100))
@settings(max_examples=15, deadline=None)
def test_another_gain_of_the_whole_recording_chain_changes_no_score(shift, seed):
    statistics, ids, groups = machine_clips(seed, [12, 12], n_mels=8)
    statistics = ClipStatistics(*(c.astype(np.float64) for c in statistics[:4]))
    louder = statistics._replace(mean=statistics.mean + shift, p5=statistics.p5 + shift)
    scores = [
        SpectralModel.of_statistics(s, ids, groups, recipe=RECIPE, seed=0).scores(s)["a_spectral"]
        for s in (statistics, louder)
    ]
    assert np.allclose(scores[0], scores[1], rtol=1e-5, atol=1e-5)


@given(order=st.permutations(range(20)), seed=st.integers(0, 100))
@settings(max_examples=15, deadline=None)
def test_clips_are_scored_one_by_one(order, seed):
    statistics, ids, groups = machine_clips(seed, [12, 12], n_mels=8)
    model = SpectralModel.of_statistics(statistics, ids, groups, recipe=RECIPE, seed=0)
    rows = np.array(order)
    assert np.array_equal(
        model.scores(take(statistics, rows))["a_spectral"], model.scores(statistics)["a_spectral"][rows]
    )
