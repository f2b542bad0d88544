"""Gaussian fits against scikit-learn, distances against scipy, in float64: 1e-5 relative and tighter."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist, mahalanobis
from sklearn.covariance import (
    OAS,
    EmpiricalCovariance,
    LedoitWolf,
    empirical_covariance,
    ledoit_wolf,
    oas,
)

from offkey import _native
from offkey.scoring.gaussian import Gaussian

PEERS = {"ledoit_wolf": LedoitWolf, "oas": OAS, "empirical": EmpiricalCovariance}
KINDS = list(PEERS)


def conditioned(rng, n, dim, condition, dtype, offset=0.0):
    """Rows of a Gaussian whose covariance has geometric eigenvalues in a random basis."""
    basis = np.linalg.qr(rng.standard_normal((dim, dim)))[0]
    scale = np.geomspace(1.0, condition**-0.5, dim)
    return (rng.standard_normal((n, dim)) * scale @ basis.T + offset).astype(dtype)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("n", "dim"), [(600, 64), (40, 64), (5000, 3), (30, 1), (2, 5)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_each_id_equals_scikit_learn(kind, n, dim, dtype):
    rng = np.random.default_rng(n + dim)
    x = conditioned(rng, 2 * n, dim, 1e3, dtype, offset=5.0)
    ids = ["b", "a"] * n
    ours = Gaussian.fit(x, ids, covariance=kind)
    for at, name in enumerate(["a", "b"]):
        rows = x[np.array(ids) == name].astype(np.float64)
        peer = PEERS[kind]().fit(rows)
        np.testing.assert_allclose(ours.means[at], peer.location_, rtol=1e-12)
        np.testing.assert_allclose(ours.covariances[at], peer.covariance_, rtol=1e-9, atol=1e-13)
        np.testing.assert_allclose(
            ours.shrinkages[ours.which[at]], getattr(peer, "shrinkage_", 0.0), rtol=1e-9, atol=1e-15
        )


@pytest.mark.parametrize("kind", KINDS)
def test_the_shared_covariance_is_that_of_the_centred_rows(kind):
    rng = np.random.default_rng(5)
    x = rng.standard_normal((300, 12)) @ rng.standard_normal((12, 12))
    ids = rng.choice(["00", "02", "04"], 300)
    x += np.array([{"00": 0.0, "02": 5.0, "04": -9.0}[i] for i in ids])[:, None]
    ours = Gaussian.fit(x, list(ids), covariance=kind, shared=True)
    centred = x - ours.means[np.searchsorted(ours.ids, ids)]
    expected = {
        "empirical": lambda: empirical_covariance(centred, assume_centered=True) * 300 / 297,
        "ledoit_wolf": lambda: ledoit_wolf(centred, assume_centered=True)[0],
        "oas": lambda: oas(centred, assume_centered=True)[0],
    }[kind]()
    assert len(ours.distinct_covariances) == 1
    np.testing.assert_allclose(ours.distinct_covariances[0], expected, rtol=1e-10)


@pytest.mark.parametrize("condition", [1e2, 1e4, 1e6])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("offset", [0.0, 100.0])
def test_every_distance_equals_scipy_at_any_condition(condition, dtype, offset):
    rng = np.random.default_rng(11)
    x = conditioned(rng, 4000, 64, condition, dtype, offset)
    ids = ["00", "02", "04", "06"] * 1000
    ours = Gaussian.fit(x, ids, covariance="empirical")
    assert not ours.ridges.any()
    distances = ours.mahalanobis(x)
    wide = x.astype(np.float64)
    for at in range(4):
        precision = np.linalg.inv(ours.covariances[at])
        expected = cdist(wide, ours.means[at][None], "mahalanobis", VI=precision)[:, 0]
        # the squared distance to 1e-5: twice as strict as the distance itself
        np.testing.assert_allclose(
            distances[:, at] ** 2, expected**2, rtol=1e-5 if dtype == np.float32 else 1e-9
        )
        assert mahalanobis(wide[0], ours.means[at], precision) == pytest.approx(distances[0, at], rel=1e-5)
    own = ours.mahalanobis_to(x, ids)
    np.testing.assert_array_equal(own, distances[np.arange(4000), np.arange(4000) % 4])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_quadratic_forms_of_dense_factors_equal_einsum(dtype):
    rng = np.random.default_rng(2)
    x = rng.standard_normal((50, 37)).astype(dtype)
    means, factors = rng.standard_normal((3, 37)), rng.standard_normal((3, 37, 37))
    expected = np.einsum("nkd,kde->nke", x[:, None] - means, factors)
    expected = (expected**2).sum(-1)
    forms = _native.QuadraticForms(means, factors)
    got = forms.all(x)
    np.testing.assert_allclose(got, expected, rtol=1e-5 if dtype == np.float32 else 1e-12)
    index = rng.integers(0, 3, 50)
    np.testing.assert_array_equal(forms.own(x, index), got[np.arange(50), index])
