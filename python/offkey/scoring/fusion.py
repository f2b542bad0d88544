"""From the raw scores of one or more models to one anomaly score and a decision for each clip."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Self

import numpy as np

from offkey.errors import DatasetError, DetectorFileError
from offkey.recipe import Scoring
from offkey.scoring.calibration import Calibrated
from offkey.scoring.combine import Selection, combine, oracle, select
from offkey.scoring.standardize import Standardizer
from offkey.scoring.threshold import MIN_CLIPS, Thresholds, beyond

__all__ = ["Fused", "Fusion"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Fused:
    """Anomaly scores of some recordings, each of one clip or more: those of its worst clip."""

    anomaly_score: np.ndarray
    """``(recordings,)`` float64: the standardised scores that were chosen, averaged; higher = more anomalous."""
    column: np.ndarray
    """``(recordings,)`` int64: the ID that it was scored against; of an unknown ID the one that it is nearest to."""
    decision: np.ndarray
    """``(recordings,)`` int8: 1 where the score is above the ID's threshold, for unknown IDs that of all IDs."""
    clip: np.ndarray
    """``(recordings,)`` int64: which clip is the worst, the first of those that are."""


class Fusion:
    """Standardises each score for each machine ID, averages the chosen ones and compares with a threshold.

    Zhang et al. (2023), section 2.3; the statistics and thresholds come from clips that the models had not seen,
    unless the recipe asks for training clips. An ID without such clips, because it has a single recording, takes
    the statistics and the threshold of all IDs together.
    """

    def __init__(
        self,
        machine_ids: Sequence[str],
        standardizers: Mapping[str, Standardizer],
        chosen: Sequence[str],
        thresholds: Thresholds,
        notes: Sequence[str] = (),
        criteria: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        self.machine_ids = tuple(machine_ids)
        self.chosen = tuple(chosen)
        """The scores that are averaged."""
        self.thresholds = thresholds
        self.notes = tuple(notes)
        """What a user should know of the choice of scores and of the thresholds."""
        self.criteria = dict(criteria)
        """For `select`: the AUC of each subset of scores, such as `a_out+a_maha`, that the choice was made by."""
        self._standardizers = dict(standardizers)

    @classmethod
    def fit(cls, models: Sequence[Calibrated], scoring: Scoring) -> Self:
        """Learn the statistics of each ID, choose the scores to combine, and set the thresholds.

        Several models may have held out different clips. The thresholds are quantiles of the combined score of
        the clips that all of them have held out; if there are none, the mean of the quantiles of each score
        alone, which is what the combined one has if the scores rise and fall together.

        Raises
        ------
        DatasetError
            If a model has no clip to standardise its scores on, or none to take thresholds from.
        """
        machine_ids = models[0].machine_ids
        standardizers, held_out = {}, {}
        for model in models:
            for name in model.score_names:
                on = model.standardise_on
                _refuse_none(name, on.machine_ids, "standardise it on")
                _refuse_none(name, model.held_out.machine_ids, "take a threshold from")
                standardizers[name] = Standardizer.fit(
                    on.scores[name], on.machine_ids, machine_ids=machine_ids
                )
                held_out[name] = _HeldOut.of(model, name, standardizers[name])
        chosen, selection = _choose(models, scoring, standardizers, held_out)
        criteria = {} if selection is None else {"+".join(k): v for k, v in selection.criteria.items()}
        thresholds, notes = _thresholds(
            {name: held_out[name] for name in chosen}, scoring.quantile, machine_ids
        )
        notes = (*_choice_notes(scoring, chosen, criteria), *notes)
        return cls(machine_ids, standardizers, chosen, thresholds, notes, criteria)

    def apply(
        self,
        raw: Mapping[str, np.ndarray],
        machine_ids: Sequence[str | None],
        *,
        clips: np.ndarray | None = None,
        thresholds: Callable[[int], Thresholds] | None = None,
    ) -> Fused:
        """Combine raw scores.

        Parameters
        ----------
        raw
            For each score name ``(clips, IDs)``, a column for each known ID.
        machine_ids
            The recordings' IDs; None is the ID ``?``, as which clips without an ID are trained. One that is not known
            is scored as the ID with the smallest anomaly score.
        clips
            ``(recordings,)`` int64: how many clips each recording has, one after the other; by default one.
        thresholds
            Returns the thresholds of the largest of so many scores; by default those of one.
        """
        combined = np.mean([self._standardizers[name].transform(raw[name]) for name in self.chosen], axis=0)
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
        at_own_id = np.split(combined[np.arange(len(own)), own], firsts[1:])
        decision = np.empty(len(column), dtype=np.int8)
        scores = worst[np.arange(len(column)), column]
        for count in np.unique(counts).tolist():
            rows = np.flatnonzero(counts == count)
            limits = self.thresholds if thresholds is None or count == 1 else thresholds(count)
            decision[rows] = limits.decide(scores[rows], [names[row] for row in rows.tolist()])
        return Fused(
            anomaly_score=scores,
            column=column,
            decision=decision,
            clip=firsts + np.array([part.argmax() for part in at_own_id], dtype=np.int64),
        )

    def of_maximum(
        self, models: Sequence[Calibrated], *, quantile: float, windows: int
    ) -> tuple[Thresholds, tuple[str, ...]]:
        """Return the thresholds of the largest of several scores (see `Thresholds.fit`), and a note on them.

        Parameters
        ----------
        models
            Those that the fusion was fitted to.
        quantile
            Of the recipe's scoring.
        windows
            Of how many clips of a recording the largest score is taken.
        """
        held_out = {
            name: _HeldOut.of(model, name, self._standardizers[name])
            for model in models
            for name in model.score_names
            if name in self.chosen
        }
        return _thresholds(held_out, quantile, self.machine_ids, windows=windows)

    def standardised(
        self, raw: Mapping[str, np.ndarray], machine_ids: Sequence[str]
    ) -> dict[str, np.ndarray]:
        """Return raw scores ``(clips,)``, each against its own known ID, in deviations from that ID's mean."""
        return {
            name: self._standardizers[name].transform_own(raw[name], machine_ids) for name in self.score_names
        }

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
        """Return plain data for JSON: all that `from_state` needs."""
        return {
            "machine_ids": list(self.machine_ids),
            "chosen": list(self.chosen),
            "thresholds": self.thresholds.state(),
            "standardizers": {name: s.state() for name, s in self._standardizers.items()},
            "notes": list(self.notes),
            "criteria": self.criteria,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Rebuild a fusion that gives the same scores.

        Raises
        ------
        DetectorFileError
            If a part is missing or contradicts another.
        """
        try:
            machine_ids, chosen = tuple(state["machine_ids"]), tuple(state["chosen"])
            standardizers = {name: Standardizer.from_state(s) for name, s in state["standardizers"].items()}
            thresholds = Thresholds.from_state(state["thresholds"])
            notes, criteria = tuple(map(str, state["notes"])), dict(state["criteria"])
        except (KeyError, TypeError, AttributeError) as error:
            raise DetectorFileError(f"fusion: a part is missing or of another kind: {error!r}") from None
        for owner, ids in (
            ("thresholds", thresholds.ids),
            *((name, standardizer.ids) for name, standardizer in standardizers.items()),
        ):
            if ids != machine_ids:
                raise DetectorFileError(f"fusion: {owner} has the IDs {ids}; expected {machine_ids}")
        if not chosen or not set(chosen) <= set(standardizers):
            raise DetectorFileError(
                f"fusion: chosen = {chosen}; expected some of {', '.join(standardizers) or 'the scores'}"
            )
        return cls(machine_ids, standardizers, chosen, thresholds, notes, criteria)

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

    @classmethod
    def of(cls, model: Calibrated, name: str, standardizer: Standardizer) -> Self:
        part = model.held_out
        order = np.argsort(part.indices, kind="stable")
        z = standardizer.transform_own(part.scores[name], part.machine_ids)
        return cls(
            indices=part.indices[order], machine_ids=tuple(part.machine_ids[i] for i in order), z=z[order]
        )

    def only(self, indices: np.ndarray) -> _HeldOut:
        rows = np.flatnonzero(np.isin(self.indices, indices))
        return _HeldOut(
            indices=self.indices[rows], machine_ids=tuple(self.machine_ids[i] for i in rows), z=self.z[rows]
        )


def _refuse_none(name: str, machine_ids: Sequence[str], purpose: str) -> None:
    if not machine_ids:
        raise DatasetError(
            f"{name}: no normal clip is left to {purpose}; expected IDs with at least two recordings"
        )


def _thresholds(
    held_out: Mapping[str, _HeldOut], quantile: float, machine_ids: Sequence[str], *, windows: int = 1
) -> tuple[Thresholds, tuple[str, ...]]:
    """Return the thresholds of the mean of some scores, and what a user should know of them."""
    fit = functools.partial(Thresholds.fit, quantile=quantile, machine_ids=machine_ids, windows=windows)
    parts = list(held_out.values())
    common = parts[0].indices
    for part in parts[1:]:
        common = np.intersect1d(common, part.indices)
    if not len(common):
        alone = [fit(part.z, part.machine_ids) for part in parts]
        mean = Thresholds(
            alone[0].ids,
            np.mean([one.values for one in alone], axis=0),
            float(np.mean([one.fallback for one in alone])),
        )
        note = "the models have held out different clips: each threshold is the mean of those of the scores"
        return mean, (note,)
    shared = {name: part.only(common) for name, part in held_out.items()}
    combined = combine({name: part.z for name, part in shared.items()}, tuple(shared))
    ids = next(iter(shared.values())).machine_ids
    notes = (
        _shortage_notes(ids, quantile, machine_ids) if windows == 1 else _tail_notes(ids, quantile, windows)
    )
    return fit(combined, ids), notes


def _tail_notes(held_out: Sequence[str], quantile: float, windows: int) -> tuple[str, ...]:
    """Say where the threshold of the maximum of some windows lies beyond what was held out."""
    counts = [held_out.count(name) for name in set(held_out)]
    fewest = min(count if count >= MIN_CLIPS else len(held_out) for count in counts)
    if not beyond(fewest, quantile, windows):
        return ()
    return (
        f"thresholds: for the worst of {windows} windows the quantile {quantile ** (1 / windows):.6g} of held-out "
        f"normal clips is needed, of which there are {fewest}: the tail of their scores is extended as an "
        "exponential one",
    )


def _shortage_notes(held_out: Sequence[str], quantile: float, machine_ids: Sequence[str]) -> tuple[str, ...]:
    """Say which IDs have too few held-out clips for a quantile of their own, or for any that means something."""
    needed = math.ceil(1 / (1 - quantile))
    counts = {name: held_out.count(name) for name in machine_ids}
    pooled = [name for name, count in counts.items() if count < MIN_CLIPS and len(counts) > 1]
    few = {name: len(held_out) if name in pooled else count for name, count in counts.items()}
    few = {name: count for name, count in few.items() if count < needed}
    notes = []
    if pooled:
        notes.append(
            f"thresholds: ID {', '.join(pooled)}: fewer than {MIN_CLIPS} held-out normal clips, so that of all IDs "
            "together is taken"
        )
    if few:
        listed = ", ".join(f"{name} ({count})" for name, count in few.items())
        notes.append(
            f"thresholds: too few held-out normal clips for the quantile {quantile:g}, which needs {needed}: "
            f"ID {listed}: expect more false alarms than {1 - quantile:.0%}"
        )
    return tuple(notes)


def _choice_notes(scoring: Scoring, chosen: Sequence[str], criteria: Mapping[str, float]) -> tuple[str, ...]:
    """Say which scores make up the anomaly score where the recipe's words alone do not."""
    rule, names = scoring.combine, ", ".join(chosen)
    if rule == "mean" or chosen == (rule,):
        return ()
    if rule != "select":
        reason = "no such score could be trained"
        return (f"scoring.combine = {rule!r}: {reason}; the anomaly score is made of {names}",)
    if not criteria:
        reason = "there are no pseudo-anomalies to choose by"
        return (f"scoring.combine = 'select': {reason}; the anomaly score is made of all scores: {names}",)
    aucs = ", ".join(f"{subset} {auc:.3f}" for subset, auc in criteria.items())
    return (
        f"the anomaly score is made of {names}: chosen by held-out normals and pseudo-anomalies (AUC of each "
        f"subset: {aucs})",
    )


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
    )
    return tuple(name for name in every if name in selection.chosen or name not in pseudo), selection
