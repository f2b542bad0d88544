"""From the raw scores of one or more models to one anomaly score, a p-value and a decision for each clip."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Self

import numpy as np

from offkey.errors import DatasetError, DetectorFileError
from offkey.recipe import Scoring
from offkey.scoring.calibration import Calibrated, Calibration
from offkey.scoring.combine import Selection, combine, oracle, select
from offkey.scoring.confirmed import Confirmed, decided
from offkey.scoring.null import Judged, NullDistributions
from offkey.scoring.standardize import Standardizer

__all__ = ["Fused", "Fusion"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Fused:
    """Anomaly scores of some recordings, each of one clip or more: those of its worst clip."""

    anomaly_score: np.ndarray
    """``(recordings,)`` float64: the standardised scores that were chosen, averaged; higher = more anomalous."""
    column: np.ndarray
    """``(recordings,)`` int64: the ID that it was scored against; of an unknown ID the one that it is nearest to."""
    judged: Judged
    """Thresholds, p-values and decisions."""
    clip: np.ndarray
    """``(recordings,)`` int64: which clip is the worst, the first of those that are."""


class Fusion:
    """Standardises each score for each machine ID, averages the chosen ones and compares them with normal clips'.

    Zhang et al. (2023), section 2.3; statistics and null distributions come from clips that the models had not seen,
    unless the recipe asks for training clips. An ID without such clips, because it has a single recording, takes
    the statistics and the scores of all IDs together.
    """

    def __init__(
        self,
        standardizers: Mapping[str, Standardizer],
        chosen: Sequence[str],
        null: NullDistributions,
        notes: Sequence[str] = (),
        criteria: Mapping[str, float] = MappingProxyType({}),
        weights: Mapping[str, float] | None = None,
    ) -> None:
        self.machine_ids = null.ids
        self.chosen = tuple(chosen)
        """The scores that are averaged."""
        self.weights = None if weights is None else dict(weights)
        """What each of them counts; None: all the same."""
        self.null = null
        """How the scores of normal clips are distributed."""
        self.notes = tuple(notes)
        """What a user should know of the choice of scores."""
        self.criteria = dict(criteria)
        """For `select`: the AUC of each subset of scores, such as `a_out+a_maha`, that the choice was made by."""
        self._standardizers = dict(standardizers)

    @classmethod
    def fit(cls, models: Sequence[Calibrated], scoring: Scoring) -> Self:
        """Learn the statistics of each ID, choose the scores to combine, and how those of normal clips are distributed.

        Raises
        ------
        DatasetError
            If a model has no clip to standardise its scores on, or none to calibrate them with.
        """
        machine_ids = models[0].machine_ids
        standardizers = {}
        for model in models:
            for name in model.score_names:
                on = model.standardise_on
                _refuse_none(name, on.machine_ids, "standardise it on")
                _refuse_none(name, model.held_out.machine_ids, "calibrate it with")
                standardizers[name] = Standardizer.fit(
                    on.scores[name], on.machine_ids, machine_ids=machine_ids
                )
        held_out = _held_out(models, standardizers)
        chosen, selection = _choose(models, scoring, standardizers, held_out)
        criteria = {} if selection is None else {"+".join(k): v for k, v in selection.criteria.items()}
        weights = _weights(models, scoring)
        null, notes = _null(held_out, chosen, machine_ids, weights)
        notes = (*_choice_notes(scoring, chosen, selection, weights), *notes)
        return cls(standardizers, chosen, null, notes, criteria, weights)

    def apply(
        self,
        raw: Mapping[str, np.ndarray],
        machine_ids: Sequence[str | None],
        *,
        rate: float,
        clips: np.ndarray | None = None,
        confirmed: Mapping[str, Confirmed] = MappingProxyType({}),
    ) -> Fused:
        """Combine raw scores.

        Parameters
        ----------
        raw
            For each score name ``(clips, IDs)``, a column for each known ID.
        machine_ids
            The recordings' IDs; None is the ID ``?``, as which clips without an ID are trained. One that is not known
            is scored as the ID with the smallest anomaly score.
        rate
            The share of healthy recordings that may be called anomalous.
        clips
            ``(recordings,)`` int64: how many clips each recording has, one after the other; by default one.
        confirmed
            ID -> its threshold below confirmed anomalies, which decides in place of that of the rate.
        """
        z = {name: self._standardizers[name].transform(raw[name]) for name in self.chosen}
        combined = combine(z, self.chosen, self.weights)
        counts = np.ones(len(machine_ids), dtype=np.int64) if clips is None else clips
        firsts = np.cumsum(counts) - counts
        worst = np.maximum.reduceat(combined, firsts, axis=0)  # (recordings, IDs)
        places = {machine_id: i for i, machine_id in enumerate(self.machine_ids)}
        nearest = worst.argmin(axis=1)
        names = [machine_id or "?" for machine_id in machine_ids]
        column = np.array(
            [places.get(name, near) for name, near in zip(names, nearest, strict=True)], dtype=np.int64
        )
        own = np.repeat(column, counts)
        largest = _places_of_largest(combined[np.arange(len(own)), own], firsts)
        scores = worst[np.arange(len(column)), column]
        judged = self.null.judge(scores, names, rate=rate, windows=counts)
        return Fused(
            anomaly_score=scores,
            column=column,
            judged=decided(judged, scores, names, counts, confirmed=confirmed, null=self.null, rate=rate),
            clip=firsts + largest,
        )

    def slopes(self, machine_id: str) -> dict[str, float]:
        """Return by how much the anomaly score against a known ID rises with each raw score that it is made of."""
        column = self.machine_ids.index(machine_id)
        weights = self.weights or dict.fromkeys(self.chosen, 1.0)
        total = sum(weights[name] for name in self.chosen)
        deviations = {name: self._standardizers[name].deviations[column] for name in self.chosen}
        return {name: float(weights[name] / total / deviations[name]) for name in self.chosen}

    def standardised(
        self, raw: Mapping[str, np.ndarray], machine_ids: Sequence[str]
    ) -> dict[str, np.ndarray]:
        """Return raw scores ``(clips,)``, each against its own known ID, in deviations from that ID's mean."""
        return {
            name: self._standardizers[name].transform_own(raw[name], machine_ids) for name in self.score_names
        }

    def combined(self, raw: Mapping[str, np.ndarray], machine_ids: Sequence[str]) -> np.ndarray:
        """Return the anomaly score ``(clips,)`` of raw scores ``(clips,)``, each against its own known ID."""
        return combine(self.standardised(raw, machine_ids), self.chosen, self.weights)

    def oracle(
        self, raw: Mapping[str, np.ndarray], machine_ids: Sequence[str], labels: np.ndarray
    ) -> tuple[Selection, np.ndarray]:
        """Return the combination that labelled test clips rank best by, and its score: for comparison only.

        Parameters
        ----------
        raw
            For each score name ``(clips,)``, each clip against its own ID.
        machine_ids
            The clips' IDs, all of them known.
        labels
            ``(clips,)``: 1 = anomaly, 0 = normal.
        """
        z = self.standardised(raw, machine_ids)
        selection = oracle(z, labels, ids=machine_ids)
        return selection, combine(z, selection.chosen)

    def state(self) -> dict[str, Any]:
        """Return plain data for JSON: all that `from_state` needs beside the models."""
        return {
            "machine_ids": list(self.machine_ids),
            "chosen": list(self.chosen),
            "standardizers": {name: s.state() for name, s in self._standardizers.items()},
            "notes": list(self.notes),
            "criteria": self.criteria,
            "weights": self.weights,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any], models: Sequence[Calibrated]) -> Self:
        """Rebuild the fusion of these models that gives the same scores.

        Raises
        ------
        DetectorFileError
            If a part is missing or contradicts another.
        """
        try:
            machine_ids, chosen = tuple(state["machine_ids"]), tuple(state["chosen"])
            standardizers = {name: Standardizer.from_state(s) for name, s in state["standardizers"].items()}
            notes, criteria = tuple(map(str, state["notes"])), dict(state["criteria"])
        except (KeyError, TypeError, AttributeError) as error:
            raise DetectorFileError(f"fusion: a part is missing or of another kind: {error!r}") from None
        for name, standardizer in standardizers.items():
            if standardizer.ids != machine_ids:
                raise DetectorFileError(
                    f"fusion: {name} has the IDs {standardizer.ids}; expected {machine_ids}"
                )
        others = {model.machine_ids for model in models} - {machine_ids}
        if others:
            raise DetectorFileError(f"fusion: IDs {machine_ids}; its models give scores for the IDs {others}")
        expected = {name for model in models for name in model.score_names}
        if set(standardizers) != expected:
            raise DetectorFileError(
                f"fusion: standardizers of {', '.join(standardizers)}; expected {', '.join(expected)}"
            )
        if not chosen or not set(chosen) <= set(standardizers):
            raise DetectorFileError(
                f"fusion: chosen = {chosen}; expected some of {', '.join(standardizers) or 'the scores'}"
            )
        weights = _restored_weights(state.get("weights"), chosen)
        null, _ = _null(_held_out(models, standardizers), chosen, machine_ids, weights)
        return cls(standardizers, chosen, null, notes, criteria, weights)

    @property
    def score_names(self) -> tuple[str, ...]:
        """The raw scores that `apply` needs."""
        return tuple(self._standardizers)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _HeldOut:
    """One standardised score of the clips that its model has held out, in the order of the training table."""

    indices: np.ndarray
    machine_ids: tuple[str, ...]
    z: np.ndarray
    """``(n,)``."""
    z_as_new: np.ndarray
    """``(n,)``, standardised without the clip itself, as those of new clips are."""
    against_all: np.ndarray | None
    """``(n, IDs)``, where the model tells."""

    @classmethod
    def of(cls, model: Calibrated, name: str, standardizer: Standardizer) -> Self:
        part = model.held_out
        order = np.argsort(part.indices, kind="stable")
        z = as_new = standardizer.transform_own(part.scores[name], part.machine_ids)
        if _same_clips(part, model.standardise_on):
            as_new = Standardizer.leave_one_out(part.scores[name], part.machine_ids)
        against_all = None
        if part.against_all is not None:
            against_all = standardizer.transform(part.against_all[name])
            columns = np.searchsorted(standardizer.ids, part.machine_ids)
            against_all[np.arange(len(z)), columns] = as_new
            against_all = against_all[order]
        return cls(
            indices=part.indices[order],
            machine_ids=tuple(part.machine_ids[i] for i in order),
            z=z[order],
            z_as_new=as_new[order],
            against_all=against_all,
        )

    def only(self, indices: np.ndarray) -> _HeldOut:
        rows = np.flatnonzero(np.isin(self.indices, indices))
        return _HeldOut(
            indices=self.indices[rows],
            machine_ids=tuple(self.machine_ids[i] for i in rows),
            z=self.z[rows],
            z_as_new=self.z_as_new[rows],
            against_all=None if self.against_all is None else self.against_all[rows],
        )


