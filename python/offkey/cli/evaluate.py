"""`offkey evaluate`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

import offkey
from offkey import datasets
from offkey._util.files import check_folder
from offkey.cli import console, exit_codes
from offkey.cli.options import DataOptions, ScoresPath
from offkey.cli.tested import tested
from offkey.datasets.passed_over import PassedOver, any_unread
from offkey.datasets.survey import survey_of
from offkey.evaluation import submission
from offkey.evaluation.matching import matched
from offkey.evaluation.result import check_target
from offkey.scores import ScoreTable

__all__ = ["evaluate"]


def evaluate(
    scores: ScoresPath,
    /,
    *,
    data: Path | None = None,
    reading: DataOptions = DataOptions(),  # noqa: B008  # immutable
    seed: int = 0,
    protocol: Literal["dcase2020", "mimii"] = "dcase2020",
    submit: Path | None = None,
    out: Annotated[Path | None, Parameter(alias="-o")] = None,
    json: bool = False,
) -> int:
    """Evaluate scores against known labels: AUC and pAUC of each machine ID, their means, the worst ID.

    Parameters
    ----------
    scores
        What `offkey score` wrote.
    data
        The dataset that was scored, or its test part alone, for its labels. Not needed if the scores already have
        labels. If the recordings were scored under another folder, they are matched by their paths below it, and a
        note says so. Normal recordings whose names do not say that they are for training or for testing are all taken
        for test recordings, unless `--test-fraction` says otherwise.
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
    if submit is not None:
        check_folder(submit)
    table = ScoreTable.read(scores)
    test, seen = None, ""
    passed_over: tuple[PassedOver, ...] = ()
    if data is not None:
        dataset = tested(reading, data, seed)
        passed_over = dataset.passed_over
        seen = survey_of(dataset.test).summary()
        table, test = _without_training_clips(_found(table, dataset, data), dataset), dataset.test
    result = offkey.evaluate(table, test, protocol=protocol)
    if submit is not None:
        for path in submission.write(table, submit, test=test):
            console.note(f"wrote {path}")
    if out is not None:
        result.write(out)
        console.note(f"results written to {out}")
    if seen:
        console.note(f"seen: {seen}")
    console.result(result.to_json() if json else result.to_text())
    return exit_codes.partly(any(table.error), any_unread(passed_over))


def _found(table: ScoreTable, dataset: datasets.Dataset, data: Path) -> ScoreTable:
    """Return the table with the paths of clips where they were scored under another folder."""
    files, note = matched(table.path, dataset.clips.paths, root=data)
    if note is None:
        return table
    console.note(note)
    return ScoreTable.from_rows([row | {"path": file} for row, file in zip(table.rows(), files, strict=True)])


def _without_training_clips(table: ScoreTable, dataset: datasets.Dataset) -> ScoreTable:
    """Leave out the rows of training clips, which the scores of a whole folder include."""
    trained_on = {os.path.realpath(clip.path) for clip in dataset.clips if clip.split == "train"}
    rows = [row for row in table.rows() if os.path.realpath(str(row["path"])) not in trained_on]
    if len(rows) == len(table):
        return table
    console.note(f"{len(table) - len(rows)} of the scored recordings are training clips and were left out")
    return ScoreTable.from_rows(rows)
