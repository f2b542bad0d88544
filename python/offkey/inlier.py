"""What a detector asks of a model of normal sound, be it closed-form or a network.

A model scores every clip against every machine ID that it knows. The detector then standardises each column
for its ID, takes the clip's own column, or for an unknown ID the one with the smallest combined score.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Literal, Protocol, Self

import numpy as np

from offkey.errors import ArrayError
from offkey.recipe import Recipe

__all__ = ["Calibration", "InlierModel", "PseudoAnomalies"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Raw scores of normal training clips, each against its own ID."""

    kind: Literal["out_of_fold", "held_out", "training"]
    """Whether the model that scored a clip had seen it: only `training` means yes."""
    indices: np.ndarray
    """Which training clips these are, ``(n,)`` int64 positions in the training table."""
    machine_ids: tuple[str, ...]
    """The clips' own IDs, ``n`` of them."""
    scores: dict[str, np.ndarray]
    """For each score name ``(n,)`` float64."""

    def __post_init__(self) -> None:
        n = len(self.machine_ids)
        if self.indices.shape != (n,) or self.indices.dtype.kind != "i" or len(np.unique(self.indices)) != n:
            raise ArrayError(
                f"indices: {self.indices.dtype} of shape {self.indices.shape}; expected {n} integers, one for "
                "each machine ID, each once"
            )
        _check_scores(self.scores, n)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PseudoAnomalies:
    """Raw scores of clips that cannot be of the ID that they are scored against: other IDs, other types."""

    machine_ids: tuple[str, ...]
    """The ID that each clip was scored against, ``m`` of them."""
    scores: dict[str, np.ndarray]
    """For each score name ``(m,)`` float64."""

    def __post_init__(self) -> None:
        _check_scores(self.scores, len(self.machine_ids))


def _check_scores(scores: dict[str, np.ndarray], n: int) -> None:
    for name, values in scores.items():
        if values.shape != (n,) or values.dtype.kind != "f" or not np.isfinite(values).all():
            raise ArrayError(
                f"{name}: {values.dtype} of shape {values.shape}; expected ({n},) finite floats, one for each ID"
            )


class InlierModel(Protocol):
    """A fitted model of normal sound."""

    @property
    def score_names(self) -> tuple[str, ...]:
        """The raw scores that this model gives; fewer than its recipe names where a task had no data."""

    @property
    def machine_ids(self) -> tuple[str, ...]:
        """The known IDs, sorted: the columns of every score matrix."""

    @property
    def standardise_on(self) -> Calibration:
        """The scores whose mean and deviation standardise each ID."""

    @property
    def held_out(self) -> Calibration:
        """The scores that thresholds and `select` are taken from; of kind `training` only as a last resort."""

    @property
    def pseudo_anomalies(self) -> PseudoAnomalies | None:
        """Scores for `select`, or None where the model has none to offer."""

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
