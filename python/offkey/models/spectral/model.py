"""Recipe `spectral`: a closed-form model of normal sound, fitted in seconds without torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from threadpoolctl import threadpool_limits

from offkey._util.named_arrays import prefixed, under
from offkey.datasets.training import TrainingClips
from offkey.errors import ArrayError, DatasetError, DetectorFileError, ParameterError, RecipeError
from offkey.models.attribution import Attribution, ExplainedClip
from offkey.models.base import FitOptions, InlierModel, LearnedClips
from offkey.models.spectral import Spectral
from offkey.models.spectral.calibrate import (
    SCORE,
    Standard,
    nearest_note,
    pool_notes,
    restored_calibration,
    updated_notes,
)
from offkey.models.spectral.check import BASE_SETS, Choice, NormalClips, choose
from offkey.models.spectral.contributions import SetContributions, attribution
from offkey.models.spectral.edition import Edition
from offkey.models.spectral.feature_sets import FINE_SETS, Scale, StatisticsTable
from offkey.models.spectral.folds import make_folds
from offkey.models.spectral.learned_table import LearnedTable
from offkey.models.spectral.leave_one_out import log_scores_left_out
from offkey.models.spectral.likelihood_ratio import LikelihoodRatio, Moments
from offkey.models.spectral.notes import MIN_CLIPS_FOR_OWN_COVARIANCE, choice_notes, odd_note
from offkey.models.spectral.pools import IdPools
from offkey.models.spectral.set_fit import SetFit
from offkey.models.spectral.weights import clip_weights
from offkey.recipe import Recipe
from offkey.scoring.calibration import Calibration
from offkey.signal.statistics import ClipStatistics

__all__ = ["SpectralModel"]


class SpectralModel(InlierModel):
    """Likelihood ratios on a clip's statistics, standardised on clips left out and summed over feature sets.

    Made by `fit`, `of_statistics` or `from_state`.
    """

    def __init__(
        self,
        *,
        machine_ids: tuple[str, ...],
        ratios: dict[str, LikelihoodRatio],
        mean: np.ndarray,
        deviation: np.ndarray,
        held_out: Calibration,
        edition: Edition,
        criteria: dict[str, float],
        n_mels: int,
        notes: tuple[str, ...],
        moments: dict[str, np.ndarray],
        learned: LearnedTable | None,
    ) -> None:
        self.score_names = (SCORE,)
        self.machine_ids = machine_ids
        self.standardise_on = self.held_out = held_out
        self.notes = notes
        self.edition = edition
        self.further_statistics = edition.further_statistics
        self.provenance = edition.provenance
        self.choice = edition.metadata() | {"criteria": criteria}
        """The edition as plain data, and the criterion of every candidate of the check."""
        self.parameters = sum(
            array.size
            for ratio in ratios.values()
            for array in (ratio.scale.center, ratio.scale.unit, ratio.means, ratio.factors)
        )
        self._ratios = ratios
        self._mean, self._deviation = mean, deviation  # (sets, ids) of log scores of clips left out
        self._n_mels = n_mels
        self._moments = moments
        self._learned = learned

    @classmethod
    def fit(cls, clips: TrainingClips, *, recipe: Recipe, options: FitOptions) -> Self:
        """Learn from normal clips: `of_statistics` of those of the target machine type."""
        # Its matrices are small: the threads of a BLAS would wait for each other longer than they compute,
        # ten times as long where two threads share a core.
        with threadpool_limits(1, user_api="blas"):
            return cls.of_statistics(
                clips.statistics(),
                clips.machine_ids,
                clips.groups,
                recipe=recipe,
                seed=options.seed,
                num_threads=options.num_threads,
            )

    @classmethod
    def of_statistics(
        cls,
        statistics: ClipStatistics,
        machine_ids: Sequence[str],
        groups: Sequence[str],
        *,
        recipe: Recipe,
        seed: int,
        num_threads: int | None = None,
    ) -> Self:
        """Learn from normal clips.

        Parameters
        ----------
        statistics
            Of the training clips, ``(clips, n_mels)`` each.
        machine_ids
            The machine ID of each clip.
        groups
            The recording that each clip was cut from: its clips are held out together.
        recipe
            With a section `spectral`.
        seed
            Orders the folds and draws the bumps of the label-free check. The same seed gives the same model.
        num_threads
            Threads of the kernels; all cores if None. The result does not depend on it.

        Raises
        ------
        ArrayError
            If the arrays do not match each other or are not finite.
        DatasetError
            If there are too few clips, or nothing varies over them.
        RecipeError
            If the recipe has no section `spectral`.
        """
        settings = _settings(recipe)
        n_mels = np.atleast_1d(statistics.mean).shape[-1]
        fine_mels = [spectrum.n_mels * n_mels for spectrum in settings.spectra]
        table = StatisticsTable.checked(statistics, fine_mels=fine_mels)
        names, ids = _positions(machine_ids, groups, len(table))
        folds = make_folds(ids, groups, names=names, count=settings.folds, seed=seed)
        clips = NormalClips(
            table=table,
            ids=ids,
            n_ids=len(names),
            fold=folds.fold,
            own_ids=_own_ids(ids, folds.fold),
            weights=clip_weights(table, ids),
            tau=settings.tau,
            num_threads=num_threads,
        )
        choice = usual = _usual(settings)
        if settings.check:
            choice = choose(
                clips,
                IdPools(ids, clips.scored(), n_ids=len(names)),
                default=usual,
                margin=settings.check_margin,
                draws=settings.check_draws,
                seed=seed,
            )
        edition, notes = Edition.of(choice, clips, settings)
        fits = {}
        for name in edition.feature_sets:
            own_covariance, ridge = edition.gaussian_of(name)
            fits[name] = SetFit.of(clips, name, own_covariance=own_covariance, ridge=ridge, units=folds.units)
        ratios = {name: fit.ratio for name, fit in fits.items()}
        log_scores = np.stack([fit.log_scores for fit in fits.values()])
        standard = Standard.of(log_scores, ids, set_weights=np.array(edition.set_weights))
        held_out = standard.calibration(names, ids)
        notes = (
            *folds.notes,
            *choice_notes(choice, usual, edition, ratios, names=names, clips=clips),
            *notes,
            *pool_notes(names, standard.pools, ids),
            *nearest_note(held_out, names),
            *odd_note(clips.weights, groups),
        )
        return cls(
            machine_ids=names,
            ratios=ratios,
            mean=standard.mean,
            deviation=standard.deviation,
            held_out=held_out,
            edition=edition,
            criteria=choice.criteria,
            n_mels=table.n_mels,
            notes=notes,
            moments={"log_scores": standard.log_scores[:, standard.pools.scored]}
            | {f"{name}.covariances": fit.covariances for name, fit in fits.items()},
            learned=LearnedTable(ids, clips.weights, folds.units),
        )

    def updated(
        self, clips: TrainingClips, *, recipe: Recipe, learned: LearnedClips, num_threads: int | None = None
    ) -> Self:
        """Return the model with further normal clips of known IDs in its means, covariances and calibration.

        The units of features, the choice of the check, and the weights of the clips so far stay; each new clip counts
        in full. The new clips, and those so far whose statistics are kept, are scored by the updated model without
        their recording. Clips whose statistics are not kept, or not those of their whole recording, keep the log score
        that they had. What log scores are standardised by is taken anew from all of them.

        Parameters
        ----------
        clips, recipe, learned
            See `InlierModel.updated`.
        num_threads
            Not used: the work is small.

        Raises
        ------
        ParameterError
            If the file of the model kept too little.
        DatasetError
            If a clip is too short for a rhythm, and the model has one.
        """
        with threadpool_limits(1, user_api="blas"):
            return self._updated(
                clips.statistics(),
                np.searchsorted(self.machine_ids, list(clips.machine_ids)).astype(np.int64),
                clips.groups,
                tau=_settings(recipe).tau,
                kept=learned,
            )

    def _updated(
        self,
        statistics: ClipStatistics,
        ids: np.ndarray,
        groups: Sequence[str],
        *,
        tau: float,
        kept: LearnedClips,
    ) -> Self:
        before, against_all = self._learned, self.held_out.against_all
        if before is None or against_all is None:
            raise ParameterError(
                "update: this detector's file was written by a version of offkey that kept too little of the training "
                "clips: fit again, to all of them"
            )
        names, n_ids = self.machine_ids, len(self.machine_ids)
        after = before.extended(ids, groups)
        table = self._table(statistics)
        if any(table.unknown(name).any() for name in self._ratios):
            raise DatasetError(
                "update: clips that are too short for a rhythm, which the detector has learned"
            )
        rows = np.concatenate([kept.indices, len(before.ids) + np.arange(len(ids))])
        again = after.whole(rows)
        rows = rows[again]
        parts = [kept.statistics, statistics] if len(kept.indices) else [statistics]
        both = ClipStatistics.joined(parts)
        scored_again = self._table(both).take(again)

        log_scores = np.full((len(self._ratios), len(after.ids), n_ids), np.nan)
        own = np.searchsorted(names, self.held_out.machine_ids)
        log_scores[:, self.held_out.indices, own] = self._moments["log_scores"]
        ratios, moments = {}, {}
        for place, (name, ratio) in enumerate(self._ratios.items()):
            own_covariance, ridge = self.edition.gaussian_of(name)
            so_far = Moments.restored(ratio, self._moments[f"{name}.covariances"])
            merged = so_far.merged(
                table.features(name), ids, np.ones(len(ids)), weight_of_ids=before.weight_of_ids(n_ids)
            )
            whitenings = merged.whitenings(own_covariance=own_covariance, ridge=ridge, tau=tau)
            ratios[name] = merged.ratio(whitenings)
            moments[f"{name}.covariances"] = merged.packed(own=own_covariance)
            log_scores[place, rows] = log_scores_left_out(
                merged,
                whitenings,
                features=scored_again.features(name),
                ids=after.ids[rows],
                weights=after.weights[rows],
                units=after.units[rows],
                weight_of_ids=after.weight_of_ids(n_ids),
                clips_of_ids=after.clips_of_ids(n_ids),
            )
        earlier = np.full((len(after.ids), n_ids), np.nan)
        earlier[self.held_out.indices] = against_all[SCORE]
        standard = Standard.of(
            log_scores, after.ids, set_weights=np.array(self.edition.set_weights), earlier=earlier
        )
        held_out = standard.calibration(names, after.ids)
        return type(self)(
            machine_ids=names,
            ratios=ratios,
            mean=standard.mean,
            deviation=standard.deviation,
            held_out=held_out,
            edition=self.edition,
            criteria=self.choice["criteria"],
            n_mels=self._n_mels,
            notes=updated_notes(
                self.notes,
                names,
                before=(self.held_out, before.ids),
                after=(held_out, after.ids),
                again=rows,
            ),
            moments={"log_scores": standard.log_scores[:, standard.pools.scored]} | moments,
            learned=after,
        )

    def scores(self, inputs: ClipStatistics, *, num_threads: int | None = None) -> dict[str, np.ndarray]:
        """Score clips against every known ID.

        Parameters
        ----------
        inputs
            Statistics of the clips, ``(clips, n_mels)`` each.
        num_threads
            Threads of the kernels; all cores if None. The result does not depend on it.

        Returns
        -------
        dict
            ``a_spectral`` -> ``(clips, ids)`` float64: the weighted sum over feature sets of the log ratio's z;
            higher = more anomalous. An unknown ID is the column with the smallest. A clip too short for a rhythm has
            that of an average one.

        Raises
        ------
        ArrayError
            If the statistics are not finite, or have other Mel bins than the training clips.
        """
        table = self._table(inputs)
        total = np.zeros((len(table), len(self.machine_ids)))
        for (name, ratio), weight, mean, deviation in zip(
            self._ratios.items(), self.edition.set_weights, self._mean, self._deviation, strict=True
        ):
            features = table.features(name)
            rows = ~table.unknown(name)
            z = (ratio.log_scores(features[rows], num_threads=num_threads) - mean) / deviation
            total[rows] += weight * z
        return {SCORE: total}

    def explain(self, clip: ExplainedClip, machine_id: str, slopes: Mapping[str, float]) -> Attribution:
        """Say where in a clip its score against a known ID comes from, in units of which `slopes` has those of each."""
        of_clip = attribution(self.contributions(clip.statistics, machine_id), clip)
        return of_clip.scaled(slopes.get(SCORE, 0.0))

    def contributions(self, statistics: ClipStatistics, machine_id: str) -> list[SetContributions]:
        """Return what each feature set says of one clip, but a rhythm for which it is too short."""
        table, column = self._table(statistics), self.machine_ids.index(machine_id)
        standard = zip(
            self.edition.set_weights, self._mean[:, column], self._deviation[:, column], strict=True
        )
        return [
            SetContributions.of(ratio, table.features(name)[0], column, *of_set)
            for (name, ratio), of_set in zip(self._ratios.items(), standard, strict=True)
            if not table.unknown(name).any()
        ]

    def _table(self, statistics: ClipStatistics) -> StatisticsTable:
        fine_mels = [len(self._ratios[name].scale.varying) for name in FINE_SETS if name in self._ratios]
        return StatisticsTable.checked(statistics, n_mels=self._n_mels, fine_mels=fine_mels)

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return arrays for safetensors and plain data for JSON: all that `from_state` needs."""
        arrays = {
            "standard.mean": self._mean,
            "standard.deviation": self._deviation,
            "held_out.indices": self.held_out.indices,
            "held_out.ids": np.searchsorted(self.machine_ids, self.held_out.machine_ids).astype(np.int64),
        }
        if self.held_out.against_all is None:  # of a file of version 0.1
            arrays["held_out.scores"] = self.held_out.scores[SCORE]
        else:
            arrays["held_out.against_all"] = self.held_out.against_all[SCORE]
        for name, ratio in self._ratios.items():
            arrays |= {
                f"{name}.kept": ratio.scale.varying,
                f"{name}.center": ratio.scale.center,
                f"{name}.unit": ratio.scale.unit,
                f"{name}.means": ratio.means,
                f"{name}.factors": ratio.factors,
                f"{name}.which": ratio.which,
            }
        arrays |= prefixed("moments", self._moments)
        arrays |= prefixed("clips", self._learned.state() if self._learned else {})
        metadata = {
            "machine_ids": list(self.machine_ids),
            "n_mels": self._n_mels,
            "choice": self.choice,
            "notes": list(self.notes),
        }
        return arrays, metadata

    @classmethod
    def from_state(cls, recipe: Recipe, arrays: dict[str, np.ndarray], metadata: dict[str, Any]) -> Self:
        """Rebuild a model that gives the same scores.

        Raises
        ------
        DetectorFileError
            If an array or a field is missing.
        RecipeError
            If the recipe has no section `spectral`.
        """
        _settings(recipe)
        try:
            names = tuple(metadata["machine_ids"])
            edition = Edition.restored(metadata["choice"])
            ratios = {
                name: LikelihoodRatio(
                    Scale(name, *(arrays[f"{name}.{part}"] for part in ("kept", "center", "unit"))),
                    *(arrays[f"{name}.{part}"] for part in ("means", "factors", "which")),
                )
                for name in edition.feature_sets
            }
            held_out = restored_calibration(arrays, names)
            expected = (len(ratios), len(names))
            for name in ("standard.mean", "standard.deviation"):
                if arrays[name].shape != expected:
                    raise DetectorFileError(
                        f"spectral model: {name} has shape {arrays[name].shape}; expected {expected}"
                    )
            return cls(
                machine_ids=names,
                ratios=ratios,
                mean=arrays["standard.mean"],
                deviation=arrays["standard.deviation"],
                held_out=held_out,
                edition=edition,
                criteria=metadata["choice"]["criteria"],
                n_mels=metadata["n_mels"],
                notes=tuple(metadata["notes"]),
                moments=_checked_moments(under("moments", arrays), ratios, clips=len(held_out.indices)),
                learned=LearnedTable.from_state(
                    under("clips", arrays),
                    n_ids=len(names),
                    indices=held_out.indices,
                    ids=arrays["held_out.ids"],
                ),
            )
        except KeyError as error:
            raise DetectorFileError(
                f"spectral model: the field {error} is missing; expected a file of this version of offkey"
            ) from None


