"""How well one run's scores, alone and combined, tell the anomalies of each machine ID."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import NDArray

from offkey.metrics import auc, pauc
from offkey.scoring.combine import combine, subsets

if TYPE_CHECKING:
    from offkey.datasets import Clips
    from offkey.detector import Detector
    from offkey.scores import ScoreTable

__all__ = ["ANOMALY_SCORE", "ORACLE", "Figure", "figures"]

ANOMALY_SCORE = "anomaly_score"
ORACLE = "oracle"
"""The combination that the test labels rank best by: for comparison with the paper's table alone."""


class Figure(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One score on one machine ID."""

    machine_id: str
    auc: float
    pauc: float
    """Up to a false positive rate of 0.1, McClish-standardised."""
    normals: int
    anomalies: int


def figures(detector: Detector, scores: ScoreTable, test: Clips) -> dict[str, tuple[Figure, ...]]:
    """Return the figures of each raw score, each combination, the recipe's own anomaly score, and the oracle.

    Parameters
    ----------
    detector
        Whose scores these are: it knows how to standardise them.
    scores
        A row for each test clip, in its order.
    test
        The test clips with their labels, which nothing but these figures has seen.

    Returns
    -------
    dict
        For each score a figure for each ID that has both normal and anomalous clips with a score. A combination is
        named by its parts, ``a_out+a_arc``: the mean of their standardised values.
    """
    labels, ids = test.labels, np.array([str(machine_id) for machine_id in test.machine_ids], dtype=object)
    scored = ~np.isnan(scores.anomaly_score) & (labels >= 0)
    columns: dict[str, NDArray[np.float64]] = {
        name: scores.scores(name) for name in scores.score_names if name != ANOMALY_SCORE
    }
    if len(columns) > 1:
        columns |= _combinations(detector.standardised(scores))
    columns[ANOMALY_SCORE] = scores.anomaly_score
    figures_of = {
        name: tuple(_of_ids(labels[scored], values[scored], ids[scored])) for name, values in columns.items()
    }
    raw_names = [name for name in figures_of if name != ANOMALY_SCORE]
    if len(raw_names) > 1 and all(figures_of.values()):
        figures_of[ORACLE] = figures_of[
            max(raw_names, key=lambda name: float(np.mean([f.auc for f in figures_of[name]])))
        ]
    return figures_of


def _combinations(z: Mapping[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
    has_score = ~np.isnan(next(iter(z.values())))
    combinations = {}
    for subset in subsets(list(z)):
        if len(subset) > 1:
            column = np.full(len(has_score), np.nan)
            column[has_score] = combine({name: z[name][has_score] for name in subset}, subset)
            combinations["+".join(subset)] = column
    return combinations


def _of_ids(
    labels: NDArray[np.int8], scores: NDArray[np.float64], ids: NDArray[np.object_]
) -> Sequence[Figure]:
    figures_of_ids = []
    for machine_id in sorted(set(ids)):
        of_id = ids == machine_id
        anomalies = int(np.sum(labels[of_id] == 1))
        normals = int(np.sum(of_id)) - anomalies
        if normals and anomalies:
            figure = Figure(
                machine_id,
                auc(labels[of_id], scores[of_id]),
                pauc(labels[of_id], scores[of_id]),
                normals,
                anomalies,
            )
            figures_of_ids.append(figure)
    return figures_of_ids
