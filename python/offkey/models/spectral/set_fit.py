"""One feature set of a model: its moments, its ratio, and what its clips score without their recording."""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np

from offkey.models.spectral.check import NormalClips
from offkey.models.spectral.leave_one_out import (
    FEWEST_FOR_UPDATES,
    log_scores_left_out,
    log_scores_refitted,
)
from offkey.models.spectral.likelihood_ratio import LikelihoodRatio

__all__ = ["SetFit"]


class SetFit(NamedTuple):
    """A feature set, fitted to normal clips."""

    ratio: LikelihoodRatio
    log_scores: np.ndarray
    """``(clips, ids)``: of each clip by the model without its recording; NaN where there is none."""
    covariances: np.ndarray
    """What `Moments.packed` gives."""

    @classmethod
    def of(
        cls,
        clips: NormalClips,
        feature_set: str,
        *,
        own_covariance: bool,
        ridge: float,
        units: np.ndarray,
    ) -> Self:
        """Fit a set; clips with the same of `units`, ``(clips,)`` integers, are left out together."""
        moments = clips.moments(np.ones(len(clips.ids), dtype=bool), feature_set=feature_set)
        whitenings = moments.whitenings(own_covariance=own_covariance, ridge=ridge, tau=clips.tau)
        if len(clips.ids) < FEWEST_FOR_UPDATES:
            log_scores = log_scores_refitted(
                clips, feature_set=feature_set, own_covariance=own_covariance, ridge=ridge, units=units
            )
        else:
            log_scores = log_scores_left_out(
                moments,
                whitenings,
                features=clips.table.features(feature_set),
                ids=clips.ids,
                weights=clips.weights,
                units=units,
            )
        return cls(moments.ratio(whitenings), log_scores, moments.packed(own=own_covariance))
