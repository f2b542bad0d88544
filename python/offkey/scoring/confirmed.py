"""Thresholds below confirmed anomalies: what a user has found to be faulty shall be called so the next time."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from offkey.errors import DetectorFileError
from offkey.scoring.null import Judged, NullDistribution, NullDistributions

__all__ = ["Confirmed", "decided"]


@dataclasses.dataclass(frozen=True, slots=True)
class Confirmed:
    """The threshold of an ID that lies below its confirmed anomalies, and what it costs; made by `below`."""

    threshold: float
    """For a recording of one clip."""
    false_alarm_rate: float
    """The share of healthy recordings that exceeds it, above 0 and below 1."""

    @classmethod
    def below(
        cls,
        null: NullDistribution,
        scores: np.ndarray,
        p_values: np.ndarray,
        whole: np.ndarray,
        *,
        max_rate: float,
    ) -> Self:
        """Return the highest threshold that all confirmed anomalies exceed, or the lowest that `max_rate` allows.

        Parameters
        ----------
        null
            What the ID is judged by.
        scores, p_values
            ``(n,)`` of the confirmed anomalies, n at least 1.
        whole
            ``(n,)`` bool: False for the worst of several windows. It is called where the false-alarm rate is at least
            its p-value, whatever its score.
        max_rate
            The largest share of healthy recordings that may exceed the threshold.
        """
        enough = [
            float(np.nextafter(score, -np.inf)) if alone else null.threshold(min(p_value, max_rate))
            for score, p_value, alone in zip(scores.tolist(), p_values.tolist(), whole.tolist(), strict=True)
        ]
        threshold = max(min(enough), null.threshold(max_rate))
        return cls(threshold, float(null.p_values([np.nextafter(threshold, np.inf)])[0]))

    def among(self, null: NullDistribution) -> Self:
        """Return the threshold of the same false-alarm rate among other scores."""
        return type(self)(null.threshold(self.false_alarm_rate), self.false_alarm_rate)

    def threshold_of(self, null: NullDistribution, windows: int) -> float:
        """Return the threshold for the worst of some windows: that of the rate divided by their number."""
        return max(self.threshold, null.threshold(self.false_alarm_rate / windows))

    def state(self) -> dict[str, float]:
        """Return plain data for JSON: all that `from_state` needs."""
        return {"threshold": self.threshold, "false_alarm_rate": self.false_alarm_rate}

    @classmethod
    def from_state(cls, state: Any) -> Self:
        """Restore what `state` gave.

        Raises
        ------
        DetectorFileError
            If it is something else.
        """
        try:
            threshold, rate = float(state["threshold"]), float(state["false_alarm_rate"])
        except (KeyError, TypeError, ValueError) as error:
            raise DetectorFileError(f"confirmed: {error!r}") from None
        if not math.isfinite(threshold) or not 0 < rate < 1:
            raise DetectorFileError(
                f"confirmed: threshold {threshold}, false-alarm rate {rate}; expected a number, and one between 0 and 1"
            )
        return cls(threshold, rate)


def decided(
    judged: Judged,
    scores: np.ndarray,
    ids: Sequence[str | None],
    windows: np.ndarray,
    *,
    confirmed: Mapping[str, Confirmed],
    null: NullDistributions,
    rate: float,
) -> Judged:
    """Return judged recordings with the thresholds and decisions of their IDs' confirmed anomalies.

    P-values and what they come from stay, as do recordings of IDs without confirmed anomalies.

    Parameters
    ----------
    judged
        What `NullDistributions.judge` gave for the same scores, IDs, windows and rate.
    """
    rows = [row for row, name in enumerate(ids) if name in confirmed]
    if not rows:
        return judged
    threshold = judged.threshold.copy()
    thresholds: dict[tuple[str, int], float] = {}
    for row in rows:
        key = name, count = str(ids[row]), int(windows[row])
        if key not in thresholds:
            thresholds[key] = confirmed[name].threshold_of(null.of(name, rate=rate / count), count)
        threshold[row] = thresholds[key]
    decision = (scores > threshold).astype(np.int8)
    return dataclasses.replace(judged, threshold=threshold, decision=decision)
