"""What each statistic of one clip adds to its likelihood ratios, and where in the clip that comes from.

The ratio of a feature set is a quadratic form of the clip's deviation d, ``d' Q d``. Half its gradient times the
deviation, ``d_k (Q d)_k``, is what feature k adds; these sum to the ratio exactly. A set raises the score by its
weighted z. Where that is above 0 it is shared out as the ratio is, over bins, and over frames as `frames` has it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np

from offkey.models.attribution import Attribution, ExplainedClip, Part
from offkey.models.spectral import frames
from offkey.models.spectral.feature_sets import FEATURE_SETS, FINE_SETS, statistic_of
from offkey.models.spectral.likelihood_ratio import LikelihoodRatio, log_ratio

__all__ = ["SetContributions", "attribution", "kind_of", "of_statistic"]

_KINDS = {
    "mean": "level",
    "fine_mean": "level",
    "ldstd": "fluctuation",
    "lstd": "spread",
    "p5": "floor",
    "rhythm": "rhythm",
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SetContributions:
    """What one feature set says of a clip against one machine ID."""

    feature_set: str
    raised: float
    """Its weighted z: what it adds to the raw score."""
    slopes: Mapping[str, np.ndarray]
    """Statistic -> ``(bins,)`` half the ratio's gradient; 0 where the statistic is flat."""
    deviations: Mapping[str, np.ndarray]
    """Statistic -> ``(bins,)`` the clip's value less the ID's mean."""

    @classmethod
    def of(
        cls,
        ratio: LikelihoodRatio,
        features: np.ndarray,
        column: int,
        weight: float,
        mean: float,
        deviation: float,
    ) -> Self:
        """Take apart the ratio of ``(blocks * bins,)`` features.

        Parameters
        ----------
        ratio
            Of the feature set.
        features
            Of the clip.
        column
            The position of the machine ID.
        weight, mean, deviation
            What the set counts, and by what its log ratio is standardised.
        """
        scale = ratio.scale
        apart = scale.apply(features[None])[0] - ratio.means[column]
        factor = ratio.factors[ratio.which[column]]
        half_gradient = factor @ (factor.T @ apart)
        log_score = float(log_ratio(apart @ half_gradient))
        blocks = len(FEATURE_SETS[scale.feature_set])
        full = np.zeros((2, len(scale.varying)))
        full[:, scale.varying] = half_gradient / scale.unit, apart * scale.unit
        slopes, deviations = full.reshape(2, blocks, -1)
        names = FEATURE_SETS[scale.feature_set]
        return cls(
            feature_set=scale.feature_set,
            raised=float(weight * (log_score - mean) / deviation),
            slopes=dict(zip(names, slopes, strict=True)),
            deviations=dict(zip(names, deviations, strict=True)),
        )

    def part(self) -> Part:
        """Return what each statistic and bin adds to the ratio."""
        amounts = {name: slope * self.deviations[name] for name, slope in self.slopes.items()}
        ratio = math.fsum(float(values.sum()) for values in amounts.values())
        return Part(name=self.feature_set, raised=self.raised, ratio=ratio, amounts=amounts)


def attribution(sets: Sequence[SetContributions], clip: ExplainedClip) -> Attribution:
    """Return where in a clip its score comes from.

    Parameters
    ----------
    sets
        Those of the model.
    clip
        The clip, whose statistics they were made of.
    """
    total = np.zeros(clip.picture.cells.shape)
    spoken: dict[str, np.ndarray] = {}
    parts = tuple(of_set.part() for of_set in sets)
    for of_set, part in zip(sets, parts, strict=True):
        if part.raised <= 0 or part.ratio <= 0:
            continue
        factor = part.raised / part.ratio
        for name, slopes in of_set.slopes.items():
            added = of_statistic(name, factor * slopes, of_set.deviations[name], clip)
            total += added
            spoken[kind_of(name)] = spoken.get(kind_of(name), 0.0) + added.sum(axis=1)
    return Attribution(map=total, raised=float(total.sum()), spoken=spoken, parts=parts)


def kind_of(name: str) -> str:
    """Return what kind of statistic a block of a feature set is."""
    return _KINDS[statistic_of(name)]


def of_statistic(name: str, slopes: np.ndarray, deviations: np.ndarray, clip: ExplainedClip) -> np.ndarray:
    """Return what each cell of the clip's log-Mel adds through one statistic."""
    logmel, cells, amounts = clip.picture.logmel, clip.picture.cells, slopes * deviations
    match statistic_of(name):
        case "mean":
            return frames.of_level(logmel, slopes, deviations, _usual_spread(clip))
        case "fine_mean":
            fine = clip.fine[FINE_SETS.index(f"F{name.rpartition('_')[2]}")]
            usual = np.interp(fine.cells.centres_hz, cells.centres_hz, _usual_spread(clip))
            return fine.cells.spread(frames.of_level(fine.logmel, slopes, deviations, usual), cells)
        case "ldstd":
            return frames.of_differences(amounts, deviations, logmel)
        case "lstd":
            return frames.of_spread(amounts, deviations, logmel)
        case "p5":
            return frames.of_floor(amounts, deviations, logmel)
    rate_hz = clip.features.sample_rate / clip.features.hop_length
    return frames.of_rhythm(amounts, deviations, logmel, frame_rate_hz=rate_hz)


def _usual_spread(clip: ExplainedClip) -> np.ndarray:
    """Return the usual deviation over frames of each bin, in parts of this clip's; 1 where it is not known."""
    if clip.healthy is None:
        return np.ones(clip.picture.cells.shape[0])
    usual: np.ndarray = np.exp(clip.healthy.lstd.mean(axis=0) - clip.statistics.lstd[0]).astype(np.float64)
    return usual