def _held_out(models: Sequence[Calibrated], standardizers: Mapping[str, Standardizer]) -> dict[str, _HeldOut]:
    return {
        name: _HeldOut.of(model, name, standardizers[name]) for model in models for name in model.score_names
    }


def _same_clips(one: Calibration, other: Calibration) -> bool:
    return one is other or (one.kind == other.kind and np.array_equal(one.indices, other.indices))


def _refuse_none(name: str, machine_ids: Sequence[str], purpose: str) -> None:
    if not machine_ids:
        raise DatasetError(
            f"{name}: no normal clip is left to {purpose}; expected IDs with at least two recordings"
        )


def _null(
    held_out: Mapping[str, _HeldOut],
    chosen: Sequence[str],
    machine_ids: Sequence[str],
    weights: Mapping[str, float] | None,
) -> tuple[NullDistributions, tuple[str, ...]]:
    """Return how the mean of some scores is distributed over normal clips, and what a user should know of it.

    Several models may have held out different clips: then those that all of them have held out are taken. If there are
    none, the scores of each model are combined in the order of their size, as if they rose and fell together.
    """
    parts = [held_out[name] for name in chosen]
    common = parts[0].indices
    for part in parts[1:]:
        common = np.intersect1d(common, part.indices)
    if not len(common):
        scores, ids = _in_order(parts, None if weights is None else [weights[name] for name in chosen])
        note = "the models have held out different clips: their scores are calibrated as if they rose and fell together"
        return NullDistributions.fit(scores, ids, machine_ids=machine_ids), (note,)
    by_name = dict(zip(chosen, (part.only(common) for part in parts), strict=True))
    scores, as_new = (
        combine({key: getattr(part, name) for key, part in by_name.items()}, chosen, weights)
        for name in ("z", "z_as_new")
    )
    against_all = {key: part.against_all for key, part in by_name.items() if part.against_all is not None}
    nearest = combine(against_all, chosen, weights).min(axis=1) if len(against_all) == len(chosen) else None
    ids = by_name[chosen[0]].machine_ids
    return NullDistributions.fit(scores, ids, machine_ids=machine_ids, as_new=as_new, nearest=nearest), ()


