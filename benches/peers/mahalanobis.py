"""Mahalanobis distances of float32 embeddings of 64 numbers, each row to the Gaussian of its own ID."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from peers import data, floor
from peers.harness import Bench, Group
from peers.judge import at_most

DIM, IDS = 64, 4
NAMES = ("00", "02", "04", "06")
CHUNK = 2048
MANY = 1_000_000
"""Rows of which a call needs no other before it to be warm."""
SIZES = ("1e3", "1e5", "1e6")
group = Group(
    "mahalanobis",
    "ns a row",
    1e9,
    {f"one_{size}": f"one ID, {size} rows" for size in SIZES}
    | {f"four_{size}": f"four IDs mixed, {size} rows" for size in SIZES}
    | {"all_1e5": "each row to all four IDs, 1e5 rows"}
    | {"ill_1e5": "four IDs mixed, 1e5 rows, condition number 1e6"},
    same_work=(at_most("error", 1e-3),),
    two_threads=("one_1e6",),
)
ONE_AT_A_TIME = [*(f"one_{size}" for size in SIZES), "four_1e5"]
"""Where libraries without IDs of their own, which take seconds, are compared."""
Score = Callable[[np.ndarray, int], np.ndarray]


@dataclass(frozen=True)
class Rows:
    """Rows of four IDs whose covariances have a given condition number."""

    x: np.ndarray
    ids: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    precisions: np.ndarray

    @classmethod
    def make(cls, count: int, condition: float) -> Rows:
        rng = np.random.default_rng(7)
        bases = [np.linalg.qr(rng.standard_normal((DIM, DIM)))[0] for _ in range(IDS)]
        scale = np.geomspace(1.0, condition**-0.5, DIM)
        means, ids = rng.standard_normal((IDS, DIM)), rng.integers(0, IDS, count)
        kept = data.folder() / f"rows-{count}-{condition:g}.npy"  # a million take seconds to draw
        if kept.exists():
            x = np.load(kept)
        else:
            white = rng.standard_normal((count, DIM)) * scale
            x = np.empty((count, DIM), np.float32)
            for k, basis in enumerate(bases):
                x[ids == k] = white[ids == k] @ basis.T + means[k]
            part = kept.with_name(f"part-{kept.name}")
            np.save(part, x)
            part.replace(kept)
        covariances = np.stack([(basis * scale**2) @ basis.T for basis in bases])
        return cls(x, ids, means, covariances, np.stack([(basis * scale**-2) @ basis.T for basis in bases]))

    @classmethod
    def of_case(cls, case: str) -> Rows:
        kind, count = case.split("_")
        return cls.make(int(float(count)), 1e6 if kind == "ill" else 100.0)

    def squared(self, k: int, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
        """In float64, to ID `k`; some rows at a time, which stay in the cache."""
        x, parts = self.x[rows], []
        for start in range(0, len(x), CHUNK):
            centred = x[start : start + CHUNK].astype(np.float64) - self.means[k]
            parts.append(np.einsum("ij,ij->i", centred @ self.precisions[k], centred))
        return np.concatenate(parts)

    def expected(self, case: str) -> np.ndarray:
        if case.startswith("one"):
            return self.squared(0)
        if case.startswith("all"):
            return np.stack([self.squared(k) for k in range(IDS)], axis=1)
        out = np.empty(len(self.x))
        for k in range(IDS):
            out[self.ids == k] = self.squared(k, self.ids == k)
        return out

    def whitening(self) -> tuple[np.ndarray, np.ndarray]:
        """Cholesky factors (ids, dim, dim) of the precisions and the whitened means."""
        factors = np.linalg.cholesky(self.precisions)
        return factors, np.einsum("kd,kde->ke", self.means, factors)


def checked(case: str, rows: Rows, run: Callable[[], np.ndarray], *, squared: bool) -> Bench:
    def check() -> dict[str, float]:
        got, expected = np.asarray(run(), np.float64), rows.expected(case)
        return {"error": float(np.abs((got if squared else got**2) / expected - 1).max())}

    return Bench(run, len(rows.x), check, warm=len(rows.x) < MANY)


def bench(case: str, make: Callable[[Rows], Score], *, squared: bool = True) -> Bench:
    """`score(x, k)` gives the distances of rows to ID k: four IDs are picked apart and put together."""
    rows = Rows.of_case(case)
    score = make(rows)
    if case.startswith("one"):
        return checked(case, rows, lambda: score(rows.x, 0), squared=squared)
    if case.startswith("all"):
        run_all = lambda: np.stack([score(rows.x, k) for k in range(IDS)], axis=1)  # noqa: E731
        return checked(case, rows, run_all, squared=squared)

    def run() -> np.ndarray:
        out = np.empty(len(rows.x), np.float32)
        for k in range(IDS):
            own = np.flatnonzero(rows.ids == k)
            out[own] = score(rows.x[own], k)
        return out

    return checked(case, rows, run, squared=squared)


def of_ours(case: str, threads: int, *, one: bool) -> Bench:
    from offkey.scoring.gaussian import Gaussian

    rows, count = Rows.of_case(case), 1 if one else IDS
    state = {
        "means": rows.means[:count],
        "covariances": rows.covariances[:count],
        "which": np.arange(count),
        "shrinkages": np.zeros(count),
    }
    gaussian, out = Gaussian.from_state(state, ids=NAMES[:count]), np.empty(len(rows.x))
    if case.startswith("all"):
        table = np.empty((len(rows.x), IDS))
        to_all = lambda: gaussian.mahalanobis(rows.x, out=table, num_threads=threads)  # noqa: E731
        return checked(case, rows, to_all, squared=False)
    ids = np.zeros(len(rows.x), np.int64) if one else rows.ids
    run = lambda: gaussian.mahalanobis_to(rows.x, ids, out=out, num_threads=threads)  # noqa: E731
    return checked("one" if one else case, rows, run, squared=False)


@group.contender("offkey", kind="ours")
def ours(case: str, threads: int) -> Bench:
    return of_ours(case, threads, one=case.startswith("one"))


@group.contender("offkey, one ID", [f"four_{size}" for size in SIZES], kind="reference")
def ours_one(case: str, threads: int) -> Bench:
    """Of the same rows."""
    return of_ours(case, threads, one=True)


def whitened(rows: Rows, chunk: int) -> Score:
    factors, offsets = (part.astype(np.float32) for part in rows.whitening())

    def score(x: np.ndarray, k: int) -> np.ndarray:
        out = np.empty(len(x), np.float32)
        for i in range(0, len(x), chunk):
            y = x[i : i + chunk] @ factors[k]
            y -= offsets[k]
            np.einsum("ij,ij->i", y, y, out=out[i : i + chunk])
        return out

    return score


@group.contender("numpy: Cholesky whitening by an expert")
def expert(case: str, threads: int) -> Bench:
    return bench(case, lambda rows: whitened(rows, 1 << 62))


@group.contender("numpy: Cholesky whitening by an expert, 2048 rows at a time")
def expert_chunks(case: str, threads: int) -> Bench:
    return bench(case, lambda rows: whitened(rows, CHUNK))


@group.contender("torch: Cholesky whitening by an expert")
def expert_torch(case: str, threads: int) -> Bench:
    import torch

    torch.set_num_threads(threads)

    def make(rows: Rows) -> Score:
        factors, offsets = (torch.from_numpy(part).float() for part in rows.whitening())

        def score(x: np.ndarray, k: int) -> np.ndarray:
            return torch.addmm(-offsets[k], torch.from_numpy(x), factors[k]).square_().sum(1).numpy()

        return score

    return bench(case, make)


@group.contender("scipy cdist", ONE_AT_A_TIME, threads=(1,))
def scipy_cdist(case: str, threads: int) -> Bench:
    from scipy.spatial.distance import cdist

    def make(rows: Rows) -> Score:
        return lambda x, k: cdist(x, rows.means[k][None], "mahalanobis", VI=rows.precisions[k])[:, 0]

    return bench(case, make, squared=False)


@group.contender("scikit-learn", ONE_AT_A_TIME, threads=(1,))
def scikit_learn(case: str, threads: int) -> Bench:
    from sklearn.covariance import EmpiricalCovariance

    def make(rows: Rows) -> Score:
        peers = [EmpiricalCovariance() for _ in range(IDS)]
        for k, peer in enumerate(peers):
            peer.location_, peer.covariance_ = rows.means[k], rows.covariances[k]
            peer.precision_, peer.n_features_in_ = rows.precisions[k], DIM
        return lambda x, k: peers[k].mahalanobis(x)

    return bench(case, make)


@group.contender("floor: triangular prototype", kind="floor", threads=(1,))
def triangular(case: str, threads: int) -> Bench:
    library = floor.library()

    def make(rows: Rows) -> Score:
        factors, means = rows.whitening()[0].astype(np.float32), rows.means.astype(np.float32)

        def score(x: np.ndarray, k: int) -> np.ndarray:
            out = np.empty(len(x), np.float32)
            arrays = (array.ctypes.data for array in (x, means[k], factors[k], out))
            library.maha64(*arrays, len(x), 1)
            return out

        return score

    return bench(case, make)
