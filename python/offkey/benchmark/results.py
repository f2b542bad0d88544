"""All that a benchmark has found, and its files."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np

from offkey.benchmark.figures import Figure
from offkey.benchmark.runs import Record, Setting
from offkey.benchmark.tables import Table, all_tables
from offkey.files import write_text

__all__ = ["Benchmark"]


class Benchmark(msgspec.Struct, frozen=True, kw_only=True):
    """The records of finished runs, and what is missing."""

    suite: Literal["mimii", "dcase2020"]
    records: tuple[Record, ...]
    missing: tuple[str, ...]
    """What the paper has and the data has not."""
    failures: tuple[str, ...]
    """Runs that ended with an error, and which."""
    runs: int
    """How many there are to be; fewer records say that the benchmark goes on, or that runs have failed."""

    def tables(self) -> list[Table]:
        """Return the paper's tables with the figures found beside the published ones, then details of our own."""
        return all_tables(
            self.suite, self.records, notes=(*self._unfinished(), *self.missing, *self.failures)
        )

    def to_text(self) -> str:
        """Return the tables for a terminal."""
        return "\n\n".join(table.to_text() for table in self.tables())

    def to_markdown(self) -> str:
        """Return the tables as Markdown."""
        return "\n\n".join(table.to_markdown() for table in self.tables())

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data, as `to_json` writes it."""
        return dict(msgspec.json.decode(msgspec.json.encode(self)))

    def to_json(self) -> str:
        """Return everything as JSON text."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False) + "\n"

    def to_csv(self) -> str:
        """Return a line for each score on each machine ID: mean and deviation over seeds, with a header."""
        text = io.StringIO()
        names = ("machine", "snr_db", "machine_id", "recipe", "score", "seeds", "normals", "anomalies")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([*names, "auc_mean", "auc_deviation", "pauc_mean", "pauc_deviation"])
        for setting, recipe, score, found in _by_id(self.records):
            snr = "" if setting.snr_db is None else f"{setting.snr_db:g}"
            first = found[0]
            row = [setting.machine, snr, first.machine_id, recipe, score, len(found)]
            row += [first.normals, first.anomalies]
            for values in ([f.auc for f in found], [f.pauc for f in found]):
                deviation = f"{np.std(values, ddof=1):.6f}" if len(values) > 1 else ""
                row += [f"{np.mean(values):.6f}", deviation]
            writer.writerow(row)
        return text.getvalue()

    def write(self, folder: Path) -> None:
        """Write `tables.md`, `figures.csv` and `results.json`, each whole or not at all.

        Raises
        ------
        OSError
            If a file cannot be written.
        """
        write_text(folder / "tables.md", self.to_markdown() + "\n")
        write_text(folder / "figures.csv", self.to_csv())
        write_text(folder / "results.json", self.to_json())

    def _unfinished(self) -> tuple[str, ...]:
        left = self.runs - len(self.records) - len(self.failures)
        return (f"{left} of {self.runs} runs are not done yet; the same command goes on",) if left else ()


def _by_id(records: Sequence[Record]) -> Iterator[tuple[Setting, str, str, list[Figure]]]:
    """Yield the figures of all seeds for each setting, recipe, score and machine ID."""
    found: dict[tuple[Setting, str, str, str], list[Figure]] = {}
    for record in records:
        for score, figures in record.figures.items():
            for figure in figures:
                key = (record.setting, record.recipe, score, figure.machine_id)
                found.setdefault(key, []).append(figure)
    for (setting, recipe, score, _), figures_of_id in found.items():
        yield setting, recipe, score, figures_of_id
