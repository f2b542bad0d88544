"""What a detector asks of a model of normal sound, be it closed-form or a network.

A model scores every clip against every machine ID that it knows. The detector then standardises each column
for its ID, takes the clip's own column, or for an unknown ID the one with the smallest combined score.
"""

from __future__ import annotations

from typing import Any, Protocol, Self

import numpy as np

from offkey.recipe import Recipe
from offkey.scoring.calibration import Calibrated

__all__ = ["InlierModel"]


class InlierModel(Calibrated, Protocol):
    """A fitted model of normal sound."""

    @property
    def parameters(self) -> int:
        """How many numbers the fit has set, those for calibration aside."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know of the fit: tasks left out, bins dropped, what a check chose."""

    def scores(self, inputs: Any) -> dict[str, np.ndarray]:
        """For each score name the ``(clips, ids)`` float64 raw scores; higher = more anomalous."""

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Arrays for safetensors and plain data for JSON: all that `from_state` needs."""

    @classmethod
    def from_state(cls, recipe: Recipe, arrays: dict[str, np.ndarray], metadata: dict[str, Any]) -> Self:
        """Rebuild a model that gives the same scores."""
