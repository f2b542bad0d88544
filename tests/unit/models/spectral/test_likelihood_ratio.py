import numpy as np
import pytest
from spectral_clips import machine_clips

from offkey.errors import DatasetError
from offkey.models.spectral.feature_sets import StatisticsTable
from offkey.models.spectral.likelihood_ratio import Moments, Whitening, prior_covariance


def plain_prior(n_mels):
    """The formula as it is written, one entry at a time."""
    k = np.empty((n_mels, n_mels))
    for i in range(n_mels):
        for j in range(n_mels):
            widths = [(0.5 + 1.5 * n / 23) * n_mels / 128 for n in range(24)]
            k[i, j] = sum(u * np.exp(-((i - j) ** 2) / (4 * u * u)) for u in widths) / 24
    return k / k[0, 0] + 1e-3 * np.eye(n_mels)


def random_covariance(rng, p, samples):
    x = rng.standard_normal((samples, p)) * np.geomspace(1, 0.01, p)
    return x.T @ x / samples


@pytest.mark.parametrize("n_mels", [5, 32, 128, 256])
def test_prior_of_one_block(n_mels):
    k = prior_covariance(n_mels=n_mels, mask=np.ones(n_mels, dtype=bool))
    assert np.allclose(k, plain_prior(n_mels), rtol=1e-12, atol=1e-15)
    assert np.linalg.eigvalsh(k).min() >= 0.99e-3


def test_prior_of_blocks_is_block_diagonal_and_keeps_the_places_of_dropped_bins():
    n_mels, kept = 16, np.ones(32, dtype=bool)
    kept[[0, 5, 20, 31]] = False
    whole = np.kron(np.eye(2), plain_prior(n_mels))
    assert np.allclose(prior_covariance(n_mels=n_mels, mask=kept), whole[np.ix_(kept, kept)], atol=1e-15)


@pytest.mark.parametrize("samples", [12, 200])  # fewer samples than dimensions too
@pytest.mark.parametrize(("ridge", "tau"), [(1e-3, 0.01), (0.1, 0.01), (1e-2, 1.0), (1.0, 0.01)])
def test_factor_is_the_difference_of_the_inverses(samples, ridge, tau):
    rng = np.random.default_rng(samples)
    p = 24
    covariance = random_covariance(rng, p, samples)
    prior = plain_prior(p)
    factor = Whitening.of(covariance, prior, ridge=ridge, tau=tau).factor()
    t = np.trace(covariance) / p
    s = (1 - ridge) * covariance + ridge * t * np.eye(p)
    difference = np.linalg.inv(s) - np.linalg.inv(s + tau * t * prior)
    d = rng.standard_normal((50, p))
    expected = np.einsum("ni,ij,nj->n", d, difference, d)
    assert np.allclose(np.square(d @ factor).sum(axis=1), expected, rtol=1e-8)


def test_with_a_wide_prior_it_is_mahalanobis():
    rng = np.random.default_rng(1)
    covariance = random_covariance(rng, 16, 100)
    factor = Whitening.of(covariance, plain_prior(16), ridge=1e-3, tau=1e10).factor()
    shrunk = 0.999 * covariance + 1e-3 * np.trace(covariance) / 16 * np.eye(16)
    d = rng.standard_normal((20, 16))
    expected = np.einsum("ni,ij,nj->n", d, np.linalg.inv(shrunk), d)
    assert np.allclose(np.square(d @ factor).sum(axis=1), expected, rtol=1e-6)


@pytest.fixture
def two_ids():
    statistics, ids, _ = machine_clips(3, [30, 12], n_mels=8)
    positions = np.array([int(i) for i in ids])
    return StatisticsTable.checked(statistics).features("A"), positions


def moments_of(features, ids, **changes):
    options = {"feature_set": "A", "n_ids": 2, "own_ids": (0,)} | changes
    return Moments.fit(features, ids, np.ones(len(ids)), **options)


def test_moments_are_those_of_the_formulas(two_ids):
    features, ids = two_ids
    moments = moments_of(features, ids)
    e = (features - features.mean(axis=0)) / features.std(axis=0)
    d = e - np.stack([e[ids == i].mean(axis=0) for i in ids])
    assert np.allclose(moments.means, [e[ids == 0].mean(axis=0), e[ids == 1].mean(axis=0)])
    assert np.allclose(moments.shared, d.T @ d / (42 - 2))
    assert np.allclose(moments.by_id[0], np.cov(e[ids == 0].T, ddof=1))
    assert list(moments.by_id) == [0]


def test_every_id_is_scored_from_its_own_mean_and_covariance(two_ids):
    features, ids = two_ids
    model = moments_of(features, ids).model(own_covariance=True, ridge=1e-2, tau=0.01)
    assert model.which.tolist() == [1, 0]
    scores = model.log_scores(features)
    assert scores.shape == (42, 2)
    assert np.allclose(scores[np.arange(42), ids], model.log_scores_to(features, ids), rtol=1e-12)
    shared = moments_of(features, ids).model(own_covariance=False, ridge=1e-2, tau=0.01)
    assert shared.which.tolist() == [0, 0]
    assert np.allclose(shared.log_scores(features)[:, 1], scores[:, 1])
    assert not np.allclose(shared.log_scores(features)[:, 0], scores[:, 0])


def test_score_is_the_ratio_of_the_formulas(two_ids):
    features, ids = two_ids
    moments = moments_of(features, ids)
    p, t = len(moments.shared), np.trace(moments.shared) / len(moments.shared)
    s = 0.99 * moments.shared + 0.01 * t * np.eye(p)
    k = np.kron(np.eye(2), plain_prior(8))
    difference = np.linalg.inv(s) - np.linalg.inv(s + 0.01 * t * k)
    d = (features - features.mean(axis=0)) / features.std(axis=0) - moments.means[1]
    expected = np.log(np.einsum("ni,ij,nj->n", d, difference, d) + 1e-12)
    model = moments.model(own_covariance=False, ridge=1e-2, tau=0.01)
    assert np.allclose(model.log_scores(features)[:, 1], expected, rtol=1e-8)


def test_a_clip_at_its_mean_has_the_smallest_score_not_minus_infinity(two_ids):
    features, ids = two_ids
    model = moments_of(features, ids).model(own_covariance=False, ridge=1e-2, tau=0.01)
    at_mean = features[ids == 0].mean(axis=0, keepdims=True)
    assert model.log_scores(at_mean)[0, 0] == pytest.approx(np.log(1e-12), abs=1e-6)


def test_an_id_of_copies_has_no_covariance_of_its_own(two_ids):
    features, ids = two_ids
    features[ids == 0] = features[0]
    moments = moments_of(features, ids)
    assert moments.by_id == {}


def test_only_copies_for_each_id_are_refused(two_ids):
    features, ids = two_ids
    features[ids == 0], features[ids == 1] = features[0], features[-1]
    with pytest.raises(DatasetError, match="differ between machine IDs only"):
        moments_of(features, ids)
