"""Recipe `spectral`: a closed-form likelihood ratio on clip statistics, fitted in seconds without torch."""

from __future__ import annotations

from typing import Annotated, Literal, Self, TypeAlias

import msgspec

from offkey.datasets.statistics_plan import StatisticsPlan
from offkey.models.base import register
from offkey.recipe import Features, NonNegative, Positive, PositiveFloat, Section

__all__ = ["MOST_SPECTRA", "Spectral", "Spectrum"]

MOST_SPECTRA = 4
Factor: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=64)]


class Spectrum(Section, frozen=True):
    """A finer spectrogram of the features' kind, whose mean levels are a feature set of their own."""

    n_fft: Literal[1, 2, 4, 8, 16] = 1
    """In multiples of the features' `n_fft`."""
    hop_length: Factor = 1
    """In multiples of the features' `hop_length`."""
    n_mels: Factor = 1
    """In multiples of the features' `n_mels`."""
    weight: PositiveFloat = 1.0
    """What its z counts in the sum; that of A and of P counts 1."""

    def of(self, features: Features) -> Features:
        """Return the log-Mel that it is beside that of `features`."""
        return msgspec.structs.replace(
            features,
            n_fft=self.n_fft * features.n_fft,
            win_length=features.win_length and self.n_fft * features.win_length,
            hop_length=self.hop_length * features.hop_length,
            n_mels=self.n_mels * features.n_mels,
        )


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
    spectra: Annotated[tuple[Spectrum, ...], msgspec.Meta(max_length=MOST_SPECTRA)] = (
        Spectrum(n_fft=4, hop_length=2, n_mels=2, weight=2.0),
    )
    """The finer spectrograms whose mean levels take the place of those of the features; none: the features' own."""
    rhythm: bool = True
    """Whether the feature set T, the rhythm, joins the others: it counts by how much rhythm the normal clips have."""

    @classmethod
    def first_edition(cls) -> Self:
        """Return the settings of earlier versions: no finer spectrograms, no rhythm, a check without a margin."""
        return cls(spectra=(), rhythm=False, check_margin=0.0)

    def statistics_plan(self, features: Features) -> StatisticsPlan:
        """Return what is measured of clips beside the statistics of their log-Mels."""
        # With fewer than one frame a second there is no rhythm to hear.
        rhythm = self.rhythm and features.sample_rate >= features.hop_length
        return StatisticsPlan(fine=tuple(spectrum.of(features) for spectrum in self.spectra), rhythm=rhythm)


register(
    "spectral",
    section=Spectral,
    score_names=("a_spectral",),
    inputs="statistics",
    model="offkey.models.spectral.model:SpectralModel",
    statistics=Spectral.statistics_plan,
)
