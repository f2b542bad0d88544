"""Figures and facts as tables of text."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from offkey.benchmark.tables import Benchmark
from offkey.evaluation.result import Evaluation, IdResult, MeanResult
from offkey.report.page.words import figure, shortened
from offkey.score_file import ANOMALY_SCORE

__all__ = ["Grid", "benchmark_grids", "described", "evaluation_grid"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A table of text: its first column names the rows."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()
    anchors: Sequence[str] = ()
    """Where on the page there is more of each row, as far as there is; empty: of none."""


_MOST_ROWS = 500
_HEADER = ("machine", "score", "normal", "anomalous", "AUC", "pAUC", "false alarms", "found")


def evaluation_grid(evaluation: Evaluation, name: str) -> Grid:
    """Return the figures of each machine ID, each type and overall, with their intervals."""
    rows = [_of_id(row) for row in sorted(evaluation.ids, key=_is_part)]
    rows += [
        _of_mean(row, f"{row.machine_type or '?'}, mean") for row in sorted(evaluation.types, key=_is_part)
    ]
    if len(evaluation.types) > len(evaluation.overall):
        rows += [_of_mean(row, "overall") for row in sorted(evaluation.overall, key=_is_part)]
    left_out = (f"{len(rows) - _MOST_ROWS:,} more rows are not shown",) if len(rows) > _MOST_ROWS else ()
    meaning = (
        f"pAUC to a false positive rate of {evaluation.max_fpr:g}; in brackets {evaluation.confidence:.0%} intervals "
        f"of {evaluation.resamples:,} bootstrap samples (seed {evaluation.seed})",
    )
    return Grid(
        title=f"{evaluation.protocol.description} ({shortened(name, end=True)})",
        header=_HEADER,
        rows=rows[:_MOST_ROWS],
        notes=(*meaning, *left_out, *map(shortened, evaluation.notes)),
    )


def _is_part(row: IdResult | MeanResult) -> bool:
    """Whether figures are of a part of the anomaly score: they stand below those of the whole."""
    return row.score != ANOMALY_SCORE


def _of_id(row: IdResult) -> tuple[str, ...]:
    rates = (None if rate is None else f"{rate:.1%}" for rate in (row.false_alarm_rate, row.detection_rate))
    return (
        f"{row.machine_type or '?'} {row.machine_id or '?'}",
        row.score,
        f"{row.normals:,}",
        f"{row.anomalies:,}",
        figure(row.auc, row.auc_interval),
        figure(row.pauc, row.pauc_interval),
        *(rate or "" for rate in rates),
    )


def _of_mean(row: MeanResult, name: str) -> tuple[str, ...]:
    return (
        name,
        row.score,
        "",
        "",
        figure(row.auc, row.auc_interval),
        figure(row.pauc, row.pauc_interval),
        "",
        "",
    )


def benchmark_grids(benchmark: Benchmark, name: str) -> Iterator[Grid]:
    """Yield the tables of a benchmark."""
    for table in benchmark.tables():
        yield Grid(
            title=f"{table.title} ({shortened(name, end=True)})",
            header=table.header,
            rows=table.rows[:_MOST_ROWS],
            notes=table.notes,
        )


def described(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return plain data as pairs of a name and text; what says nothing is left out."""
    pairs = ((str(name).replace("_", " "), _plain(value)) for name, value in facts.items())
    return [(name, shortened(text)) for name, text in pairs if text]


def _plain(value: Any) -> str:
    match value:
        case None:
            return ""
        case Mapping():
            texts = ((str(name).replace("_", " "), _plain(item)) for name, item in value.items())
            return "; ".join(f"{name}: {text}" for name, text in texts if text)
        case list() | tuple():
            return ", ".join(filter(None, map(_plain, value)))
        case float():
            return f"{value:.6g}"
    return str(value)
