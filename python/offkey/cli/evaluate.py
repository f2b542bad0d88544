"""`offkey evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import offkey
from offkey import datasets
from offkey.cli import console
from offkey.evaluation import submission
from offkey.scoring.table import ScoreTable

__all__ = ["evaluate"]


def evaluate(
    scores: Path,
    /,
    *,
    data: Path | None = None,
    layout: Literal["auto", "dcase2020", "mimii", "folder"] = "auto",
    machine: str | None = None,
    manifest: Path | None = None,
    snr_db: float | None = None,
    split: Literal["hitachi", "random75"] = "hitachi",
    protocol: Literal["dcase2020", "mimii"] = "dcase2020",
    submit: Path | None = None,
    out: Path | None = None,
    json: bool = False,
) -> None:
    """Compare scores with what is known: AUC and pAUC for each machine ID, their means, the worst ID.

    Parameters
    ----------
    scores
        What `offkey score` wrote.
    data
        The dataset that was scored, which knows the labels. Not needed where the scores carry labels already.
    layout
        How that dataset is laid out; recognised if not given.
    machine
        The machine type; may be left out where there is only one.
    manifest
        A CSV manifest of that dataset.
    snr_db
        MIMII: which of the signal-to-noise ratios.
    split
        MIMII: which normals were kept for testing.
    protocol
        Whose rules to follow.
    submit
        Write the submission files of the DCASE challenge into this folder.
    out
        Write the figures here: Markdown, CSV or JSON by the file's ending.
    json
        Print them as JSON.
    """
    table = ScoreTable.read(scores)
    test = None
    if data is not None:
        test = datasets.load(
            data, layout=layout, machine=machine, manifest=manifest, snr_db=snr_db, split=split
        ).test
    result = offkey.evaluate(table, test, protocol=protocol)
    if submit is not None:
        for path in submission.write(table, submit, test=test):
            console.note(f"wrote {path}")
    if out is not None:
        result.write(out)
        console.note(f"figures written to {out}")
    console.result(result.to_json() if json else result.to_text())
