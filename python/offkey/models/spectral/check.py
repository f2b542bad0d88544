"""The label-free check: settings chosen from normal clips alone, by how well each sees bumps added to them.

Every clip is scored by a model that was fitted without its recording, once as it is and in several draws with
bumps added. Settings are compared by the AUC between the two: no anomaly and no label takes part. They stay as they are
unless the difference is clear: where all see the bumps equally well, or each draw prefers others, nothing is chosen.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence

import numpy as np

from offkey.metrics import auc
from offkey.models.spectral.feature_sets import StatisticsTable
from offkey.models.spectral.likelihood_ratio import LikelihoodRatio, Moments
from offkey.models.spectral.pools import IdPools

__all__ = ["BASE_SETS", "Choice", "NormalClips", "Settings", "add_bumps", "choose", "out_of_fold"]

BASE_SETS = ("M", "A", "P")
"""The feature sets that are always used: the check cannot see the value of P, which resists transients."""

_OPTIONAL_SET = "L"
_RIDGES = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
_RIDGE_TOLERANCE = 0.002  # AUC within which the smaller ridge is taken
_MAX_BUMPS = 4
_BUMP_WIDTH = (0.5, 4.0)  # sigma in bins of 128
_BUMP_AMPLITUDE = (0.05, 1.0)  # of the bin's within-ID deviation
_BUMP_MODULATION = (0.03, 0.5)  # relative change of a deviation over time
_REFERENCE_MELS = 128


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NormalClips:
    """Normal training clips, the folds that hold them out, and what all candidates share."""

    table: StatisticsTable
    ids: np.ndarray
    """``(clips,)`` positions of the machine IDs."""
    n_ids: int
    fold: np.ndarray
    """``(clips,)``: the fold that holds a clip out."""
    own_ids: tuple[int, ...]
    """IDs that have clips enough for a covariance of their own, in every fold's training part too."""
    weights: np.ndarray
    """``(clips,)`` above 0, at most 1: what each counts in a fit."""
    tau: float
    num_threads: int | None = None
    """Threads of the kernels; the result does not depend on it."""

    def scored(self) -> np.ndarray:
        """Return which clips can be scored out of fold, ``(clips,)`` bool: their ID has clips elsewhere."""
        scored = np.zeros(len(self.ids), dtype=bool)
        for k in range(int(self.fold.max()) + 1):
            in_fold = self.fold == k
            scored[in_fold] = np.isin(self.ids[in_fold], self.ids[~in_fold])
        return scored

    def moments(self, rows: np.ndarray, *, feature_set: str) -> Moments:
        """Return the moments of the clips at `rows`, a mask."""
        return Moments.fit(
            self.table.take(rows).features(feature_set),
            self.ids[rows],
            self.weights[rows],
            feature_set=feature_set,
            n_ids=self.n_ids,
            own_ids=self.own_ids,
        )

    def level_deviation_db(self) -> np.ndarray:
        """Return the within-ID deviation over clips of each bin's mean level, ``(n_mels,)`` in dB."""
        deviations = self.table.columns["mean"].copy()
        for i in np.unique(self.ids):
            rows = self.ids == i
            deviations[rows] -= self.weights[rows] @ deviations[rows] / self.weights[rows].sum()
        freedom = max(1.0, self.weights.sum() - len(np.unique(self.ids)))
        deviation: np.ndarray = np.sqrt(self.weights @ np.square(deviations) / freedom)
        return deviation


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """One candidate."""

    feature_set: str
    own_covariance: bool
    ridge: float


@dataclasses.dataclass(frozen=True, slots=True)
class Choice:
    """The settings used, and how they compared."""

    own_covariance: bool
    ridge: float
    feature_sets: tuple[str, ...]
    criteria: dict[str, float] = dataclasses.field(default_factory=dict)
    """Candidate -> AUC between normals and the same clips with bumps; empty without the check."""

    def same_as(self, other: Choice) -> bool:
        """Say whether the settings are those of another choice."""
        return dataclasses.replace(self, criteria=other.criteria) == other