def _weights(models: Sequence[Calibrated], scoring: Scoring) -> dict[str, float] | None:
    """Return what each score counts, or None where all count the same."""
    if scoring.combine != "weighted":
        return None
    return {name: model.weight for model in models for name in model.score_names}


def _places_of_largest(values: np.ndarray, firsts: np.ndarray) -> np.ndarray:
    """Return where in each part of some values, given where the parts begin, the first of its largest stands."""
    if len(firsts) == len(values):  # of one clip each, as most recordings are
        return np.zeros(len(firsts), dtype=np.int64)
    return np.array([part.argmax() for part in np.split(values, firsts[1:])], dtype=np.int64)


def _restored_weights(state: Any, chosen: Sequence[str]) -> dict[str, float] | None:
    if state is None:
        return None
    numbers = isinstance(state, dict) and all(
        isinstance(weight, int | float) and 0 < weight < math.inf for weight in state.values()
    )
    if not numbers or not set(chosen) <= set(state):
        raise DetectorFileError(
            f"fusion: weights = {state!r}; expected a number above 0 for each of {chosen}"
        )
    return {name: float(weight) for name, weight in state.items()}


def _in_order(
    parts: Sequence[_HeldOut], weights: Sequence[float] | None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return for each ID the mean of the parts' k-th smallest scores, at as many places as the smallest part has."""
    counts = [1.0] * len(parts) if weights is None else weights
    scores: list[float] = []
    ids: list[str] = []
    for machine_id in sorted({name for part in parts for name in part.machine_ids}):
        own = [part.z[np.array(part.machine_ids) == machine_id] for part in parts]
        weighed = [(group, weight) for group, weight in zip(own, counts, strict=True) if len(group)]
        count = min(len(group) for group, _ in weighed)
        places = (np.arange(count) + 0.5) / count
        quantiles = [np.quantile(group, places) for group, _ in weighed]
        scores += np.average(quantiles, axis=0, weights=[weight for _, weight in weighed]).tolist()
        ids += [machine_id] * count
    return np.array(scores), tuple(ids)


def _choice_notes(
    scoring: Scoring,
    chosen: Sequence[str],
    selection: Selection | None,
    weights: Mapping[str, float] | None,
) -> tuple[str, ...]:
    """Say which scores make up the anomaly score where the recipe's words alone do not."""
    rule, names = scoring.combine, ", ".join(chosen)
    if rule == "mean" or chosen == (rule,):
        return ()
    if weights is not None:
        shares = ", ".join(f"{weights[name] / sum(weights.values()):.2f} {name}" for name in chosen)
        return (
            f"the anomaly score is a mean of standardised scores, weighed by normal clips alone: {shares}",
        )
    if rule != "select":
        reason = "no such score could be trained"
        return (f"scoring.combine = {rule!r}: {reason}; the anomaly score is made of {names}",)
    if selection is None:
        reason = "there are no pseudo-anomalies to choose by"
        return (f"scoring.combine = 'select': {reason}; the anomaly score is made of all scores: {names}",)
    if len(selection.criteria) == 1:
        reason = "there is a single score to choose from"
        return (f"scoring.combine = 'select': {reason}; the anomaly score is made of {names}",)
    kinds = list(selection.by_kind)
    against = (
        f" against {kinds[0]}" if len(kinds) == 1 else f", mean of {' and '.join(kinds)}" if kinds else ""
    )
    aucs = ", ".join(_auc_note(subset, selection) for subset in selection.criteria)
    return (
        f"the anomaly score is made of {names}: chosen by held-out normals and pseudo-anomalies (AUC of each "
        f"subset{against}: {aucs})",
    )


def _auc_note(subset: tuple[str, ...], selection: Selection) -> str:
    note = f"{'+'.join(subset)} {selection.criteria[subset]:.3f}"
    if len(selection.by_kind) > 1:
        note += f" of {' and '.join(f'{aucs[subset]:.3f}' for aucs in selection.by_kind.values())}"
    return note


def _choose(
    models: Sequence[Calibrated],
    scoring: Scoring,
    standardizers: Mapping[str, Standardizer],
    held_out: Mapping[str, _HeldOut],
) -> tuple[tuple[str, ...], Selection | None]:
    """Return the names of the scores to combine, as the recipe says as far as the models have them, and by what.

    `select` judges scores by pseudo-anomalies; those of a model that has none cannot be judged, and stay in.
    """
    every = tuple(standardizers)
    if scoring.combine in standardizers:
        return (scoring.combine,), None
    if scoring.combine != "select":
        return every, None
    parts = [model.pseudo_anomalies for model in models if model.pseudo_anomalies is not None]
    if len(parts) != 1:
        return every, None  # nothing to choose by
    ids, pseudo = parts[0].machine_ids, parts[0].scores
    normal_ids = held_out[next(iter(pseudo))].machine_ids
    if not set(ids) & set(normal_ids):
        return every, None  # the IDs that normals were held out of have no pseudo-anomalies
    selection = select(
        {name: held_out[name].z for name in pseudo},
        {name: standardizers[name].transform_own(scores, ids) for name, scores in pseudo.items()},
        ids=normal_ids,
        pseudo_ids=ids,
        kinds=parts[0].kinds,
    )
    return tuple(name for name in every if name in selection.chosen or name not in pseudo), selection
