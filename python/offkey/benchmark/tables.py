"""Tables 1 to 3 of the paper with measured rows, and tables of our own: pAUC, every machine ID, what it took."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np

from offkey._util.csv_text import to_csv
from offkey._util.files import write_text
from offkey._util.json_text import to_json
from offkey._util.text_table import text_table
from offkey._util.words import shortlist
from offkey.benchmark.figures import ANOMALY_SCORE, ORACLE, Figure
from offkey.benchmark.published import DEVELOPMENT, EVALUATION, MACHINES, MIMII, SNRS_DB, PublishedRow
from offkey.benchmark.runs import Record, Setting

__all__ = ["DEVELOPMENT_IDS", "EVALUATION_IDS", "Benchmark", "Table", "all_tables"]

DEVELOPMENT_IDS = {"ToyCar": ("01", "02", "03", "04"), "ToyConveyor": ("01", "02", "03")}
EVALUATION_IDS = {"ToyCar": ("05", "06", "07"), "ToyConveyor": ("04", "05", "06")}
"""The IDs of DCASE 2020's two parts where they are not `_DEVELOPMENT` and `_EVALUATION`."""
_DEVELOPMENT, _EVALUATION = ("00", "02", "04", "06"), ("01", "03", "05")

Metric = Literal["auc", "pauc"]
Counts = Callable[[Setting, str], bool]
"""Whether a machine ID of a setting counts in a table."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Cells under a title, with notes below."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()

    def to_text(self) -> str:
        """Return aligned columns."""
        rows = [tuple(cell or "-" for cell in row) for row in self.rows]
        notes = "".join(f"{note}\n" for note in self.notes)
        return f"{self.title}\n\n{text_table([self.header], rows)}" + (f"\n{notes}" if notes else "")

    def to_markdown(self) -> str:
        """Return a Markdown table."""
        lines = [self.header, ("---", *["---:"] * (len(self.header) - 1)), *self.rows]
        body = "\n".join(
            "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines
        )
        notes = "".join(f"- {note}\n" for note in self.notes)
        return f"## {self.title}\n\n{body}\n" + (f"\n{notes}" if notes else "")


def all_tables(
    suite: Literal["mimii", "dcase2020"], records: Sequence[Record], *, notes: Sequence[str]
) -> list[Table]:
    """Return every table of a suite; `notes` stand below the first."""
    main_tables = _mimii(records) if suite == "mimii" else _dcase2020(records)
    tables = [*main_tables, _each_id(records), _cost(records)]
    return [dataclasses.replace(tables[0], notes=(*tables[0].notes, *notes)), *tables[1:]]


def _mimii(records: Sequence[Record]) -> list[Table]:
    header = [f"{name} {db:g} dB" for name in MACHINES for db in SNRS_DB]
    header += [f"mean {db:g} dB" for db in SNRS_DB] + ["mean"]
    groups = [[Setting(name, db)] for name in MACHINES for db in SNRS_DB]
    groups += [[Setting(name, db) for name in MACHINES] for db in SNRS_DB]
    groups += [[Setting(name, db) for name in MACHINES for db in SNRS_DB]]
    title = "of each machine type of MIMII"
    return [
        _table(f"Table 1: AUC (%) {title}", header, groups, records, "auc", published=MIMII),
        _table(f"pAUC (%) {title}", header, groups, records, "pauc"),
    ]


def _dcase2020(records: Sequence[Record]) -> list[Table]:
    machines = [*MACHINES, *sorted({r.setting.machine for r in records} - set(MACHINES))]
    header = [*machines, "mean"]
    groups = [[Setting(name)] for name in machines] + [[Setting(name) for name in MACHINES]]
    tables = []
    for number, part, ids, usual, published in (
        (2, "development", DEVELOPMENT_IDS, _DEVELOPMENT, DEVELOPMENT),
        (3, "evaluation", EVALUATION_IDS, _EVALUATION, EVALUATION),
    ):

        def counts(
            setting: Setting,
            machine_id: str,
            ids: Mapping[str, tuple[str, ...]] = ids,
            usual: tuple[str, ...] = usual,
        ) -> bool:
            return machine_id in ids.get(setting.machine, usual)

        title = f"of the DCASE 2020 {part} data"
        toys = ("",) * (len(machines) - len(MACHINES))
        tables += [
            _table(
                f"Table {number}: AUC (%) {title}",
                header,
                groups,
                records,
                "auc",
                counts=counts,
                published=published,
                toys=toys,
                parameters=number == 3,
            ),
            _table(f"pAUC (%) {title}", header, groups, records, "pauc", counts=counts),
        ]
    return tables


def _table(
    title: str,
    columns: Sequence[str],
    groups: Sequence[Sequence[Setting]],
    records: Sequence[Record],
    metric: Metric,
    *,
    counts: Counts = lambda _setting, _machine_id: True,
    published: Sequence[PublishedRow] = (),
    toys: Sequence[str] = (),
    parameters: bool = False,
) -> Table:
    """Return a row for each published system, and for each recipe and score; a column for each group.

    The rows of a recipe follow that of the system that it makes anew, or stand below all systems.
    """
    recipes = list(dict.fromkeys(record.recipe for record in records))
    measured: dict[str, list[tuple[str, ...]]] = {}
    for recipe in recipes:
        repeats = [record for record in records if record.recipe == recipe]
        for score in _scores(repeats):
            cells = [_cell(repeats, score, group, metric, counts) for group in groups]
            if any(cells):
                row = (_label(recipe, score, repeats), *cells, *[_parameters(repeats)] * parameters)
                measured.setdefault(recipe, []).append(row)
    rows = []
    for system in published:
        cells = system.cells
        cells[len(MACHINES) : len(MACHINES)] = toys
        rows.append((system.system, *cells, *[system.complexity] * parameters))
        rows += measured.pop(system.recipe, [])
    rows += [row for of_recipe in measured.values() for row in of_recipe]
    header = ("", *columns, *["parameters"] * parameters)
    return Table(title=title, header=header, rows=tuple(rows), notes=_table_notes(records, metric))


def _table_notes(records: Sequence[Record], metric: Metric) -> tuple[str, ...]:
    seeds = sorted({record.seed for record in records})
    over = f"mean ± standard deviation over {len(seeds)} seeds" if len(seeds) > 1 else "one seed"
    notes = [
        f"offkey's rows: arithmetic mean over machine IDs, then types, {over}; "
        "a mean is given where all of its parts are there"
    ]
    notes += [f"recipe {change}" for change in dict.fromkeys(c for r in records for c in r.changes)]
    if metric == "auc" and any(ORACLE in record.figures for record in records):
        notes.append(
            "oracle: the combination that the test labels rank best by, chosen anew for each type; no result, but "
            "what the paper's own choice may have been"
        )
    return tuple(notes)


def _scores(records: Sequence[Record]) -> list[str]:
    names = list(dict.fromkeys(name for record in records for name in record.figures))
    if ANOMALY_SCORE in names and len(names) == 2:
        return [ANOMALY_SCORE]  # a recipe with a single score: the two are one
    return names


def _label(recipe: str, score: str, records: Sequence[Record]) -> str:
    if score == ANOMALY_SCORE:
        choices = {record.combined for record in records}
        what = "+".join(next(iter(choices))) if len(choices) == 1 else "chosen by normals"
        return f"offkey {recipe}: anomaly_score ({what})"
    return f"offkey {recipe}: {score}"


def _cell(
    records: Sequence[Record], score: str, group: Sequence[Setting], metric: Metric, counts: Counts
) -> str:
    """Return the mean over a group's settings, and over seeds; nothing where a setting is missing."""
    seeds = sorted({record.seed for record in records})
    values = []
    for seed in seeds:
        of_seed = {record.setting: record for record in records if record.seed == seed}
        parts = [
            _mean([f for f in of_seed[s].figures.get(score, ()) if counts(s, f.machine_id)], metric)
            for s in group
            if s in of_seed
        ]
        if len(parts) == len(group) and all(part is not None for part in parts):
            values.append(float(np.mean([part for part in parts if part is not None])))
    return _shown(values)


