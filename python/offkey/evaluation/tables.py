"""Evaluations as text, Markdown and CSV."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from offkey.evaluation.result import Evaluation, IdResult, MeanResult

__all__ = ["plain", "to_csv", "to_markdown", "to_text"]

Row = list[str]


def plain(header: Sequence[Sequence[str]], rows: Sequence[Sequence[str]]) -> str:
    """Return rows of cells as aligned columns: the first one to the left, columns of numbers to the right.

    `header` may have several lines.
    """
    lines = [*header, *rows]
    widths = [max(len(line[at]) for line in lines) for at in range(len(lines[0]))]
    numeric = [all(_is_number(row[at]) for row in rows) for at in range(len(widths))]

    def aligned(line: Sequence[str]) -> str:
        cells = zip(line, widths, numeric, strict=True)
        return "  ".join(c.rjust(w) if right else c.ljust(w) for c, w, right in cells).rstrip()

    return "\n".join([*map(aligned, header), "  ".join("-" * w for w in widths), *map(aligned, rows)]) + "\n"


def to_text(evaluation: Evaluation) -> str:
    """Return a plain table for a terminal, with its notes."""
    metrics = list(_metrics(evaluation).values())
    names, header = ["", "", ""], ["", "normal", "anomalous"]
    for score in evaluation.score_names:
        names += [score, *[""] * (len(metrics) - 1)]
        # Wide enough for the score's name, which stands above all its columns; a figure takes 6 and 2 between.
        header += [metrics[0].rjust(len(score) - 8 * (len(metrics) - 1)), *metrics[1:]]
    body = plain([header], _rows(evaluation))
    return f"{_title(evaluation)}\n\n{_above(names, body.splitlines()[1])}\n{body}" + _footer(evaluation, "")


def to_markdown(evaluation: Evaluation) -> str:
    """Return a Markdown table, with its notes."""
    metrics = _metrics(evaluation)
    header = ["", "normal", "anomalous"]
    header += [f"{score} {metrics[name]}" for score in evaluation.score_names for name in metrics]
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *_rows(evaluation)]
    body = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
    return f"{_title(evaluation)}\n\n{body}\n" + _footer(evaluation, "- ")


def to_csv(evaluation: Evaluation) -> str:
    """Return a line for each score of each ID, each type, and overall."""
    levels = [("id", evaluation.ids), ("type", evaluation.types), ("overall", evaluation.overall)]
    records = [
        {"level": level} | _flat(dataclasses.asdict(row))  # type: ignore[call-overload]
        for level, rows in levels
        for row in rows
    ]
    names = list(dict.fromkeys(name for record in records for name in record))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue()


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


def _decisions(evaluation: Evaluation) -> list[str]:
    rows = [
        row for row in evaluation.ids if row.false_alarm_rate is not None or row.detection_rate is not None
    ]
    normals = sum(row.normals for row in rows)
    anomalies = sum(row.anomalies for row in rows)
    alarms = sum(round((row.false_alarm_rate or 0.0) * row.normals) for row in rows)
    found = sum(round((row.detection_rate or 0.0) * row.anomalies) for row in rows)
    if not rows:
        return []
    return [
        f"decisions: {found} of {anomalies} anomalies found, {alarms} of {normals} normal clips called anomalous"
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


def _is_number(cell: str) -> bool:
    """Whether a cell holds a number, one with its deviation, several, or none."""
    return not cell.strip("0123456789.,+-e ±")
