"""`offkey trend`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

import offkey
from offkey._util.files import check_writable
from offkey._util.rates import parse_false_alarms
from offkey.cli import console, exit_codes
from offkey.cli.options import ScoresPath
from offkey.errors import ParameterError
from offkey.monitoring.reading import read_scores, read_times
from offkey.monitoring.result import check_target
from offkey.monitoring.trends import RUN_LENGTH

__all__ = ["trend"]


def trend(
    scores: list[ScoresPath],
    /,
    *,
    run_length: float | None = None,
    false_alarms: str | None = None,
    recordings_a_day: float | None = None,
    delta: float = 0.05,
    calibration_clips: int | None = None,
    time: Literal["name", "mtime"] = "name",
    time_pattern: str | None = None,
    time_column: str | None = None,
    time_file: Path | None = None,
    plot: Path | None = None,
    out: Annotated[Path | None, Parameter(alias="-o")] = None,
    json: bool = False,
    fail_on_alarm: bool = False,
) -> int:
    """Follow machines over time: turn their p-values, one recording after the other, into alarms.

    Parameters
    ----------
    scores
        What `offkey score` wrote; of several files, each recording in one of them.
    run_length
        While a machine is healthy, an alarm takes this many recordings or more, on average. By default 8760: a year, at
        a recording every hour.
    false_alarms
        The same in words, with `--recordings-a-day`: `"1 a year"`, `"2 per month"`, `"1 in 2 years"`.
    recordings_a_day
        How many recordings of each machine there are in a day.
    delta
        The run length is promised for at least this part of calibration sets less than all: 0.05 stands for 95%.
    calibration_clips
        How many clips the p-values come from, for tables that do not say so.
    time
        When a recording was made: as its `name` says, or when its file was last written (`mtime`).
    time_pattern
        How names say it, as `strptime` has it, such as `"%d.%m.%Y %H-%M"`. By default year, month and day, then hour,
        minute and second: `2024-05-01T12-30-00`, `20240501_123000`, `2024-05-01_12-30`. A pattern with a `/` is looked
        for in the whole path.
    time_column
        A column of the scores, or of `--time-file`, with a date and time such as `2024-05-01T12:30:00`.
    time_file
        A CSV, JSON or Parquet file with the columns `path` and `time`, the recordings as the scores have them.
    plot
        Draw scores, p-values and evidence of each machine over time into this file (`.png`, `.svg`, `.pdf`).
    out
        Write a line for each machine into this file, as CSV, JSON or plain text by its ending (`.csv`, `.json`,
        `.txt`).
    json
        Print the trends as JSON, with every alarm.
    fail_on_alarm
        End with exit code 4 if an alarm of a machine goes on.
    """
    for target, check in ((out, check_target), (plot, check_writable)):
        if target is not None:
            check(target)
    length = _run_length(run_length, false_alarms, recordings_a_day)
    table, rows = read_scores(scores, column=time_column)
    times = read_times(
        scores,
        table,
        rows,
        mtime=time == "mtime",
        pattern=time_pattern,
        column=time_column,
        times=time_file,
    )
    trends = offkey.trend(
        table, times=times, run_length=length, delta=delta, calibration_clips=calibration_clips
    )
    if plot is not None:
        from offkey.report import trend_plot

        trend_plot(trends, plot)
        console.note(f"picture written to {plot}")
    if out is not None:
        trends.write(out)
        console.note(f"trends written to {out}")
    if json:
        console.data(trends.to_json())
    elif out is None:
        console.result(trends.to_text())
    for machine in trends.alarmed:
        console.warn(f"{machine.name}: alarm since {machine.alarms[-1].at.astype('datetime64[s]')}")
    if fail_on_alarm and trends.alarmed:
        return exit_codes.ALARM
    return exit_codes.partly(any(table.error))


def _run_length(run_length: float | None, false_alarms: str | None, recordings_a_day: float | None) -> float:
    if false_alarms is None:
        if recordings_a_day is not None:
            raise ParameterError(
                f"recordings_a_day = {recordings_a_day:g}: it belongs to `false_alarms`; give both"
            )
        return RUN_LENGTH if run_length is None else run_length
    if run_length is not None:
        raise ParameterError(f"run_length = {run_length:g}: give either that or `false_alarms`")
    return 1 / parse_false_alarms(false_alarms, recordings_a_day=recordings_a_day)
