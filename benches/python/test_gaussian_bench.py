"""Mahalanobis distances, fits and ROC areas beside the peers, on the same input and one core.

Before anything is timed, each contender is asserted to give the float64 result. `maha_ours.py` in `benches/peers`
puts the same work into the peers' own harness, where every contender has a process of its own.
"""

from __future__ import annotations

import os

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.covariance import EmpiricalCovariance, LedoitWolf, ledoit_wolf
from sklearn.metrics import roc_auc_score

from offkey import _native
from offkey.evaluation.roc import auc, pauc
from offkey.scoring.gaussian import Gaussian

DIM = 64
IDS = ("00", "02", "04", "06")


@pytest.fixture(scope="module", autouse=True)
def _one_core_of_a_release_build():
    if _native.DEBUG_BUILD:
        pytest.exit("benchmarks need a release build: maturin develop --release", returncode=2)
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    yield
    os.sched_setaffinity(0, cores)


class Rows:
    """Rows of four IDs, whose covariances have a given condition number, with the exact squared distances."""

    def __init__(self, n: int, condition: float) -> None:
        rng = np.random.default_rng(7)
        bases = [np.linalg.qr(rng.standard_normal((DIM, DIM)))[0] for _ in IDS]
        scale = np.geomspace(1.0, condition**-0.5, DIM)
        self.means = rng.standard_normal((4, DIM))
        self.covariances = np.stack([(basis * scale**2) @ basis.T for basis in bases])
        self.precisions = np.stack([(basis * scale**-2) @ basis.T for basis in bases])
        self.ids = rng.integers(0, 4, n)
        self.one = np.zeros(n, np.int64)
        white = rng.standard_normal((n, DIM)) * scale
        self.x = np.empty((n, DIM), np.float32)
        for k, basis in enumerate(bases):
            self.x[self.ids == k] = white[self.ids == k] @ basis.T + self.means[k]

    def gaussian(self) -> Gaussian:
        arrays = {
            "means": self.means,
            "covariances": self.covariances,
            "which": np.arange(4),
            "shrinkages": np.zeros(4),
        }
        return Gaussian.from_state(arrays, ids=IDS)

    def squared(self, k: int) -> np.ndarray:
        y = self.x - self.means[k]
        return np.einsum("ij,ij->i", y @ self.precisions[k], y)

    def squared_own(self) -> np.ndarray:
        return np.choose(self.ids, [self.squared(k) for k in range(4)])


@pytest.fixture(scope="module", params=[1000, 100_000], ids="{} rows".format)
def rows(request):
    return Rows(request.param, 100.0)


def whitening(rows):
    """Cholesky whitening in float32, 2048 rows at a time: what an expert writes in numpy."""
    factor = np.linalg.cholesky(rows.precisions[0])
    offset, factor = (rows.means[0] @ factor).astype(np.float32), factor.astype(np.float32)

    def run():
        out = np.empty(len(rows.x), np.float32)
        for i in range(0, len(rows.x), 2048):
            y = rows.x[i : i + 2048] @ factor
            y -= offset
            np.einsum("ij,ij->i", y, y, out=out[i : i + 2048])
        return out

    return run


def scipy_cdist(rows):
    return lambda: cdist(rows.x, rows.means[:1], "mahalanobis", VI=rows.precisions[0])[:, 0] ** 2


def scikit_learn(rows):
    peer = EmpiricalCovariance()
    peer.location_, peer.covariance_, peer.precision_ = rows.means[0], rows.covariances[0], rows.precisions[0]
    return lambda: peer.mahalanobis(rows.x)


@pytest.mark.parametrize("peer", [whitening, scipy_cdist, scikit_learn])
def test_one_id_peer(benchmark, rows, peer):
    run = peer(rows)
    np.testing.assert_allclose(run(), rows.squared(0), rtol=2e-5)
    benchmark(run)


def test_one_id(benchmark, rows):
    ours, out = rows.gaussian(), np.empty(len(rows.x))
    run = lambda: ours.mahalanobis_to(rows.x, rows.one, out=out, num_threads=1)  # noqa: E731
    np.testing.assert_allclose(run() ** 2, rows.squared(0), rtol=1e-5)
    benchmark(run)


def test_four_ids_mixed(benchmark, rows):
    ours, out = rows.gaussian(), np.empty(len(rows.x))
    run = lambda: ours.mahalanobis_to(rows.x, rows.ids, out=out, num_threads=1)  # noqa: E731
    np.testing.assert_allclose(run() ** 2, rows.squared_own(), rtol=1e-5)
    benchmark(run)


@pytest.mark.parametrize("condition", [1e4, 1e6])
def test_ill_conditioned(benchmark, condition):
    rows = Rows(100_000, condition)
    ours, out = rows.gaussian(), np.empty(len(rows.x))
    run = lambda: ours.mahalanobis_to(rows.x, rows.ids, out=out, num_threads=1)  # noqa: E731
    np.testing.assert_allclose(run() ** 2, rows.squared_own(), rtol=1e-5)
    benchmark(run)


@pytest.fixture(scope="module")
def fit_rows():
    rng = np.random.default_rng(3)
    return (rng.standard_normal((100_000, DIM)) @ rng.standard_normal((DIM, DIM))).astype(np.float32)


def numpy_cov(x):
    return np.cov(x.T, bias=True)


def scikit_learn_ledoit_wolf(x):
    return LedoitWolf().fit(x).covariance_


@pytest.mark.parametrize("peer", [numpy_cov, scikit_learn_ledoit_wolf])
def test_fit_peer(benchmark, fit_rows, peer):
    # shrinkage of 100,000 rows is below the tolerance of float32 arithmetic, which scikit-learn stays in
    np.testing.assert_allclose(peer(fit_rows), numpy_cov(fit_rows.astype(np.float64)), atol=0.05)
    benchmark(peer, fit_rows)


def test_fit(benchmark, fit_rows):
    ids = ["00"] * len(fit_rows)

    def run():
        fitted = Gaussian.fit(fit_rows, ids, num_threads=1)
        assert not fitted.ridges.any()  # which makes the Cholesky factor
        return fitted.covariances[0]

    np.testing.assert_allclose(run(), ledoit_wolf(fit_rows.astype(np.float64))[0], rtol=1e-9, atol=1e-9)
    benchmark(run)


@pytest.fixture(scope="module", params=["distinct", "ties"])
def scores(request):
    rng = np.random.default_rng(11)
    labels = rng.integers(0, 2, 1_000_000)
    values = rng.standard_normal(len(labels)) + 0.7 * labels
    return labels, values if request.param == "distinct" else np.round(values, 3)


def sorted_auc(labels, values):
    """numpy's sort and searchsorted, exact with ties."""
    normals, anomalies = np.sort(values[labels == 0]), np.sort(values[labels == 1])
    sides = (np.searchsorted(normals, anomalies, side).sum() for side in ("left", "right"))
    return sum(sides) / (2 * len(normals) * len(anomalies))


@pytest.mark.parametrize("contender", [auc, sorted_auc, roc_auc_score])
def test_auc(benchmark, scores, contender):
    assert contender(*scores) == pytest.approx(roc_auc_score(*scores), abs=1e-12)
    benchmark(contender, *scores)


def scikit_learn_pauc(labels, values):
    return roc_auc_score(labels, values, max_fpr=0.1)


@pytest.mark.parametrize("contender", [pauc, scikit_learn_pauc])
def test_pauc(benchmark, scores, contender):
    assert contender(*scores) == pytest.approx(scikit_learn_pauc(*scores), abs=1e-12)
    benchmark(contender, *scores)
