"""What is said of one recording: a map of its score, bands and stretches, what spoke, what it resembles, sentences."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from offkey._util import json_text
from offkey._util.text_table import printable
from offkey.models.attribution import Attribution, Picture

__all__ = ["Band", "Explanation", "Nearest", "Stretch"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A time in which the score comes about."""

    start_s: float
    """In the recording, as `end_s`."""
    end_s: float
    share: float
    """Of what its band adds, from 0 to 1."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A band of frequency that raises the score."""

    low_hz: float
    high_hz: float
    share: float
    """Of all that raises the score, from 0 to 1."""
    stretches: tuple[Stretch, ...]
    """When it does, in the order of time; one over the whole clip where it is throughout."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Nearest:
    """A healthy training recording that resembles the recording most."""

    path: str
    """Below the folder that all training recordings have in common."""
    distance: float
    """Root mean square over all statistics of what lies between them, in deviations of healthy clips."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Where in a recording its anomaly score comes from, and how it differs from healthy ones."""

    path: str
    """The recording's name; of samples what `offkey.Detector.score` calls them."""
    scored_as: str
    """The machine ID that it was compared with."""
    anomaly_score: float
    threshold: float
    p_value: float
    odd: bool
    """Whether its score lies above the threshold. Otherwise nothing stands out, and there are no bands."""
    warning: str | None
    """How the recording is unlike the training ones, as `offkey.Detector.score` has it."""
    start_s: float | None
    """Where in the recording the clip begins that is explained: the worst window of a long one; None: it is whole."""
    samples: np.ndarray
    """``(samples,)`` float32 of the clip that is explained."""
    sample_rate: int
    """In Hz."""
    channel: int | Literal["mean"]
    """Of the recording, that was scored."""
    picture: Picture
    """The clip's log-Mel, and where its cells lie in Hz and in seconds of the clip."""
    attributions: Mapping[str, Attribution]
    """Model -> where its score comes from, in units of the anomaly score, cell by cell."""
    map: np.ndarray
    """What each cell of the log-Mel adds to the score, ``(n_mels, frames)``; negative where it lowers it: the sum
    of what the models say, as finely as they can tell places apart (`offkey.explain.resolution.resolved`)."""
    bands: tuple[Band, ...]
    """The strongest first."""
    nearest: tuple[Nearest, ...]
    """The most similar first; none where the detector keeps no statistics of training recordings."""
    healthy_db: np.ndarray | None
    """``(2, n_mels)``: the lowest and the highest mean level of each Mel bin among healthy clips of the ID; None where
    none are kept."""
    compared: int
    """With how many healthy clips of the ID the sentences compare it."""
    sentences: tuple[str, ...]
    """What is to be said of it, in plain English."""

    @property
    def end_s(self) -> float:
        """Where the clip ends in its recording."""
        return (self.start_s or 0.0) + float(self.picture.cells.edges_s[-1])

    @property
    def spoken(self) -> dict[str, float]:
        """Kind of statistic -> its share of what raised the score, the largest first; all of them sum to 1."""
        return self.spoken_in(0, self.picture.cells.shape[0] - 1)

    def spoken_in(self, first: int, last: int) -> dict[str, float]:
        """Return the same for the Mel bins from the first to the last one."""
        amounts: dict[str, float] = {}
        for part in self.attributions.values():
            for kind, added in part.spoken.items():
                amounts[kind] = amounts.get(kind, 0.0) + float(added[first : last + 1].sum())
        ranked = sorted(amounts.items(), key=lambda pair: -pair[1])
        total = sum(max(amount, 0.0) for amount in amounts.values())
        return {kind: amount / total for kind, amount in ranked if amount > 0}

    def to_text(self) -> str:
        """Return the sentences below the recording's name, a line for each."""
        lines = [self.path, *(f"  {sentence}" for sentence in self.sentences)]
        return "\n".join(map(printable, lines))

    def state(self) -> dict[str, Any]:
        """Return what is said as plain data, without the arrays."""
        return {
            "path": self.path,
            "scored_as": self.scored_as,
            "anomaly_score": self.anomaly_score,
            "threshold": self.threshold,
            "p_value": self.p_value,
            "odd": self.odd,
            "warning": self.warning,
            "start_s": self.start_s,
            "spoken": self.spoken,
            "bands": [dataclasses.asdict(band) for band in self.bands],
            "nearest": [dataclasses.asdict(recording) for recording in self.nearest],
            "compared": self.compared,
            "sentences": list(self.sentences),
        }

    def to_json(self) -> str:
        """Return `state` as JSON."""
        return json_text.to_json(self.state())
