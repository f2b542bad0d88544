"""Quadratic forms of float64 rows in batches of 64 clips, each row under the covariances of all IDs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from peers import floor
from peers.harness import Bench, Group
from peers.judge import at_most

CLIPS = 64
SIZES = {"64x4": (64, 4), "128x4": (128, 4), "256x7": (256, 7), "384x7": (384, 7)}
"""Features and IDs."""
group = Group(
    "forms",
    "us a row and ID",
    1e6,
    {case: f"{dim} features, a dense factor for each of {ids} IDs" for case, (dim, ids) in SIZES.items()},
    same_work=(at_most("error", 1e-9),),
)
Forms = Callable[[np.ndarray], np.ndarray]


def inputs(case: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows (clips, d), means (ids, d) and factors (ids, d, d)."""
    dim, ids = SIZES[case]
    rng = np.random.default_rng(11)
    return (
        rng.standard_normal((CLIPS, dim)),
        rng.standard_normal((ids, dim)),
        rng.standard_normal((ids, dim, dim)),
    )


def bench(case: str, make: Callable[[np.ndarray, np.ndarray], Forms]) -> Bench:
    """`make(means, factors)` gives the squared norms (clips, ids) of rows."""
    x, means, factors = inputs(case)
    forms = make(means, factors)

    def check() -> dict[str, float]:
        exact = [x.astype(np.longdouble) - mean for mean in means]
        expected = [((y @ w) ** 2).sum(axis=1) for y, w in zip(exact, factors, strict=True)]
        return {"error": float(np.abs(forms(x) / np.stack(expected, axis=1) - 1).max())}

    return Bench(lambda: forms(x), CLIPS * len(means), check)


@group.contender("offkey", kind="ours")
def ours(case: str, threads: int) -> Bench:
    from offkey import _native

    def make(means: np.ndarray, factors: np.ndarray) -> Forms:
        forms = _native.QuadraticForms(means, factors)
        return lambda x: forms.all(x, num_threads=threads)

    return bench(case, make)


@group.contender("numpy by an expert")
def expert(case: str, threads: int) -> Bench:
    def make(means: np.ndarray, factors: np.ndarray) -> Forms:
        offsets = np.einsum("kd,kde->ke", means, factors)

        def forms(x: np.ndarray) -> np.ndarray:
            out = np.empty((len(x), len(means)))
            for k, (factor, offset) in enumerate(zip(factors, offsets, strict=True)):
                y = x @ factor
                y -= offset
                np.einsum("ij,ij->i", y, y, out=out[:, k])
            return out

        return forms

    return bench(case, make)


@group.contender("floor: as many multiply-adds in registers", kind="floor", threads=(1,))
def multiply_adds(case: str, threads: int) -> Bench:
    dim, ids = SIZES[case]
    library = floor.library()
    return Bench(lambda: library.multiply_adds(CLIPS * ids * dim * dim), CLIPS * ids)
