"""`offkey evaluate`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

import offkey
from offkey import datasets
from offkey.cli import console
from offkey.cli.options import DataOptions
from offkey.evaluation import submission
from offkey.evaluation.result import check_target
from offkey.scores import ScoreTable

__all__ = ["evaluate"]


def evaluate(
    scores: Path,
    /,
    *,
    data: Path | None = None,
    reading: DataOptions = DataOptions(),  # noqa: B008  # immutable
    seed: int = 0,
    protocol: Literal["dcase2020", "mimii"] = "dcase2020",
    submit: Path | None = None,
    out: Annotated[Path | None, Parameter(alias="-o")] = None,
    json: bool = False,
) -> None:
    """Evaluate scores against known labels: AUC and pAUC of each machine ID, their means, the worst ID.

    Parameters
    ----------
    scores
        What `offkey score` wrote.
    data
        The dataset that was scored, for its labels. Not needed if the scores already have labels.
    seed
        The seed given to `offkey train`; it may decide which recordings are for testing.
    protocol
        What the tables show: AUC and pAUC of each ID and their means (`dcase2020`), or the AUC alone (`mimii`).
    submit
        Write the submission files of the DCASE challenge into this folder.
    out
        Write the results here, as Markdown, CSV, JSON or plain text by the file's ending (`.md`, `.csv`, `.json`,
        `.txt`).
    json
        Print the results as JSON.
    """
    if out is not None:
        check_target(out)
    table = ScoreTable.read(scores)
    test = None
    if data is not None:
        dataset = reading.load(data, seed=seed)
        table, test = _without_training_clips(table, dataset), dataset.test
    result = offkey.evaluate(table, test, protocol=protocol)
    if submit is not None:
        for path in submission.write(table, submit, test=test):
            console.note(f"wrote {path}")
    if out is not None:
        result.write(out)
        console.note(f"results written to {out}")
    console.result(result.to_json() if json else result.to_text())


def _without_training_clips(table: ScoreTable, dataset: datasets.Dataset) -> ScoreTable:
    """Leave out the rows of training clips, which the scores of a whole folder include."""
    trained_on = {os.path.realpath(clip.path) for clip in dataset.clips if clip.split == "train"}
    rows = [row for row in table.rows() if os.path.realpath(str(row["path"])) not in trained_on]
    if len(rows) == len(table):
        return table
    console.note(f"{len(table) - len(rows)} of the scored recordings are training clips and were left out")
    return ScoreTable.from_rows(rows)
