"""What a model of normal sound hands over so that its scores can be standardised, combined and decided on."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal, Protocol, Self

import numpy as np

from offkey._util.named_arrays import prefixed
from offkey.errors import ArrayError

__all__ = ["Calibrated", "Calibration", "PseudoAnomalies"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Raw scores of normal training clips, each against its own ID and, where the model can say, against all."""

    kind: Literal["out_of_fold", "held_out", "training"]
    """Whether the model that scored a clip had seen it: only `training` means yes."""
    indices: np.ndarray
    """Which training clips these are, ``(n,)`` int64 positions in the training table."""
    machine_ids: tuple[str, ...]
    """The clips' own IDs, ``n`` of them."""
    scores: dict[str, np.ndarray]
    """For each score name ``(n,)`` float64: of each clip against its own ID."""
    against_all: dict[str, np.ndarray] | None = None
    """For each score name ``(n, ids)`` float64: of the same clips against every ID that the model knows, sorted. The
    column of a clip's own ID has its `scores`. None where the model cannot say."""

    def __post_init__(self) -> None:
        n = len(self.machine_ids)
        if self.indices.shape != (n,) or self.indices.dtype.kind != "i" or len(np.unique(self.indices)) != n:
            raise ArrayError(
                f"indices: {self.indices.dtype} of shape {self.indices.shape}; expected {n} integers, one for "
                "each machine ID, each once"
            )
        _check_scores(self.scores, n)
        if self.against_all is not None:
            self._check_against_all(self.against_all)

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return arrays for safetensors and plain data for JSON: all that `from_state` needs."""
        arrays = {"indices": self.indices} | prefixed("scores", self.scores)
        arrays |= prefixed("against_all", self.against_all or {})
        return arrays, {
            "kind": self.kind,
            "machine_ids": list(self.machine_ids),
            "scores": list(self.scores),
            "against_all": self.against_all is not None,
        }

    @classmethod
    def from_state(cls, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any]) -> Self:
        """Restore what `state` gave.

        Raises
        ------
        ArrayError, KeyError
            If arrays are missing or do not fit each other.
        """
        names = [str(name) for name in metadata["scores"]]
        against_all = None
        if metadata["against_all"]:
            against_all = {name: arrays[f"against_all.{name}"] for name in names}
        return cls(
            kind=metadata["kind"],
            indices=arrays["indices"],
            machine_ids=tuple(map(str, metadata["machine_ids"])),
            scores={name: arrays[f"scores.{name}"] for name in names},
            against_all=against_all,
        )

    def _check_against_all(self, against_all: dict[str, np.ndarray]) -> None:
        n, present = len(self.machine_ids), sorted(set(self.machine_ids))
        if set(against_all) != set(self.scores):
            raise ArrayError(
                f"against_all: scores {', '.join(against_all) or 'none'}; expected {', '.join(self.scores)}"
            )
        for name, values in against_all.items():
            shape, dtype = values.shape, values.dtype
            fits = values.ndim == 2 and shape[0] == n and shape[1] >= len(present)
            if not fits or dtype != np.float64 or not np.isfinite(values).all():
                raise ArrayError(
                    f"against_all, {name}: {dtype} of shape {shape}; expected ({n}, IDs) finite float64, at least "
                    f"{len(present)} IDs"
                )
            if shape[1] == len(present):  # otherwise the class cannot know which column is whose
                own = values[np.arange(n), np.searchsorted(present, self.machine_ids)]
                if not np.array_equal(own, self.scores[name]):
                    raise ArrayError(
                        f"against_all, {name}: a clip's score against its own ID is not the one in scores; expected a "
                        "column for each ID, sorted"
                    )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PseudoAnomalies:
    """Raw scores of clips that cannot be of the ID that they are scored against: other IDs, other types."""

    machine_ids: tuple[str, ...]
    """The ID that each clip was scored against, ``m`` of them."""
    scores: dict[str, np.ndarray]
    """For each score name ``(m,)`` float64."""
    kinds: tuple[str, ...] | None = None
    """What each clip is, such as ``other IDs`` or ``other types``: `select` weighs the kinds alike, whatever their
    numbers. None: all are of one."""

    def __post_init__(self) -> None:
        _check_scores(self.scores, len(self.machine_ids))
        if self.kinds is not None and len(self.kinds) != len(self.machine_ids):
            raise ArrayError(f"kinds: {len(self.kinds)}; expected {len(self.machine_ids)}, one for each ID")


def _check_scores(scores: dict[str, np.ndarray], n: int) -> None:
    for name, values in scores.items():
        if values.shape != (n,) or values.dtype.kind != "f" or not np.isfinite(values).all():
            raise ArrayError(
                f"{name}: {values.dtype} of shape {values.shape}; expected ({n},) finite floats, one for each ID"
            )


class Calibrated(Protocol):
    """The part of a fitted model that scoring needs."""

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
    def weight(self) -> float:
        """What each of its scores counts beside other models' where the recipe weighs them; above 0."""

    @property
    def pseudo_anomalies(self) -> PseudoAnomalies | None:
        """Scores for `select`, or None where the model has none to offer."""
