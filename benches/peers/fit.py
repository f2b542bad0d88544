"""Mean, covariance after Ledoit and Wolf, and Cholesky factor of embeddings of 64 numbers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from peers.harness import Bench, Group
from peers.judge import at_most

DIM = 64
group = Group(
    "fit",
    "ns a row",
    1e9,
    {"1e5": "mean, Ledoit-Wolf, Cholesky of 1e5 rows", "1e3": "mean, Ledoit-Wolf, Cholesky of 1e3 rows"},
    same_work=(at_most("error", 1e-4),),
    two_threads=("1e5",),
)


def given(case: str) -> np.ndarray:
    mix = np.random.default_rng(4).standard_normal((DIM, DIM)).astype(np.float32)
    return np.random.default_rng(3).standard_normal((int(float(case)), DIM)).astype(np.float32) @ mix


def ledoit_wolf(x: np.ndarray, dtype: type = np.float64) -> np.ndarray:
    """The formula, with the products of rows in `dtype`."""
    count, dim = x.shape
    centred = x.astype(dtype, copy=False) - x.mean(axis=0, dtype=np.float64).astype(dtype)
    covariance = (centred.T @ centred).astype(np.float64) / count
    squares = np.einsum("ij,ij->i", centred, centred).astype(np.float64)
    mean_variance, identity = np.trace(covariance) / dim, np.eye(dim)
    distance = ((covariance - mean_variance * identity) ** 2).sum() / dim
    spread = ((squares * squares).sum() / count - (covariance * covariance).sum()) / count / dim
    weight = min(spread, distance) / distance
    return (1 - weight) * covariance + weight * mean_variance * identity


def bench(case: str, fit: Callable[[np.ndarray], np.ndarray]) -> Bench:
    """`fit` returns the covariance."""
    x = given(case)

    def check() -> dict[str, float]:
        expected = ledoit_wolf(x)
        return {"error": float(np.abs(fit(x) - expected).max() / np.abs(expected).max())}

    return Bench(lambda: fit(x), len(x), check)


@group.contender("offkey", kind="ours")
def ours(case: str, threads: int) -> Bench:
    from offkey.scoring.gaussian import Gaussian

    ids = ["00"] * int(float(case))

    def fit(x: np.ndarray) -> np.ndarray:
        fitted = Gaussian.fit(x, ids, num_threads=threads)
        fitted.ridges  # noqa: B018  # the Cholesky factors are made when they are first needed
        return fitted.distinct_covariances[0]

    return bench(case, fit)


def with_cholesky(dtype: type) -> Callable[[np.ndarray], np.ndarray]:
    def fit(x: np.ndarray) -> np.ndarray:
        covariance = ledoit_wolf(x, dtype)
        np.linalg.cholesky(covariance)
        return covariance

    return fit


@group.contender("numpy, float32")
def numpy_float32(case: str, threads: int) -> Bench:
    return bench(case, with_cholesky(np.float32))


@group.contender("numpy, float64")
def numpy_float64(case: str, threads: int) -> Bench:
    return bench(case, with_cholesky(np.float64))


@group.contender("scikit-learn")
def scikit_learn(case: str, threads: int) -> Bench:
    from sklearn.covariance import LedoitWolf

    def fit(x: np.ndarray) -> np.ndarray:
        covariance = LedoitWolf().fit(x).covariance_
        np.linalg.cholesky(covariance)
        return covariance

    return bench(case, fit)
