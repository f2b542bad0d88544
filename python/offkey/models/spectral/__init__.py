"""Recipe `spectral`: a closed-form likelihood ratio on clip statistics, fitted in seconds without torch."""

from __future__ import annotations

from typing import Annotated

import msgspec

from offkey.models.base import register
from offkey.recipe import Positive, PositiveFloat, Section

__all__ = ["Spectral"]


class Spectral(Section, frozen=True):
    """The closed-form likelihood ratio on clip statistics."""

    tau: PositiveFloat = 0.01
    """Variance of an anomalous shift, in units of the mean eigenvalue of the covariance."""
    folds: Annotated[int, msgspec.Meta(ge=2)] = 5
    check: bool = True
    """Whether the label-free check chooses covariance, ridge and feature sets."""
    check_draws: Positive = 12
    own_covariance: bool = False
    """Own covariance for each ID (True) or one shared by all; what the check starts from."""
    ridge: Annotated[float, msgspec.Meta(ge=1e-6, le=1)] = 1e-3
    use_level_deviation: bool = False
    """Whether the feature set L (mean, lstd, ldstd) joins the sets M, A and P."""


register(
    "spectral",
    section=Spectral,
    score_names=("a_spectral",),
    inputs="statistics",
    model="offkey.models.spectral.model:SpectralModel",
)
