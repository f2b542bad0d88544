"""offkey as a contender in the peers' `maha.py`: give this file to its `--plugin`.

Rows go through the public functions: float32 rows in, float64 distances out (not squared), into an array that is
kept, as a caller with a loop would do it. IDs are positions, as integers, since the peers have them so too.
"""

from __future__ import annotations

import sys
from typing import Any

S1 = ("score1_1e3", "score1_1e5", "score1_1e6")
S4 = ("score4_1e3", "score4_1e5", "score4_1e6")
A4 = ("all4_1e5",)
FIT = ("fit_1e3", "fit_1e5")
AUC = ("auc_1e3", "auc_1e5", "auc_1e6")
PAUC = ("pauc_1e3", "pauc_1e5", "pauc_1e6")
FOUR = ("00", "02", "04", "06")


def gaussian(means: Any, covariances: Any) -> Any:
    """Return a Gaussian of given moments, one ID for each mean."""
    import numpy as np

    from offkey.scoring.gaussian import Gaussian

    count = len(means)
    arrays = {
        "means": np.ascontiguousarray(means, np.float64),
        "covariances": np.ascontiguousarray(covariances, np.float64),
        "which": np.arange(count),
        "shrinkages": np.zeros(count),
    }
    return Gaussian.from_state(arrays, ids=FOUR[:count])


def register(suite: Any) -> None:
    """Add the contenders to a suite of the peers' harness."""
    bench = sys.modules[type(suite).__module__].Bench
    peers = sys.modules[suite.items["scipy cdist('mahalanobis')"].make.__module__]

    def scored(run: Any, rows: int, expected: Any) -> Any:
        import numpy as np

        def check() -> dict[str, Any]:
            ours, reference = run() ** 2, expected()
            return {
                "rel err": float(np.abs(ours - reference).max() / reference.max()),
                "worst row": float(np.abs(ours / reference - 1).max()),
                "out": "d",
            }

        return bench(run, rows, check)

    @suite.contender("offkey, one ID", cases=S1, kind="ours")
    def _(case: str, threads: int) -> Any:
        import numpy as np

        x, _, mu, cov, vi = peers.data(case)
        ours, out, own = gaussian(mu[:1], cov[:1]), np.empty(len(x)), np.zeros(len(x), np.int64)
        run = lambda: ours.mahalanobis_to(x, own, out=out, num_threads=threads)  # noqa: E731
        return scored(run, len(x), lambda: peers.d2_ref(x, mu[0], vi[0]))

    @suite.contender("offkey, one ID, float64 rows", cases=S1, kind="ours")
    def _(case: str, threads: int) -> Any:
        import numpy as np

        x, _, mu, cov, vi = peers.data(case)
        ours, out, own = gaussian(mu[:1], cov[:1]), np.empty(len(x)), np.zeros(len(x), np.int64)
        wide = x.astype(np.float64)
        run = lambda: ours.mahalanobis_to(wide, own, out=out, num_threads=threads)  # noqa: E731
        return scored(run, len(x), lambda: peers.d2_ref(x, mu[0], vi[0]))

    @suite.contender("offkey, four IDs mixed", cases=S4, kind="ours")
    def _(case: str, threads: int) -> Any:
        import numpy as np

        x, ids, mu, cov, vi = peers.data(case)
        ours, out = gaussian(mu, cov), np.empty(len(x))

        def expected() -> Any:
            reference = np.empty(len(x))
            for k in range(4):
                reference[ids == k] = peers.d2_ref(x[ids == k], mu[k], vi[k])
            return reference

        run = lambda: ours.mahalanobis_to(x, ids, out=out, num_threads=threads)  # noqa: E731
        return scored(run, len(x), expected)

    @suite.contender("offkey, one ID of the same rows", cases=S4, kind="ours")
    def _(case: str, threads: int) -> Any:
        import numpy as np

        x, _, mu, cov, vi = peers.data(case)
        ours, out, own = gaussian(mu[:1], cov[:1]), np.empty(len(x)), np.zeros(len(x), np.int64)
        run = lambda: ours.mahalanobis_to(x, own, out=out, num_threads=threads)  # noqa: E731
        return scored(run, len(x), lambda: peers.d2_ref(x, mu[0], vi[0]))

    @suite.contender("offkey, every ID", cases=A4, kind="ours")
    def _(case: str, threads: int) -> Any:
        import numpy as np

        x, _, mu, cov, vi = peers.data(case)
        ours, out = gaussian(mu, cov), np.empty((len(x), 4))
        expected = lambda: np.stack([peers.d2_ref(x, mu[k], vi[k]) for k in range(4)], 1)  # noqa: E731
        return scored(lambda: ours.mahalanobis(x, out=out, num_threads=threads), len(x), expected)

    @suite.contender("offkey, condition number 1e6", cases=S1, kind="ours")
    def _(case: str, threads: int) -> Any:
        import numpy as np

        rng = np.random.default_rng(5)
        basis = np.linalg.qr(rng.standard_normal((64, 64)))[0]
        scale, mean = np.geomspace(1.0, 1e-3, 64), rng.standard_normal(64)
        x = (rng.standard_normal((peers.n_of(case), 64)) * scale @ basis.T + mean).astype(np.float32)
        cov, vi = (basis * scale**2) @ basis.T, (basis * scale**-2) @ basis.T
        ours, out, own = gaussian(mean[None], cov[None]), np.empty(len(x)), np.zeros(len(x), np.int64)
        run = lambda: ours.mahalanobis_to(x, own, out=out, num_threads=threads)  # noqa: E731
        return scored(run, len(x), lambda: peers.d2_ref(x, mean, vi))

    @suite.contender("offkey, Ledoit-Wolf and Cholesky", cases=FIT, kind="ours")
    def _(case: str, threads: int) -> Any:
        from offkey.scoring.gaussian import Gaussian

        ids = ["00"] * peers.n_of(case)

        def fit(x: Any) -> Any:
            fitted = Gaussian.fit(x, ids, num_threads=threads)
            fitted.ridges  # noqa: B018  # the Cholesky factors are made when they are first needed
            return fitted.distinct_covariances[0]

        return peers.fit_bench(case, fit, peers.lw_ref)

    @suite.contender("offkey AUC", cases=AUC, threads=(1,), kind="ours")
    def _(case: str, threads: int) -> Any:
        from offkey.evaluation.roc import auc

        return peers.auc_bench(case, auc)

    @suite.contender("offkey pAUC", cases=PAUC, threads=(1,), kind="ours")
    def _(case: str, threads: int) -> Any:
        from offkey.evaluation.roc import pauc

        return peers.auc_bench(case, pauc)
