"""`offkey score`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from offkey.cli import console
from offkey.detector import load
from offkey.scoring.table import ScoreTable

__all__ = ["score"]


def score(
    detector: Path,
    recordings: list[Path],
    /,
    *,
    out: Annotated[Path | None, Parameter(alias="-o")] = None,
    machine_id: str | None = None,
    device: str = "auto",
    threads: int | None = None,
    json: bool = False,
) -> int:
    """Score recordings with a trained detector and decide which sound wrong.

    Parameters
    ----------
    detector
        A detector that `offkey train` wrote.
    recordings
        Sound files, or folders that are searched for them.
    out
        Write the scores here, as CSV, JSON or Parquet by the file's ending. Without it they go to stdout: as a
        table on a terminal, as CSV into a pipe.
    machine_id
        The ID of the machine that was recorded. Without it, `id_XX` is read from each file's path; where there is
        none, the recording is compared with every machine that the detector knows, and the nearest is named.
    device
        `auto`, `cpu` or `cuda`; only the network uses it.
    threads
        How many threads the kernels use; all cores if not given.
    json
        Print the scores as JSON.
    """
    with console.show_warnings(), console.progress("scoring") as advance:
        table = load(detector).score(
            recordings, machine_id=machine_id, device=device, num_threads=threads, on_progress=advance
        )
    if out is not None:
        table.write(out)
        console.note(f"{len(table)} scores written to {out}")
    if json:
        console.result(table.to_json())
    elif out is None:
        console.result(table.to_text() if sys.stdout.isatty() else table.to_csv())
    return _report(table)


def _report(table: ScoreTable) -> int:
    failed = [(path, text) for path, text in zip(table.path, table.error, strict=True) if text]
    anomalous = sum(1 for decision in table.decision if decision == 1)
    console.note(f"{len(table) - len(failed)} recordings scored, {anomalous} sound wrong")
    for _, text in failed:
        console.error(text)
    return 3 if failed else 0
