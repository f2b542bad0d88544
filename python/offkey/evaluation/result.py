"""What an evaluation found."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from offkey._util.csv_text import to_csv
from offkey._util.files import check_writable, ending_of, write_text
from offkey._util.text_table import text_table

__all__ = [
    "Evaluation",
    "IdResult",
    "MeanResult",
    "Protocol",
    "check_target",
    "decision_counts",
]

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
        return _to_csv(self)

    def to_text(self) -> str:
        """Return a plain table for a terminal."""
        return _to_text(self)

    def to_markdown(self) -> str:
        """Return a Markdown table."""
        return _to_markdown(self)

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
        write_text(Path(path), forms[ending_of(Path(path), _ENDINGS)]())


def check_target(path: Path) -> None:
    """Find out whether an evaluation could be written to `path`.

    Raises
    ------
    ParameterError, OSError
        As `Evaluation.write`.
    """
    ending_of(path, _ENDINGS)
    check_writable(path)


Row = list[str]


def _to_text(evaluation: Evaluation) -> str:
    """Return a plain table for a terminal, with its notes."""
    metrics = list(_metrics(evaluation).values())
    names, header = ["", "", ""], ["", "normal", "anomalous"]
    for score in evaluation.score_names:
        names += [score, *[""] * (len(metrics) - 1)]
        # Wide enough for the score's name, which stands above all its columns; a figure takes 6 and 2 between.
        header += [metrics[0].rjust(len(score) - 8 * (len(metrics) - 1)), *metrics[1:]]
    body = text_table([header], _rows(evaluation))
    return f"{_title(evaluation)}\n\n{_above(names, body.splitlines()[1])}\n{body}" + _footer(evaluation, "")


def _to_markdown(evaluation: Evaluation) -> str:
    """Return a Markdown table, with its notes."""
    metrics = _metrics(evaluation)
    header = ["", "normal", "anomalous"]
    header += [f"{score} {metrics[name]}" for score in evaluation.score_names for name in metrics]
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *_rows(evaluation)]
    body = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
    return f"{_title(evaluation)}\n\n{body}\n" + _footer(evaluation, "- ")


def _to_csv(evaluation: Evaluation) -> str:
    """Return a line for each score of each ID, each type, and overall."""
    levels = [("id", evaluation.ids), ("type", evaluation.types), ("overall", evaluation.overall)]
    records = [
        {"level": level} | _flat(dataclasses.asdict(row))  # type: ignore[call-overload]
        for level, rows in levels
        for row in rows
    ]
    names = list(dict.fromkeys(name for record in records for name in record))
    lines: list[list[Any]] = [[record.get(name) for name in names] for record in records]
    return to_csv([names, *lines])


def _flat(record: dict[str, object]) -> dict[str, object]:
    """Replace each interval by two columns."""
    flat: dict[str, object] = {}
    for name, value in record.items():
        if name.endswith("_interval"):
            low, high = value if isinstance(value, tuple) else (None, None)
            kind = name.removesuffix("_interval")
            flat |= {f"{kind}_low": low, f"{kind}_high": high}
        elif name.startswith("pooled_"):
            flat[f"{name}_not_official"] = value
        else:
            flat[name] = value
    return flat


def _metrics(evaluation: Evaluation) -> dict[str, str]:
    return {"auc": "AUC", "pauc": "pAUC"} if evaluation.protocol.shows_pauc else {"auc": "AUC"}


def _title(evaluation: Evaluation) -> str:
    limit = f"; pAUC up to a false positive rate of {evaluation.max_fpr:g}"
    return f"{evaluation.protocol.description}{limit * evaluation.protocol.shows_pauc}"


def _footer(evaluation: Evaluation, bullet: str) -> str:
    lines = [
        f"{bullet}{note}" for note in (*_intervals(evaluation), *_decisions(evaluation), *evaluation.notes)
    ]
    return "\n" + "\n".join(lines) + "\n" if lines else ""


def _intervals(evaluation: Evaluation) -> list[str]:
    part = f"{evaluation.confidence * 100:g}%"
    return [
        f"{row.score}: overall AUC {row.auc:.4f}, {part} interval "
        f"{row.auc_interval[0]:.4f} to {row.auc_interval[1]:.4f} ({evaluation.resamples} bootstrap samples)"
        for row in evaluation.overall
        if row.auc_interval is not None
    ]


def decision_counts(evaluation: Evaluation) -> tuple[int, int, int, int] | None:
    """Return anomalies found and in all, normal clips called anomalous and in all; None without decisions."""
    rows = [
        row for row in evaluation.ids if row.false_alarm_rate is not None or row.detection_rate is not None
    ]
    normals = sum(row.normals for row in rows)
    anomalies = sum(row.anomalies for row in rows)
    alarms = sum(round((row.false_alarm_rate or 0.0) * row.normals) for row in rows)
    detections = sum(round((row.detection_rate or 0.0) * row.anomalies) for row in rows)
    return (detections, anomalies, alarms, normals) if rows else None


def _decisions(evaluation: Evaluation) -> list[str]:
    counts = decision_counts(evaluation)
    if counts is None:
        return []
    detections, anomalies, alarms, normals = counts
    return [
        f"decisions: {detections} of {anomalies} anomalies found, {alarms} of {normals} normal clips called anomalous"
    ]


def _rows(evaluation: Evaluation) -> list[Row]:
    names = evaluation.score_names
    cells: dict[tuple[str | None, str | None], dict[str, IdResult]] = {}
    for row in evaluation.ids:
        cells.setdefault((row.machine_type, row.machine_id), {})[row.score] = row
    means = {(row.machine_type, row.score): row for row in evaluation.types}
    metrics, lines = list(_metrics(evaluation)), []
    for kind in dict.fromkeys(kind for kind, _ in cells):
        for (machine_type, machine_id), by_score in cells.items():
            if machine_type == kind:
                counts = max(by_score.values(), key=lambda row: row.normals + row.anomalies)
                line = [f"{kind or '?'} {machine_id or '?'}", str(counts.normals), str(counts.anomalies)]
                lines.append(line + [_number(by_score[n], metric) for n in names for metric in metrics])
        if any(machine_type == kind for machine_type, _ in means):
            lines += _summary(f"{kind or '?'}", [means.get((kind, n)) for n in names], metrics)
    if len(evaluation.types) > len(evaluation.overall):
        lines += _summary("overall", list(evaluation.overall), metrics)
    return lines


def _summary(name: str, rows: Sequence[MeanResult | None], metrics: Sequence[str]) -> list[Row]:
    """Return the lines below the IDs of a type; what has no figure at all is left out."""
    kinds = {
        "mean": metrics,
        "harmonic mean": [f"harmonic_{metric}" for metric in metrics],
        "worst ID": ["worst_auc", *[""] * (len(metrics) - 1)],
        "pooled (not official)": [f"pooled_{metric}" for metric in metrics],
    }
    lines = []
    for kind, fields in kinds.items():
        cells = [_number(row, field) for row in rows for field in fields]
        if any(cells):
            lines.append([f"{name} {kind}", "", "", *cells])
    return lines


def _number(row: IdResult | MeanResult | None, field: str) -> str:
    value = getattr(row, field, None) if row is not None and field else None
    return "" if value is None else f"{value:.4f}"


def _above(names: Sequence[str], rule: str) -> str:
    """Return a line with each name where its column begins; `rule` has a run of dashes for each column."""
    line, start = "", 0
    for name, dashes in zip(names, rule.split("  "), strict=True):
        line = line.ljust(start) + name if name else line
        start += len(dashes) + 2
    return line