def _mean(figures: Sequence[Figure], metric: Metric) -> float | None:
    return float(np.mean([getattr(figure, metric) for figure in figures])) if figures else None


def _shown(values: Sequence[float]) -> str:
    if not values:
        return ""
    mean = f"{100 * np.mean(values):.2f}"
    return f"{mean} ± {100 * np.std(values, ddof=1):.2f}" if len(values) > 1 else mean


def _parameters(records: Sequence[Record]) -> str:
    counts = sorted({record.parameters for record in records})
    return f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"


def _each_id(records: Sequence[Record]) -> Table:
    """Return a row for each machine ID: AUC and pAUC of each recipe's anomaly score and raw scores."""
    columns = [
        (recipe, score)
        for recipe in dict.fromkeys(record.recipe for record in records)
        for score in _scores([record for record in records if record.recipe == recipe])
        if "+" not in score and score != ORACLE
    ]
    cells_of: dict[tuple[Setting, str], dict[tuple[str, str], list[Figure]]] = {}
    for record in records:
        for score, figures in record.figures.items():
            for figure in figures:
                cells = cells_of.setdefault((record.setting, figure.machine_id), {})
                cells.setdefault((record.recipe, score), []).append(figure)
    rows = []
    for (setting, machine_id), cells in cells_of.items():
        first = next(iter(cells.values()))[0]
        row = [f"{setting}, ID {machine_id}", str(first.normals), str(first.anomalies)]
        for column in columns:
            figures_of_seeds = cells.get(column, [])
            auc, pauc = _shown([f.auc for f in figures_of_seeds]), _shown([f.pauc for f in figures_of_seeds])
            row.append(f"{auc}, {pauc}" if auc else "")
        rows.append(tuple(row))
    header = ("", "normals", "anomalies", *(f"{recipe}: {score}" for recipe, score in columns))
    return Table(title="Each machine ID: AUC, pAUC (%)", header=header, rows=tuple(rows))


