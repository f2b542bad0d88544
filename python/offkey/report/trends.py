"""Scores, p-values and evidence of machines over time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from offkey._util.files import check_writable
from offkey.errors import ParameterError
from offkey.monitoring.result import MachineTrend, Trends
from offkey.report.canvas import BLUE, RED, new_figure, plain, save
from offkey.report.drawings import draw_scores

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["trend_plot"]

_MOST_MACHINES = 100
_LEAST_SHOWN = 0.1


def trend_plot(trends: Trends, path: str | Path) -> None:
    """Draw three panels for each machine: its scores with their threshold, p-values, and evidence with the alarms.

    Parameters
    ----------
    trends
        Of at most 100 machines.
    path
        Where to save the picture; its ending (``.png``, ``.svg``, ``.pdf``) is its format.

    Raises
    ------
    ParameterError
        If there are more machines.
    MissingExtraError
        If matplotlib is not installed.
    OSError
        If the picture cannot be written; that is found out before it is drawn.
    """
    check_writable(path)
    machines = [machine for machine in trends.machines if len(machine.times)]
    if len(machines) > _MOST_MACHINES:
        raise ParameterError(f"{len(machines)} machines: expected at most {_MOST_MACHINES} in a picture")
    figure = new_figure(11, 4.8 * len(machines))
    for part, machine in zip(np.atleast_1d(figure.subfigures(len(machines), 1)), machines, strict=True):
        axes = part.subplots(3, 1, sharex=True, height_ratios=(2, 1, 1))
        draw_scores(machine.scores, ax=axes[0], times=machine.times, thresholds=machine.thresholds)
        axes[0].set_title(f"{machine.name}: {_said(machine)}", loc="left", fontweight="bold")
        _p_values(axes[1], machine)
        _evidence(axes[2], machine, trends.run_length)
        for panel in axes:
            _mark_alarms(panel, machine)
            plain(panel)
        part.align_ylabels()
    save(figure, path)


def _said(machine: MachineTrend) -> str:
    if machine.state == "alarm":
        return f"alarm since {machine.alarms[-1].at.astype('datetime64[m]')}".replace("T", " ")
    count = len(machine.alarms)
    return f"quiet now, {count} alarm{'s' * (count > 1)} before" if count else "quiet"


def _p_values(axes: Axes, machine: MachineTrend) -> None:
    axes.semilogy(machine.times, machine.p_values, ".", color="0.35", ms=4)
    axes.set(ylabel="p-value", ylim=(machine.p_values.min() / 2, 1.5))


def _evidence(axes: Axes, machine: MachineTrend, run_length: float) -> None:
    axes.semilogy(machine.times, np.maximum(machine.evidence, _LEAST_SHOWN), color=BLUE, lw=1.4)
    axes.axhline(run_length, color=RED, lw=1, ls="--")
    axes.text(0.005, run_length * 1.1, "alarm", color=RED, fontsize=8, va="bottom",
              transform=axes.get_yaxis_transform())  # fmt: skip
    axes.set(ylabel="evidence", ylim=(_LEAST_SHOWN, run_length * 4))
    axes.text(0.005, 0.04, "dotted: first recording of the evidence, solid: alarm", color="0.45", fontsize=7,
              transform=axes.transAxes)  # fmt: skip


def _mark_alarms(axes: Axes, machine: MachineTrend) -> None:
    from matplotlib.dates import date2num

    for alarm in machine.alarms:
        until = machine.times[-1] if alarm.until is None else alarm.until
        since, at, over = date2num([alarm.since, alarm.at, until])  # type: ignore[no-untyped-call]
        axes.axvspan(at, over, color=RED, alpha=0.12, lw=0)
        axes.axvline(at, color=RED, lw=1)
        axes.axvline(since, color=RED, lw=1, ls=":")
