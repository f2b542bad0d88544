"""From raw scores to decisions: Gaussians, standardisation, combinations, null distributions. numpy alone."""

from __future__ import annotations

from offkey.scoring import combine, gaussian, null, standardize

__all__ = ["combine", "gaussian", "null", "standardize"]