def _cost(records: Sequence[Record]) -> Table:
    """Return a row for each recipe and setting: clips, seconds, memory."""
    rows = []
    for key in dict.fromkeys((record.recipe, record.setting) for record in records):
        repeats = [record for record in records if (record.recipe, record.setting) == key]
        peaks = [record.peak_memory_bytes for record in repeats if record.peak_memory_bytes is not None]
        rows.append(
            (
                f"{key[0]}, {key[1]}",
                str(repeats[0].train_clips),
                str(repeats[0].other_clips),
                str(repeats[0].test_clips),
                f"{np.median([record.fit_s for record in repeats]):.1f}",
                f"{np.median([record.score_s for record in repeats]):.1f}",
                f"{1e3 * np.median([record.score_s / record.test_clips for record in repeats]):.2f}",
                f"{max(peaks) / 1e6:.0f}" if peaks else "",
                _parameters(repeats),
                _computed(repeats),
            )
        )
    header = (
        "",
        "training clips",
        "of other types",
        "test clips",
        "fit s",
        "score s",
        "ms a clip",
        "peak memory MB",
        "parameters",
        "trained on",
    )
    return Table(title="What it took: medians over seeds, the largest peak", header=header, rows=tuple(rows))


def _computed(records: Sequence[Record]) -> str:
    """Return on what the networks were trained, and with which numbers."""
    ways = dict.fromkeys(f"{r.device}, {r.precision}" if r.precision else r.device for r in records)
    return " and ".join(ways)


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

    @property
    def unread(self) -> tuple[str, ...]:
        """Machine types of which training recordings, or what may be some, could not be read or are broken."""
        by_setting = {record.setting: record.unread for record in self.records if record.unread}
        return tuple(
            f"{setting}: not learned from: {shortlist(texts, most=3)}"
            for setting, texts in by_setting.items()
        )

    def tables(self) -> list[Table]:
        """Return the paper's tables with the figures found beside the published ones, then details of our own."""
        notes = (*self._unfinished(), *self.missing, *self.failures, *self.unread)
        return all_tables(self.suite, self.records, notes=notes)

    def to_text(self) -> str:
        """Return the tables for a terminal."""
        return "\n\n".join(table.to_text() for table in self.tables())

    def to_markdown(self) -> str:
        """Return the tables as Markdown."""
        return "\n\n".join(table.to_markdown() for table in self.tables())

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data, as `to_json` writes it."""
        return dict(json.loads(self.to_json()))

    def to_json(self) -> str:
        """Return everything as JSON text."""
        return to_json(self, indent=1) + "\n"

    def to_csv(self) -> str:
        """Return a line for each score on each machine ID: mean and deviation over seeds, with a header."""
        names = ("machine", "snr_db", "machine_id", "recipe", "score", "seeds", "normals", "anomalies")
        lines: list[list[str | int]] = [[*names, "auc_mean", "auc_deviation", "pauc_mean", "pauc_deviation"]]
        for setting, recipe, score, figures in _by_id(self.records):
            snr = "" if setting.snr_db is None else f"{setting.snr_db:g}"
            first = figures[0]
            row: list[str | int] = [setting.machine, snr, first.machine_id, recipe, score, len(figures)]
            row += [first.normals, first.anomalies]
            for values in ([f.auc for f in figures], [f.pauc for f in figures]):
                deviation = f"{np.std(values, ddof=1):.6f}" if len(values) > 1 else ""
                row += [f"{np.mean(values):.6f}", deviation]
            lines.append(row)
        return to_csv(lines)

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
        remaining = self.runs - len(self.records) - len(self.failures)
        return (
            (f"{remaining} of {self.runs} runs are not done yet; rerun the same command to continue",)
            if remaining
            else ()
        )


def _by_id(records: Sequence[Record]) -> Iterator[tuple[Setting, str, str, list[Figure]]]:
    """Yield the figures of all seeds for each setting, recipe, score and machine ID."""
    groups: dict[tuple[Setting, str, str, str], list[Figure]] = {}
    for record in records:
        for score, figures in record.figures.items():
            for figure in figures:
                key = (record.setting, record.recipe, score, figure.machine_id)
                groups.setdefault(key, []).append(figure)
    for (setting, recipe, score, _), figures_of_id in groups.items():
        yield setting, recipe, score, figures_of_id
