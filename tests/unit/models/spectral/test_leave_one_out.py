"""The closed form against models that were fitted again without each recording."""

import numpy as np
import pytest
from spectral_clips import machine_clips

from offkey.models.spectral.check import NormalClips
from offkey.models.spectral.feature_sets import StatisticsTable
from offkey.models.spectral.leave_one_out import log_scores_left_out, log_scores_refitted
from offkey.models.spectral.likelihood_ratio import Moments, prior_covariance

N_MELS = 6


def draw(rng, n_clips, n_ids, *, weighted=False):
    """Features of two blocks that vary together, IDs (each has a clip), and weights."""
    mixing = rng.standard_normal((2 * N_MELS, 2 * N_MELS)) * np.geomspace(1, 0.05, 2 * N_MELS)
    features = rng.standard_normal((n_clips, 2 * N_MELS)) @ mixing
    ids = np.concatenate([np.arange(n_ids), rng.integers(n_ids, size=n_clips - n_ids)])
    weights = np.where(rng.random(n_clips) < 0.2, rng.uniform(1e-6, 1, n_clips), 1.0)
    return features + ids[:, None], ids, weights if weighted else np.ones(n_clips)


def left_out(features, ids, weights, units, *, own_ids=(), ridge=1e-2, tau=0.01):
    n_ids = int(ids.max()) + 1
    moments = Moments.fit(features, ids, weights, feature_set="A", n_ids=n_ids, own_ids=own_ids)
    whitenings = moments.whitenings(own_covariance=bool(own_ids), ridge=ridge, tau=tau)
    return log_scores_left_out(moments, whitenings, features=features, ids=ids, weights=weights, units=units)


def refitted(features, ids, weights, units, *, own_ids=(), ridge=1e-2, tau=0.01):
    """Means and covariances of the clips of other units; units of features and shares of ridge and prior are kept."""
    n_ids = int(ids.max()) + 1
    full = Moments.fit(features, ids, weights, feature_set="A", n_ids=n_ids, own_ids=own_ids)
    scaled = full.scale.apply(features)
    prior = prior_covariance(n_mels=N_MELS, mask=full.scale.varying)
    scores = np.full((len(ids), n_ids), np.nan)
    for unit in np.unique(units):
        rest = units != unit
        means, scatters, freedoms = full.means.copy(), [], []
        for i in range(n_ids):
            rows = rest & (ids == i)
            if rows.any():
                means[i] = np.average(scaled[rows], axis=0, weights=weights[rows])
            deviations = (scaled[rows] - means[i]) * np.sqrt(weights[rows])[:, None]
            scatters.append(deviations.T @ deviations)
            freedoms.append(weights[rows].sum() - rows.any())
        for i in range(n_ids):
            own = i in full.by_id
            before = full.by_id[i] if own else full.shared
            t = np.trace(before) / len(before)
            total = weights[ids == i].sum() - 1 if own else weights.sum() - n_ids
            freedom = freedoms[i] if own else sum(freedoms)
            # What is added to S_G grows with it: both are divided by the fewer degrees of freedom.
            growth = total / max(1.0, freedom)
            scatter = scatters[i] if own else sum(scatters)
            s = (1 - ridge) * scatter / max(1.0, freedom) + growth * ridge * t * np.eye(len(before))
            difference = np.linalg.inv(s) - np.linalg.inv(s + growth * tau * t * prior)
            deviations = scaled[~rest] - means[i]
            scores[~rest, i] = np.log(np.einsum("ni,ij,nj->n", deviations, difference, deviations) + 1e-12)
            unknown = freedom < 1 or not (rest & (ids == i)).any()
            scores[np.ix_(~rest & (ids == i), [i])] *= np.nan if unknown else 1
    scores[np.isnan(scores[np.arange(len(ids)), ids])] = np.nan
    return scores


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_clips", [10, 40, 200])  # fewer clips than dimensions too
def test_clips_left_out_one_by_one_score_as_after_a_fit_without_them(n_clips, weighted):
    clips = (*draw(np.random.default_rng(n_clips), n_clips, 3, weighted=weighted), np.arange(n_clips))
    assert np.allclose(left_out(*clips), refitted(*clips), rtol=0, atol=1e-9, equal_nan=True)


@pytest.mark.parametrize("size", [2, 5, 30])  # of more clips than dimensions too
@pytest.mark.parametrize("own_ids", [(), (1,), (0, 1, 2)])
@pytest.mark.parametrize("seed", range(4))
def test_recordings_score_as_after_a_fit_without_them(size, own_ids, seed):
    rng = np.random.default_rng(seed)
    features, ids, weights = draw(rng, 120, 3, weighted=True)
    clips = features, ids, weights, rng.permutation(120) // size  # every recording has clips of several IDs
    scores = left_out(*clips, own_ids=own_ids)
    assert np.isfinite(scores).all()
    assert np.allclose(scores, refitted(*clips, own_ids=own_ids), rtol=0, atol=1e-9)


@pytest.mark.parametrize("seed", range(20))
def test_recordings_of_any_size_and_ids_that_vanish(seed):
    rng = np.random.default_rng(seed)
    features, ids, weights = draw(rng, int(rng.integers(8, 40)), int(rng.integers(1, 6)), weighted=True)
    clips = features, ids, weights, rng.integers(rng.integers(2, 12), size=len(ids))
    own_ids = tuple(i for i in range(ids.max() + 1) if np.count_nonzero(ids == i) > 6)
    options = {"own_ids": own_ids, "ridge": 10 ** rng.uniform(-3, 0), "tau": 10 ** rng.uniform(-3, 1)}
    scores = left_out(*clips, **options)
    assert np.allclose(scores, refitted(*clips, **options), rtol=0, atol=1e-8, equal_nan=True)


