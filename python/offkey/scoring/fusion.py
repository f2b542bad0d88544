"""From the raw scores of one or more models to one anomaly score and a decision for each clip."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from offkey.inlier import Calibration, InlierModel
from offkey.recipe import Scoring
from offkey.scoring.combine import combine, select
from offkey.scoring.standardize import Standardizer
from offkey.scoring.threshold import Thresholds

__all__ = ["Fused", "Fusion"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Fused:
    """Anomaly scores of some clips."""

    anomaly_score: np.ndarray
    """``(clips,)`` float64: the standardised scores that were chosen, averaged; higher = more anomalous."""
    column: np.ndarray
    """``(clips,)`` int64: the ID that the clip was scored against; of an unknown ID the one that it is nearest to."""
    decision: np.ndarray
    """``(clips,)`` int8: 1 where the score is above that ID's threshold."""


class Fusion:
    """Standardises each score for each machine ID, averages the chosen ones and compares with a threshold.

    Zhang et al. (2023), section 2.3; the statistics and thresholds come from clips that the models had not seen,
    unless the recipe asks for training clips.
    """

    def __init__(
        self,
        machine_ids: Sequence[str],
        standardizers: Mapping[str, Standardizer],
        chosen: Sequence[str],
        thresholds: Thresholds,
    ) -> None:
        self.machine_ids = tuple(machine_ids)
        self.chosen = tuple(chosen)
        """The scores that are averaged."""
        self.thresholds = thresholds
        self._standardizers = dict(standardizers)

    @classmethod
    def fit(cls, models: Sequence[InlierModel], scoring: Scoring) -> Self:
        """Learn the statistics of each ID, choose the scores to combine, and set the thresholds."""
        machine_ids = models[0].machine_ids
        standardizers = {
            name: Standardizer.fit(
                model.standardise_on.scores[name], model.standardise_on.machine_ids, machine_ids=machine_ids
            )
            for model in models
            for name in model.score_names
        }
        held_ids, held_out = _common([model.held_out for model in models])
        z = {name: standardizers[name].transform_own(scores, held_ids) for name, scores in held_out.items()}
        chosen = _choose(models, scoring, standardizers, held_ids, z)
        thresholds = Thresholds.fit(
            combine(z, chosen), held_ids, quantile=scoring.quantile, machine_ids=machine_ids
        )
        return cls(machine_ids, standardizers, chosen, thresholds)

    def apply(self, raw: Mapping[str, np.ndarray], machine_ids: Sequence[str | None]) -> Fused:
        """Combine raw scores.

        Parameters
        ----------
        raw
            For each score name ``(clips, IDs)``, a column for each known ID.
        machine_ids
            The clips' IDs; one that is None or not known is scored as the ID with the smallest anomaly score.
        """
        combined = np.mean([self._standardizers[name].transform(raw[name]) for name in self.chosen], axis=0)
        known = {machine_id: i for i, machine_id in enumerate(self.machine_ids)}
        nearest = combined.argmin(axis=1)
        column = np.array(
            [known.get(own or "", near) for own, near in zip(machine_ids, nearest, strict=True)],
            dtype=np.int64,
        )
        score = combined[np.arange(len(column)), column]
        return Fused(
            anomaly_score=score,
            column=column,
            decision=(score > self.thresholds.values[column]).astype(np.int8),
        )

    def state(self) -> dict[str, Any]:
        """Return plain data for JSON: all that `from_state` needs."""
        return {
            "machine_ids": list(self.machine_ids),
            "chosen": list(self.chosen),
            "thresholds": self.thresholds.state(),
            "standardizers": {name: s.state() for name, s in self._standardizers.items()},
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Rebuild a fusion that gives the same scores."""
        standardizers = {name: Standardizer.from_state(s) for name, s in state["standardizers"].items()}
        return cls(
            state["machine_ids"], standardizers, state["chosen"], Thresholds.from_state(state["thresholds"])
        )


def _common(parts: Sequence[Calibration]) -> tuple[tuple[str, ...], dict[str, np.ndarray]]:
    """Return IDs and scores of the clips that every model has held out."""
    common = parts[0].indices
    for part in parts[1:]:
        common = np.intersect1d(common, part.indices)
    scores: dict[str, np.ndarray] = {}
    ids: tuple[str, ...] = ()
    for part in parts:
        rows = np.flatnonzero(np.isin(part.indices, common))
        rows = rows[np.argsort(part.indices[rows])]
        ids = tuple(part.machine_ids[row] for row in rows)
        scores |= {name: values[rows] for name, values in part.scores.items()}
    return ids, scores


def _choose(
    models: Sequence[InlierModel],
    scoring: Scoring,
    standardizers: Mapping[str, Standardizer],
    held_ids: Sequence[str],
    z: Mapping[str, np.ndarray],
) -> tuple[str, ...]:
    """Return the names of the scores to combine: as the recipe says, as far as the models have them."""
    if scoring.combine in z:
        return (scoring.combine,)
    if scoring.combine != "select":
        return tuple(z)
    parts = [model.pseudo_anomalies for model in models if model.pseudo_anomalies is not None]
    if len(parts) != 1:
        return tuple(z)  # nothing to choose by
    ids, pseudo = parts[0].machine_ids, parts[0].scores
    return select(
        {name: z[name] for name in pseudo},
        {name: standardizers[name].transform_own(scores, ids) for name, scores in pseudo.items()},
        ids=held_ids,
        pseudo_ids=ids,
    ).chosen
