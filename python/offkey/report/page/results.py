"""What a report is of: scores, evaluations and benchmarks, from files and from memory."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from offkey._util import parquet
from offkey._util.json_text import from_json
from offkey.archive.part_file import KEY
from offkey.benchmark.tables import Benchmark
from offkey.errors import DatasetError, ParameterError
from offkey.evaluation.result import Evaluation
from offkey.scores import ScoreTable

__all__ = ["Origin", "Result", "Results", "read_results"]

Result: TypeAlias = "str | os.PathLike[str] | ScoreTable | Evaluation | Benchmark"

_LONGEST_FACT = 300  # letters
_RESULTS = "results.json"
"""Of a benchmark's folder."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a result comes from, and what its file says of how it was made."""

    name: str
    content: str
    facts: Mapping[str, str]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """What was read."""

    scores: ScoreTable | None
    """The rows of all tables; None where there is none."""
    evaluations: tuple[tuple[str, Evaluation], ...]
    """Each with its name."""
    benchmarks: tuple[tuple[str, Benchmark], ...]
    origins: tuple[Origin, ...]

    @property
    def false_alarm_rate(self) -> float | None:
        """Which rate of false alarms the scores were asked for, where all files say the same one."""
        rates = {origin.facts.get("false_alarm_rate") for origin in self.origins}
        with contextlib.suppress(ValueError, TypeError):
            rate = float(rates.pop()) if len(rates) == 1 else None  # type: ignore[arg-type]
            return rate if rate is not None and 0 < rate < 1 else None
        return None


def read_results(results: Result | Iterable[Result]) -> Results:
    """Read results by what they are.

    Parameters
    ----------
    results
        One or several: files of scores, folders of Parquet files, JSON files of `offkey evaluate`, folders of `offkey
        bench` or the `results.json` in them; or what Python's functions return.

    Raises
    ------
    FileNotFoundError, ParameterError, DatasetError, MissingExtraError
        As `ScoreTable.read`; also if there is no result, or two tables have scores of one recording.
    """
    every = (
        [results]
        if isinstance(results, str | os.PathLike | ScoreTable | Evaluation | Benchmark)
        else [*results]
    )
    if not every:
        raise ParameterError("results: none; expected files of scores, evaluations or benchmarks")
    tables: list[tuple[str, ScoreTable]] = []
    evaluations: list[tuple[str, Evaluation]] = []
    benchmarks: list[tuple[str, Benchmark]] = []
    origins = []
    for result in every:
        name, content, facts = _read(result)
        match content:
            case ScoreTable():
                tables.append((name, content))
                said = f"{len(content):,} rows of scores"
            case Evaluation():
                evaluations.append((name, content))
                said = f"an evaluation by the rules of {content.protocol.name}"
            case _:
                benchmarks.append((name, content))
                said = f"a benchmark, {content.suite}: {len(content.records)} of {content.runs} runs"
        origins.append(Origin(name=name, content=said, facts=facts))
    return Results(
        scores=_joined(tables),
        evaluations=tuple(evaluations),
        benchmarks=tuple(benchmarks),
        origins=tuple(origins),
    )


def _read(result: Result) -> tuple[str, ScoreTable | Evaluation | Benchmark, Mapping[str, str]]:
    """Return a result's name, content, and what its file says about it."""
    if not isinstance(result, str | os.PathLike):
        return f"{type(result).__name__} in memory", result, {}
    path = Path(result)
    if path.is_dir() and (path / _RESULTS).is_file():
        path = path / _RESULTS
    if path.suffix.lower() == ".json" and path.is_file():
        figures = _figures(path)
        if figures is not None:
            return str(path), figures, {}
    return str(path), ScoreTable.read(path), _facts(path)


def _figures(path: Path) -> Evaluation | Benchmark | None:
    """Return the evaluation or benchmark that a JSON file holds; None of another one."""
    text = path.read_bytes()
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return None  # said when it is read as scores
    if not isinstance(content, dict):
        return None
    kind: type[Any]
    if {"protocol", "ids"} <= content.keys():
        kind, what = Evaluation, "an evaluation"
    elif {"suite", "records"} <= content.keys():
        kind, what = Benchmark, "a benchmark"
    else:
        return None
    try:
        figures: Evaluation | Benchmark = from_json(text, kind)
    except msgspec.DecodeError as error:
        raise DatasetError(f"{path}: not {what} as offkey writes it: {error}") from None
    return figures


def _facts(path: Path) -> Mapping[str, str]:
    """Return what Parquet files say of how they were made; those of a folder are of one run."""
    files = sorted(path.glob("*.parquet"))[:1] if path.is_dir() else [path]
    if not files or files[0].suffix.lower() != ".parquet":
        return {}
    about = parquet.metadata(files[0]).get(KEY)
    run = about.get("run") if isinstance(about, dict) else None
    if not isinstance(run, dict):
        return {}
    options = run.get("options")
    facts = {name: value for name, value in run.items() if name != "options"}
    facts |= options if isinstance(options, dict) else {}
    return {str(name)[:_LONGEST_FACT]: _fact(value) for name, value in facts.items() if value is not None}


def _fact(value: Any) -> str:
    return (value if isinstance(value, str) else json.dumps(value))[:_LONGEST_FACT]


def _joined(tables: list[tuple[str, ScoreTable]]) -> ScoreTable | None:
    if len(tables) < 2:
        return tables[0][1] if tables else None
    seen: dict[object, str] = {}
    for name, table in tables:
        for path in set(table.cells("path")):
            if seen.setdefault(path, name) != name:
                raise DatasetError(
                    f"{path}: has scores in {seen[path]} and in {name}; expected each recording in one of them: write "
                    "a report of each"
                )
    return ScoreTable.from_rows([row for _, table in tables for row in table.rows()])