def _checked_moments(
    moments: dict[str, np.ndarray], ratios: dict[str, LikelihoodRatio], *, clips: int
) -> dict[str, np.ndarray]:
    """Refuse arrays of other shapes than the rest of the model has; files of format 1 have none."""
    expected: dict[str, tuple[int, ...]] = {
        "log_scores": (len(ratios), clips),
    }
    for name, ratio in ratios.items():
        n, p = ratio.factors.shape[:2]
        expected[f"{name}.covariances"] = (n, p * (p + 1) // 2)
    shapes = {name: array.shape for name, array in moments.items()}
    if moments and (shapes != expected or not all(np.isfinite(array).all() for array in moments.values())):
        raise DetectorFileError(
            f"spectral model: moments of shapes {shapes}; expected {expected}, all finite"
        )
    return moments


def _settings(recipe: Recipe) -> Spectral:
    if recipe.spectral is None:
        raise RecipeError(f"recipe {recipe.name!r}: expected a section `spectral`, given none")
    return recipe.spectral


def _positions(
    machine_ids: Sequence[str], groups: Sequence[str], n_clips: int
) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the sorted IDs, and each clip's position among them as ``(clips,)``."""
    for what, labels in (("machine_ids", machine_ids), ("groups", groups)):
        if len(labels) != n_clips:
            raise ArrayError(f"{what}: expected one for each of the {n_clips} clips, given {len(labels)}")
        wrong = next((k for k, value in enumerate(labels) if not isinstance(value, str)), None)
        if wrong is not None:
            raise DatasetError(f"{what}: clip {wrong} has {labels[wrong]!r}; expected a string for each clip")
    if n_clips == 0:
        raise DatasetError("no normal training clips: expected some dozens for each machine ID")
    names = tuple(sorted(set(machine_ids)))
    return names, np.searchsorted(names, list(machine_ids)).astype(np.int64)


def _own_ids(ids: np.ndarray, fold: np.ndarray) -> tuple[int, ...]:
    """Return the IDs with 20 clips or more in every fold's training part.

    The same in all fits, so that out-of-fold scores come from the kind of model that is used in the end.
    """
    counts = np.zeros((int(fold.max()) + 1, int(ids.max()) + 1), dtype=np.int64)
    np.add.at(counts, (fold, ids), 1)
    fewest = (counts.sum(axis=0) - counts).min(axis=0)
    return tuple(int(i) for i in np.flatnonzero(fewest >= MIN_CLIPS_FOR_OWN_COVARIANCE))


def _usual(settings: Spectral) -> Choice:
    """Return the recipe's own settings: what a fit without the check uses, and what the check starts from."""
    sets = (*BASE_SETS, "L") if settings.use_level_deviation else BASE_SETS
    return Choice(settings.own_covariance, settings.ridge, sets)
