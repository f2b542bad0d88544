"""The inlier model in closed form: likelihood ratios on clip statistics, numpy and the kernels only."""

from offkey.models.spectral.model import SpectralModel

__all__ = ["SpectralModel"]
