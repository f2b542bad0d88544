"""From raw scores to decisions: Gaussians, standardisation, combinations, thresholds. numpy alone."""

from __future__ import annotations

from offkey.scoring import combine, gaussian, standardize, threshold

__all__ = ["combine", "gaussian", "standardize", "threshold"]