def add_bumps(
    rng: np.random.Generator, n_clips: int, *, deviation_db: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Draw what an anomaly might add to each clip's statistics.

    A clip gets 1 to 4 Gaussian bumps in level: sigma uniform from 0.5 to 4 bins (scaled by ``n_mels / 128``),
    any centre, amplitude log-uniform from 0.05 to 1 of each bin's deviation, random sign. In half of the
    clips the deviations over time also change, by a factor ``1 + a b`` with b the clip's first bump (one, so
    that the factor stays positive) and the size of a log-uniform from 0.03 to 0.5, random sign.

    Parameters
    ----------
    rng
        The stream to draw from.
    n_clips
        How many clips.
    deviation_db
        ``(n_mels,)`` within-ID deviation of each bin's level over clips.

    Returns
    -------
    level_db, log_deviation
        ``(clips, n_mels)`` each: to be added to `mean` and `p5`, and to `lstd` and `ldstd`.
    """
    n_mels = len(deviation_db)
    counts = 1 + np.floor(_MAX_BUMPS * rng.random(n_clips)).astype(np.int64)
    shape = np.zeros((n_clips, n_mels))
    first = np.zeros((n_clips, n_mels))
    for k, uniform in enumerate(rng.random((_MAX_BUMPS, 4, n_clips))):
        rows = np.flatnonzero(counts > k)
        width, centre, amplitude, sign = uniform[:, rows]
        sigma = (_BUMP_WIDTH[0] + (_BUMP_WIDTH[1] - _BUMP_WIDTH[0]) * width) * (n_mels / _REFERENCE_MELS)
        distance = np.arange(n_mels) - (n_mels * centre - 0.5)[:, None]
        bump = np.exp(-0.5 * np.square(distance / sigma[:, None]))
        shape[rows] += _signed_log_uniform(_BUMP_AMPLITUDE, amplitude, sign)[:, None] * bump
        if k == 0:
            first = bump  # every clip has one
    modulated, amplitude, sign = rng.random((3, n_clips))
    change = np.where(modulated < 0.5, _signed_log_uniform(_BUMP_MODULATION, amplitude, sign), 0.0)
    return shape * deviation_db, np.log1p(change[:, None] * first)


def _signed_log_uniform(bounds: tuple[float, float], uniform: np.ndarray, sign: np.ndarray) -> np.ndarray:
    low, high = math.log(bounds[0]), math.log(bounds[1])
    values: np.ndarray = np.exp(low + (high - low) * uniform) * np.where(sign < 0.5, -1.0, 1.0)
    return values


def out_of_fold(clips: NormalClips, candidates: Sequence[Settings], *, draws: int, seed: int) -> np.ndarray:
    """Score every clip at its own ID by models fitted without its fold.

    Returns
    -------
    numpy.ndarray
        ``(candidates, 1 + draws, clips)`` log scores: first of the clips as they are, then with bumps, the
        same for every candidate. NaN where an ID has no clip in the other folds.
    """
    scores = np.full((len(candidates), 1 + draws, len(clips.ids)), np.nan)
    deviation_db = clips.level_deviation_db()
    scored = clips.scored()
    for k in range(int(clips.fold.max()) + 1):
        rows = np.flatnonzero((clips.fold == k) & scored)
        models = _models(clips, candidates, clips.fold != k)
        clean, ids = clips.table.take(rows), clips.ids[rows]
        for draw in range(1 + draws):
            table = clean
            if draw:
                rng = np.random.default_rng([seed, k, draw])
                level_db, log_deviation = add_bumps(rng, len(rows), deviation_db=deviation_db)
                table = clean.shifted(level_db=level_db, log_deviation=log_deviation)
            for c, (candidate, model) in enumerate(zip(candidates, models, strict=True)):
                scores[c, draw, rows] = model.log_scores_to(
                    table.features(candidate.feature_set), ids, num_threads=clips.num_threads
                )
    return scores


def _models(clips: NormalClips, candidates: Sequence[Settings], rows: np.ndarray) -> list[LikelihoodRatio]:
    moments: dict[str, Moments] = {}
    models = []
    for c in candidates:
        if c.feature_set not in moments:
            moments[c.feature_set] = clips.moments(rows, feature_set=c.feature_set)
        models.append(
            moments[c.feature_set].model(own_covariance=c.own_covariance, ridge=c.ridge, tau=clips.tau)
        )
    return models


def choose(
    clips: NormalClips, pools: IdPools, *, default: Choice, margin: float, draws: int, seed: int
) -> Choice:
    """Choose covariance, ridge and feature sets by the criterion (docs/spectral.md).

    First covariance and ridge by set M alone: the covariance with the best AUC, then the smallest ridge
    within 0.002 of it. Then set L joins M, A and P if the AUC of the summed standardised scores rises. Each of the
    three stays what it is in `default` unless the gain over it exceeds `margin` standard errors of the draws.
    """
    kinds = (False, True) if clips.own_ids else (False,)
    ridges = sorted({*_RIDGES, default.ridge})
    candidates = [
        Settings("M", own_covariance, ridge) for own_covariance, ridge in itertools.product(kinds, ridges)
    ]
    scores = out_of_fold(clips, candidates, draws=draws, seed=seed)
    tried = [_Candidate(c, s, _criterion(s, pools), pools) for c, s in zip(candidates, scores, strict=True)]
    criteria = {_name(c.settings): c.criterion for c in tried}
    best = [max((c for c in tried if c.settings.own_covariance is kind), key=_by_criterion) for kind in kinds]
    usual = best[-1] if default.own_covariance else best[0]
    leading = max(best, key=_by_criterion)
    own_covariance = (leading if leading.beats(usual, margin) else usual).settings.own_covariance
    of_kind = {c.settings.ridge: c for c in tried if c.settings.own_covariance is own_covariance}
    enough = max(c.criterion for c in of_kind.values()) - _RIDGE_TOLERANCE
    smallest = next(c for _, c in sorted(of_kind.items()) if c.criterion >= enough)
    usual = of_kind[default.ridge]
    ridge = (smallest if smallest.beats(usual, margin) else usual).settings.ridge

    sets = (*BASE_SETS, _OPTIONAL_SET)
    settings = [Settings(s, own_covariance, ridge) for s in sets]
    scores = out_of_fold(clips, settings, draws=draws, seed=seed)
    standardised = np.stack([_standardise(s, pools, clips.ids) for s in scores])
    sums = [standardised[:-1].sum(axis=0), standardised.sum(axis=0)]
    without, joined = (_Candidate(settings[-1], s, _criterion(s, pools), pools) for s in sums)
    criteria |= {"+".join(BASE_SETS): without.criterion, "+".join(sets): joined.criterion}
    if default.feature_sets == sets:
        used = BASE_SETS if without.beats(joined, margin) else sets
    else:
        used = sets if joined.beats(without, margin) else BASE_SETS
    return Choice(own_covariance, ridge, used, criteria)


@dataclasses.dataclass(frozen=True, slots=True)
class _Candidate:
    """Settings, and how well they see the bumps."""

    settings: Settings
    scores: np.ndarray
    """``(1 + draws, clips)``: of the clips as they are, then with bumps."""
    criterion: float
    pools: IdPools

    def beats(self, other: _Candidate, margin: float) -> bool:
        """Say whether the gain over another exceeds `margin` standard errors of the draws, which both have seen."""
        gain = self.criterion - other.criterion
        if gain <= 0 or not margin:
            return gain > 0
        gains = [
            _criterion(self.scores[[0, draw]], self.pools) - _criterion(other.scores[[0, draw]], self.pools)
            for draw in range(1, len(self.scores))
        ]
        return len(gains) > 1 and gain > margin * float(np.std(gains, ddof=1)) / math.sqrt(len(gains))


def _by_criterion(candidate: _Candidate) -> float:
    return candidate.criterion


def _name(candidate: Settings) -> str:
    return f"{candidate.feature_set} {'own' if candidate.own_covariance else 'shared'} {candidate.ridge:g}"


def _standardise(scores: np.ndarray, pools: IdPools, ids: np.ndarray) -> np.ndarray:
    mean, deviation = pools.mean_and_deviation(scores[0])
    standardised: np.ndarray = (scores - mean[ids]) / deviation[ids]
    return standardised


def _criterion(scores: np.ndarray, pools: IdPools) -> float:
    """Return the AUC of clips with bumps, ``scores[1:]``, against the same without: mean over pools."""
    return float(np.mean([_auc(scores[0, rows], scores[1:, rows].ravel()) for rows in pools.distinct]))


def _auc(normals: np.ndarray, bumped: np.ndarray) -> float:
    return auc(np.repeat([0, 1], [len(normals), len(bumped)]), np.concatenate([normals, bumped]))
