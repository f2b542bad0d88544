"""`offkey score`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import numpy as np
from cyclopts import Parameter

from offkey.cli import app, console, exit_codes
from offkey.cli.options import Device, RateOptions
from offkey.cli.words import table_in_options
from offkey.detector import load
from offkey.score_file import check_target
from offkey.score_rows import Windows
from offkey.scores import ScoreTable, check_top
from offkey.signal.audio import MAX_SECONDS

__all__ = ["score"]


def score(
    detector: Path,
    recordings: list[Path],
    /,
    *,
    out: Annotated[Path | None, Parameter(alias="-o")] = None,
    machine_id: str | None = None,
    rate: RateOptions = RateOptions(),  # noqa: B008  # immutable
    false_discovery_rate: Annotated[float | None, Parameter(alias="--fdr")] = None,
    top: int | None = None,
    windows: Windows = "worst",
    device: Device = "auto",
    max_seconds: float = MAX_SECONDS,
    threads: int | None = None,
    json: bool = False,
) -> int:
    """Score recordings with a trained detector and decide which sound wrong.

    Parameters
    ----------
    detector
        A detector that `offkey train` wrote.
    recordings
        Sound files, folders that are searched for them, or patterns such as `"incoming/*.wav"`.
    out
        Write the scores to this file, as CSV, JSON or Parquet by its ending (`.csv`, `.json`, `.parquet`). By
        default they go to stdout: as a table on a terminal, as CSV into a pipe.
    machine_id
        ID of the recorded machine. By default `id_XX` in each file's name, or, below a folder given here, a folder
        named `id_XX` or as a machine that the detector knows, or `section_XX_...` in the name; a recording without one
        is compared with every machine, and the nearest is named.
    false_discovery_rate
        Decide on all recordings together, so that at most this part of those that are said to sound wrong is healthy,
        such as `0.1`; for an archive, where a false-alarm rate of 5% means an alarm for each twentieth recording.
    top
        Show, or write, no more than so many recordings: those that sound most wrong, the oddest first.
    windows
        A recording longer than twice `training.clip_seconds` of the recipe (20 s) is cut into windows of that length.
        `worst`: it has one row, with the scores of its worst window and where that begins (`start_s`); `each`: a row
        for each window.
    device
        `auto`, `cpu`, `cuda`, or one GPU such as `cuda:1`; only the network uses it.
    max_seconds
        Longer recordings get no score but a reason; 24 hours by default.
    threads
        Number of threads of the kernels and torch; all cores by default.
    json
        Print the scores as JSON.
    """
    if out is not None:
        check_target(out)
    false_alarm_rate = rate.rate()
    if top is not None:
        check_top(top)
    trained = load(detector)
    with console.bars() as bars:
        table = trained.score(
            recordings,
            machine_id=machine_id,
            false_alarm_rate=false_alarm_rate,
            false_discovery_rate=false_discovery_rate,
            windows=windows,
            device=device,
            max_seconds=max_seconds,
            num_threads=threads,
            on_progress=bars.counter("scoring"),
        )
    table = table_in_options(table, app["score"])
    shown = table if top is None else table.most_anomalous(top)
    if out is not None:
        shown.write(out)
        console.note(f"{len(shown)} scores written to {out}")
    if json:
        console.data(shown.to_json())
    elif out is None and sys.stdout is not None and sys.stdout.isatty():
        console.result(shown.to_text())
    elif out is None:
        console.data(shown.to_csv())
    return _report(table, each=windows == "each")


def _report(table: ScoreTable, *, each: bool) -> int:
    """Say how it went; return the exit code."""
    failed = [text for text in table.error if text]
    for text in failed:
        console.error(text)
    scored = len(table) - len(failed)
    first = np.isnan(table.start_s) | (table.start_s == 0)
    recordings = int(np.count_nonzero(first)) - len(failed) if each else scored
    text = f"{recordings} recording{'s' * (recordings != 1)} scored"
    if each and recordings < scored:
        text += f" in {scored} windows"
    elif not each and not np.isnan(table.start_s).all():
        text += f" ({np.count_nonzero(~np.isnan(table.start_s))} by their worst window, at start_s)"
    missed = f"; {len(failed)} could not be scored" if failed else ""
    console.note(f"{text}, {np.count_nonzero(table.decision == 1)} sound wrong{missed}")
    if (table.decision == 1).any():
        console.note(_oddest(table))
    if table.discoveries is not None:
        console.note(table.discoveries.summary())
    seen = table.survey
    if seen is not None:
        console.note(f"seen: {seen.summary()}")
    return exit_codes.partly(failed, seen and seen.unread) if scored else exit_codes.REFUSED


def _oddest(table: ScoreTable) -> str:
    """Say in words how odd the oddest recording is."""
    row = int(np.nanargmin(table.p_value))
    one_in, clips = 1 / table.p_value[row], table.calibration_clips[row]
    of_machine = f" of {table.scored_as[row]}" if table.calibration[row] == "own" else ""
    if (
        table.calibration[row] == "tail"
    ):  # an estimate says nothing of what is a hundred times rarer than its clips
        how = "fewer than" if one_in > 100 * clips else "about"
        one_in = min(one_in, 100 * clips)
    else:
        how = "at most" if one_in > clips else "about"
    return f"the oddest: {table.path[row]}: {how} 1 in {one_in:,.0f} healthy recordings{of_machine} sounds as odd"
