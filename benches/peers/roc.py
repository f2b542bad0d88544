"""Area under the ROC curve, whole and partial, of a million scores."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from peers.harness import Bench, Group
from peers.judge import at_most

COUNT = 1_000_000
MAX_FPR = 0.1
group = Group(
    "roc",
    "ns a score",
    1e9,
    {
        "auc_ties": "AUC of 1e6 scores with ties",
        "auc": "AUC of 1e6 distinct scores",
        "pauc_ties": "pAUC of 1e6 scores with ties",
        "pauc": "pAUC of 1e6 distinct scores",
    },
    same_work=(at_most("error", 1e-6),),
)
Area = Callable[[np.ndarray, np.ndarray], float]


def given(case: str) -> tuple[np.ndarray, np.ndarray]:
    """Labels and scores."""
    rng = np.random.default_rng(11)
    labels = rng.integers(0, 2, COUNT)
    scores = rng.standard_normal(COUNT) + 0.7 * labels
    return labels, np.round(scores, 3) if case.endswith("ties") else scores


def by_scikit_learn(case: str) -> Area:
    from sklearn.metrics import roc_auc_score

    max_fpr = MAX_FPR if case.startswith("pauc") else None
    return lambda labels, scores: float(roc_auc_score(labels, scores, max_fpr=max_fpr))


def bench(case: str, area: Area) -> Bench:
    labels, scores = given(case)
    expected = by_scikit_learn(case)
    return Bench(
        lambda: area(labels, scores),
        COUNT,
        lambda: {"error": abs(area(labels, scores) - expected(labels, scores))},
    )


@group.contender("offkey", kind="ours")
def ours(case: str, threads: int) -> Bench:
    from offkey.metrics import auc, pauc

    return bench(case, pauc if case.startswith("pauc") else auc)


def auc_by_numpy(labels: np.ndarray, scores: np.ndarray) -> float:
    """Exact with ties."""
    normals, anomalies = np.sort(scores[labels == 0]), np.sort(scores[labels == 1])
    wins = sum(int(np.searchsorted(normals, anomalies, side).sum()) for side in ("left", "right"))
    return wins / (2 * len(normals) * len(anomalies))


def pauc_by_numpy(labels: np.ndarray, scores: np.ndarray) -> float:
    """The top normals only, each with the anomalies above it; exact where normals do not tie at the limit."""
    normals, anomalies = np.sort(scores[labels == 0])[::-1], np.sort(scores[labels == 1])
    limit = MAX_FPR * len(normals)
    top = normals[: int(limit) + 1]
    sides = (np.searchsorted(anomalies, top, side) for side in ("left", "right"))
    heights = len(anomalies) - sum(sides) / 2
    area = (heights[:-1].sum() + heights[-1] * (limit - int(limit))) / len(normals) / len(anomalies)
    least = MAX_FPR**2 / 2
    return float(0.5 * (1 + (area - least) / (MAX_FPR - least)))


@group.contender("numpy: sort + searchsorted")
def by_numpy(case: str, threads: int) -> Bench:
    return bench(case, pauc_by_numpy if case.startswith("pauc") else auc_by_numpy)


@group.contender("scikit-learn")
def scikit_learn(case: str, threads: int) -> Bench:
    return bench(case, by_scikit_learn(case))


@group.contender("numpy.sort of the scores", kind="reference")
def sort(case: str, threads: int) -> Bench:
    scores = given(case)[1]
    return Bench(lambda: np.sort(scores), COUNT)
