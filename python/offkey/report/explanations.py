"""The picture of an explanation: the recording's log-Mel, the map of its score, and what is said of it."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from offkey._util.files import check_writable
from offkey._util.text_table import printable
from offkey.explain.explanation import Explanation
from offkey.report.canvas import BLUE, COLOURS, RED, new_figure, plain, save
from offkey.report.drawings import draw_logmel, draw_map

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["explanation_plot"]

_WIDTH = 145  # letters in a line of the caption


def explanation_plot(explanation: Explanation, path: str | Path) -> None:
    """Draw the log-Mel of a recording, the map of its score with the odd bands and times, and the sentences below.

    Parameters
    ----------
    explanation
        What `offkey.Detector.explain` returns.
    path
        Where to save the picture; its ending (``.png``, ``.svg``, ``.pdf``) is its format.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    OSError
        If the picture cannot be written; that is found out before it is drawn.
    """
    check_writable(path)
    lines = [
        line
        for sentence in explanation.sentences
        for line in textwrap.wrap(printable(sentence), _WIDTH, subsequent_indent="    ")
    ]
    caption_inches = 0.19 * len(lines) + 0.15
    figure = new_figure(10, 6.2 + caption_inches)
    upper, lower = figure.subfigures(2, 1, height_ratios=(6.2, caption_inches))
    axes = upper.subplots(3, 2, width_ratios=(7, 1), height_ratios=(4, 4, 1))
    draw_logmel(
        explanation.picture.logmel,
        cells=explanation.picture.cells,
        ax=axes[0, 0],
        start_s=explanation.start_s or 0.0,
        bands=explanation.bands,
    )
    _levels(axes[0, 1], explanation)
    draw_map(explanation, ax=axes[1, 0])
    for picture in axes[:2, 0]:
        picture.set_xlabel("")  # said once, below
    _over_frequency(axes[1, 1], explanation)
    _over_time(axes[2, 0], explanation)
    axes[2, 1].set_axis_off()
    title = printable(Path(explanation.path).name)
    upper.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold", parse_math=False)
    lower.text(0.01, 0.98, "\n".join(lines), va="top", fontsize=9, linespacing=1.35, parse_math=False)
    save(figure, path, dpi=100)


def _levels(axes: Axes, explanation: Explanation) -> None:
    """Draw the mean level over frequency, beside that of healthy clips."""
    mean = explanation.picture.logmel.mean(axis=1)
    places = np.arange(len(mean)) + 0.5
    if explanation.healthy_db is not None:
        axes.fill_betweenx(places, *explanation.healthy_db, color="0.75", lw=0)
    axes.plot(mean, places, color=RED, lw=1)
    axes.set_ylim(0, len(mean))
    axes.set_title("level in dB;\nhealthy: grey", loc="left", fontsize=8)
    axes.tick_params(left=False, labelleft=False, labelbottom=True, labelsize=8)
    plain(axes)


def _over_frequency(axes: Axes, explanation: Explanation) -> None:
    added = explanation.map.sum(axis=1)
    places = np.arange(len(added)) + 0.5
    axes.fill_betweenx(places, 0, np.maximum(added, 0), color=RED, lw=0)
    axes.fill_betweenx(places, 0, np.minimum(added, 0), color=BLUE, lw=0)
    axes.set_ylim(0, len(added))
    axes.set_title("over frequency", loc="left", fontsize=8)
    axes.tick_params(left=False, labelleft=False, bottom=False, labelbottom=False)
    plain(axes)


def _over_time(axes: Axes, explanation: Explanation) -> None:
    edges = explanation.picture.cells.edges_s + (explanation.start_s or 0.0)
    added = explanation.map.sum(axis=0) / np.diff(edges)
    axes.stairs(added, edges, fill=True, color=RED, alpha=0.9)
    for level, band in enumerate(explanation.bands):
        for stretch in band.stretches:
            axes.axvspan(stretch.start_s, stretch.end_s, 0.0, 0.06, color=COLOURS[level], lw=0)
    reach = (min(0.0, added.min()), max(added.max(), 1e-9))
    axes.set(xlabel="time in s", yticks=[], xlim=(edges[0], edges[-1]), ylim=reach)
    strips = "; strips: when the framed bands add most" if explanation.bands else ""
    axes.set_title(f"over time{strips}", loc="left", fontsize=8)
    plain(axes)