def test_the_smallest_ridge_costs_no_more_than_rounding():
    clips = (*draw(np.random.default_rng(0), 14, 2), np.arange(14))
    difference = left_out(*clips, ridge=1e-6) - refitted(*clips, ridge=1e-6)
    assert np.abs(difference).max() < 1e-5


def test_an_id_of_one_recording_has_no_score_and_the_others_do():
    features, ids, weights = draw(np.random.default_rng(1), 30, 3)
    units = np.where(ids == 2, 99, np.arange(30))
    scores = left_out(features, ids, weights, units)
    assert np.isnan(scores[ids == 2]).all()
    assert np.isfinite(scores[ids != 2]).all()


def test_where_hardly_a_clip_stays_there_is_no_score():
    features, ids, weights = draw(np.random.default_rng(2), 12, 1)
    units = np.where(np.arange(12) < 11, 0, 1)
    scores = left_out(features, ids, weights, units)
    assert np.isnan(scores[:11]).all()  # one clip has no deviation from its mean
    assert np.isfinite(scores[11]).all()


def test_a_covariance_of_their_own_is_not_touched_by_clips_of_another_id():
    features, ids, weights = draw(np.random.default_rng(3), 60, 2)
    moments = Moments.fit(features, ids, weights, feature_set="A", n_ids=2, own_ids=(0, 1))
    plain = moments.model(own_covariance=True, ridge=1e-2, tau=0.01).log_scores(features)
    scores = left_out(features, ids, weights, np.arange(60), own_ids=(0, 1))
    assert np.allclose(scores[ids == 0, 1], plain[ids == 0, 1], rtol=1e-9)
    assert (scores[ids == 0, 0] > plain[ids == 0, 0]).all()


def test_a_clip_of_no_weight_scores_as_it_does_with_the_model():
    features, ids, weights = draw(np.random.default_rng(4), 40, 2)
    weights[7] = 1e-9
    moments = Moments.fit(features, ids, weights, feature_set="A", n_ids=2, own_ids=())
    plain = moments.model(own_covariance=False, ridge=1e-2, tau=0.01).log_scores(features)
    scores = left_out(features, ids, weights, np.arange(40))
    assert np.allclose(scores[7], plain[7], atol=1e-7)


def test_copies_that_leave_together_do_not_vouch_for_each_other():
    features, ids, weights = draw(np.random.default_rng(5), 40, 1)
    features[30:] = features[:10]
    apart = left_out(features, ids, weights, np.arange(40))[:10, 0]
    together = left_out(features, ids, weights, np.r_[:30, :10])[:10, 0]
    assert (together > apart).all()


def test_the_steps_do_not_show_in_the_scores(monkeypatch):
    clips = (*draw(np.random.default_rng(6), 60, 3), np.arange(60) // 2)
    scores = left_out(*clips)
    monkeypatch.setattr("offkey.models.spectral.leave_one_out._CHUNK", 1)
    assert np.allclose(left_out(*clips), scores, rtol=1e-12)


@pytest.mark.parametrize(("size", "tolerance"), [(1, 0.02), (5, 0.15)])
def test_fits_from_scratch_hardly_differ(size, tolerance):
    """Units of features and the ridge then change too, by one recording's part."""
    features, ids, weights = draw(np.random.default_rng(7), 120, 2)
    units = np.arange(120) // size
    scores = left_out(features, ids, weights, units, ridge=1e-3)
    for unit in range(0, 120 // size, 3):
        rest = units != unit
        moments = Moments.fit(features[rest], ids[rest], weights[rest], feature_set="A", n_ids=2, own_ids=())
        again = moments.model(own_covariance=False, ridge=1e-3, tau=0.01).log_scores(features[~rest])
        assert np.abs(scores[~rest] - again).max() < tolerance


def test_refits_are_what_a_model_without_the_recording_says():
    table, ids, units = _refit_case()
    clips = NormalClips(
        table=table,
        ids=ids,
        n_ids=2,
        fold=np.arange(len(ids)) % 5,
        own_ids=(),
        weights=np.linspace(0.3, 1.0, len(ids)),
        tau=0.01,
    )
    settings = {"feature_set": "A", "own_covariance": False, "ridge": 1e-3}
    scores = log_scores_refitted(clips, units=units, **settings)
    for unit in (0, 7):
        leaving = units == unit
        moments = clips.moments(~leaving, feature_set="A")
        model = moments.model(own_covariance=False, ridge=1e-3, tau=0.01)
        np.testing.assert_allclose(scores[leaving], model.log_scores(table.features("A")[leaving]))
    lone = np.where(ids == 1, 99, units)  # all clips of an ID leave together
    refitted = log_scores_refitted(clips, units=lone, **settings)
    assert np.isnan(refitted[ids == 1]).all()
    assert np.isfinite(refitted[ids == 0]).all()


def _refit_case():
    statistics, names, groups = machine_clips(3, [14, 12], n_mels=16)
    ids = np.array([int(name) for name in names])
    return StatisticsTable.checked(statistics), ids, np.unique(groups, return_inverse=True)[1]
