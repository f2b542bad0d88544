"""What an evaluation found."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

from offkey.errors import ParameterError
from offkey.files import check_writable, write_text

__all__ = ["Evaluation", "IdResult", "MeanResult", "Protocol", "check_target"]

_ENDINGS = (".md", ".csv", ".json", ".txt")

Interval = tuple[float, float]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """The rules of a public task."""

    name: str
    description: str
    shows_pauc: bool
    """Whether the partial AUC is one of its official figures; it is computed in any case."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class IdResult:
    """How well one score tells the anomalies of one machine ID."""

    machine_type: str | None
    machine_id: str | None
    score: str
    normals: int
    """Normal test clips that have this score."""
    anomalies: int
    """Anomalous test clips that have this score."""
    missing: int
    """Labelled test clips that have no such score; they are left out."""
    auc: float | None
    """In [0, 1]; None where one class has no clip."""
    pauc: float | None
    auc_interval: Interval | None
    pauc_interval: Interval | None
    false_alarm_rate: float | None
    """Part of the normal clips that were called anomalous; None without decisions, or for other scores."""
    detection_rate: float | None
    """Part of the anomalies that were called anomalous."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MeanResult:
    """How well one score tells the anomalies of a machine type, or of all."""

    machine_type: str | None
    score: str
    machine_ids: int
    """How many IDs count: those with both normal and anomalous clips."""
    auc: float
    """A type's is the arithmetic mean over its IDs, the overall one the arithmetic mean over types."""
    pauc: float
    auc_interval: Interval | None
    pauc_interval: Interval | None
    harmonic_auc: float
    """Harmonic mean over the IDs; overall over the IDs of all types, as in DCASE 2021 and later."""
    harmonic_pauc: float
    worst_id: str
    """``type/ID`` of the ID with the smallest AUC."""
    worst_auc: float
    pooled_auc: float | None
    """AUC over the clips of all IDs of a type at once. Not the official figure, and not comparable with it."""
    pooled_pauc: float | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """AUC and partial AUC of every score: for each machine ID, for each type, overall."""

    protocol: Protocol
    max_fpr: float
    """The partial AUC goes up to this false positive rate."""
    confidence: float
    """Of the intervals, which are bootstrap percentiles."""
    resamples: int
    seed: int
    ids: tuple[IdResult, ...]
    types: tuple[MeanResult, ...]
    overall: tuple[MeanResult, ...]
    notes: tuple[str, ...]
    """What a user should know: IDs and clips that were left out."""

    @property
    def score_names(self) -> tuple[str, ...]:
        """The scores that were evaluated."""
        return tuple(dict.fromkeys(row.score for row in self.ids))

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return dataclasses.asdict(self)

    def to_json(self) -> str:
        """Return everything as JSON text, null for what there is not."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False) + "\n"

    def to_csv(self) -> str:
        """Return a line for each score of each ID, type, and overall, with a header."""
        from offkey.evaluation import tables

        return tables.to_csv(self)

    def to_text(self) -> str:
        """Return a plain table for a terminal."""
        from offkey.evaluation import tables

        return tables.to_text(self)

    def to_markdown(self) -> str:
        """Return a Markdown table."""
        from offkey.evaluation import tables

        return tables.to_markdown(self)

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write Markdown, CSV, JSON or plain text by the file's ending, whole or not at all.

        Raises
        ------
        ParameterError
            If the ending is none of ``.md``, ``.csv``, ``.json``, ``.txt``.
        OSError
            If the file cannot be written.
        """
        forms = {".md": self.to_markdown, ".csv": self.to_csv, ".json": self.to_json, ".txt": self.to_text}
        write_text(Path(path), forms[_kind(Path(path))]())


def check_target(path: Path) -> None:
    """Find out whether an evaluation could be written to `path`.

    Raises
    ------
    ParameterError, OSError
        As `Evaluation.write`.
    """
    _kind(path)
    check_writable(path)


def _kind(path: Path) -> str:
    kind = path.suffix.lower()
    if kind not in _ENDINGS:
        raise ParameterError(f"{path}: ending {path.suffix!r}; expected one of {', '.join(_ENDINGS)}")
    return kind
