"""From raw scores to decisions: Gaussians, standardisation, combinations, null distributions, drift. numpy alone."""

from __future__ import annotations

from offkey.scoring import combine, drift, false_discovery, gaussian, null, standardize

__all__ = ["combine", "drift", "false_discovery", "gaussian", "null", "standardize"]
