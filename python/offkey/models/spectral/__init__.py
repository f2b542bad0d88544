"""Recipe `spectral`: a closed-form likelihood ratio on clip statistics, fitted in seconds without torch."""

from __future__ import annotations

from typing import Annotated, Literal, Self

import msgspec

from offkey.datasets.statistics_plan import StatisticsPlan
from offkey.models.base import register
from offkey.recipe import Features, NonNegative, Positive, PositiveFloat, Section

__all__ = ["Spectral"]


class Spectral(Section, frozen=True):
    """The closed-form likelihood ratio on clip statistics."""

    tau: PositiveFloat = 0.01
    """Variance of an anomalous shift, in units of the mean eigenvalue of the covariance."""
    folds: Annotated[int, msgspec.Meta(ge=2)] = 5
    check: bool = True
    """Whether the label-free check chooses covariance, ridge and feature sets."""
    check_draws: Positive = 12
    check_margin: NonNegative = 2.0
    """By how many standard errors of its draws the check's gain must exceed 0, for it to leave the three below."""
    own_covariance: bool = False
    """Own covariance for each ID (True) or one shared by all; what the check starts from, as the next two."""
    ridge: Annotated[float, msgspec.Meta(ge=1e-6, le=1)] = 1e-3
    use_level_deviation: bool = False
    """Whether the feature set L (mean, lstd, ldstd) joins the other sets."""
    fine_resolution: Literal[1, 2, 4] = 2
    """The mean levels are those of a spectrogram of so many times the features' `n_mels` and `n_fft`; 1: of theirs."""
    fine_hop_length: Positive | None = None
    """Hop of that spectrogram in samples; None: that of the features. Twice that costs a third less time."""
    rhythm: bool = True
    """Whether the feature set T, the rhythm, joins the others: it counts by how much rhythm the normal clips have."""

    @classmethod
    def first_edition(cls) -> Self:
        """Return the settings of earlier versions: no finer spectrogram, no rhythm, a check without a margin."""
        return cls(fine_resolution=1, rhythm=False, check_margin=0.0)

    def statistics_plan(self, features: Features) -> StatisticsPlan:
        """Return what is measured of clips beside the statistics of their log-Mels."""
        hop_length = self.fine_hop_length or features.hop_length
        fine = msgspec.structs.replace(
            features,
            n_mels=self.fine_resolution * features.n_mels,
            n_fft=self.fine_resolution * features.n_fft,
            hop_length=hop_length,
        )
        # With fewer than one frame a second there is no rhythm to hear.
        rhythm = self.rhythm and features.sample_rate >= features.hop_length
        return StatisticsPlan(fine=fine if self.fine_resolution > 1 else None, rhythm=rhythm)


register(
    "spectral",
    section=Spectral,
    score_names=("a_spectral",),
    inputs="statistics",
    model="offkey.models.spectral.model:SpectralModel",
    statistics=Spectral.statistics_plan,
)
