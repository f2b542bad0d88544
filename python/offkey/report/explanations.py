"""The picture of an explanation: the recording's log-Mel, the map of its score, and what is said of it."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from offkey._util.files import atomic_path, check_writable
from offkey._util.text_table import printable
from offkey.explain.explanation import Explanation
from offkey.report.plots import COLOURS, matplotlib_classes, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["explanation_plot"]

_TICKS_HZ = (250, 500, 1000, 2000, 4000, 8000, 16_000, 32_000, 64_000)
_RED = COLOURS[5]
_WIDTH = 118  # letters in a line of the caption
_RANGE_DB = 60.0  # of the log-Mel, below its loudest


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
    figure_class, canvas_class = matplotlib_classes()
    lines = [
        line
        for sentence in explanation.sentences
        for line in textwrap.wrap(printable(sentence), _WIDTH, subsequent_indent="    ")
    ]
    caption_inches = 0.19 * len(lines) + 0.15
    figure = figure_class(figsize=(10, 6.2 + caption_inches), layout="constrained")
    canvas_class(figure)
    upper, lower = figure.subfigures(2, 1, height_ratios=(6.2, caption_inches))
    axes = upper.subplots(3, 2, width_ratios=(7, 1), height_ratios=(4, 4, 1))
    _spectrogram(axes[0, 0], explanation)
    _levels(axes[0, 1], explanation)
    _map(axes[1, 0], explanation)
    _over_frequency(axes[1, 1], explanation)
    _over_time(axes[2, 0], explanation)
    axes[2, 1].set_axis_off()
    title = printable(Path(explanation.path).name)
    upper.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold", parse_math=False)
    lower.text(0.01, 0.98, "\n".join(lines), va="top", fontsize=9, linespacing=1.35, parse_math=False)
    with atomic_path(path) as scratch:
        figure.savefig(scratch, dpi=100)


def _spectrogram(axes: Axes, explanation: Explanation) -> None:
    logmel = explanation.picture.logmel
    lowest = max(logmel.min(), logmel.max() - _RANGE_DB)
    _image(axes, explanation, logmel, cmap="magma", vmin=lowest, vmax=logmel.max())
    _mark(axes, explanation, "white")
    axes.set_title(f"log-Mel, {lowest:.0f} (dark) to {logmel.max():.0f} dB (bright)", loc="left", fontsize=9)


def _map(axes: Axes, explanation: Explanation) -> None:
    most = np.quantile(np.abs(explanation.map), 0.998) or 1.0
    _image(axes, explanation, explanation.map, cmap="RdBu_r", vmin=-most, vmax=most)
    _mark(axes, explanation, "0.2")
    axes.set_title("what raised (red) and what lowered the score (blue)", loc="left", fontsize=9)


def _image(axes: Axes, explanation: Explanation, values: np.ndarray, **colours: Any) -> None:
    start, (bins, _) = explanation.start_s or 0.0, values.shape
    extent = (start, explanation.end_s, 0.0, float(bins))
    axes.imshow(values, extent=extent, origin="lower", aspect="auto", interpolation="nearest", **colours)
    edges = explanation.picture.cells.edges_hz
    ticks = [hz for hz in _TICKS_HZ if edges[0] < hz <= edges[-1]]
    axes.set_yticks([_place(explanation, hz) for hz in ticks], [_hertz(hz) for hz in ticks])
    axes.set_ylabel("frequency in Hz")


def _levels(axes: Axes, explanation: Explanation) -> None:
    """Draw the mean level over frequency, beside that of healthy clips."""
    mean = explanation.picture.logmel.mean(axis=1)
    places = np.arange(len(mean)) + 0.5
    if explanation.healthy_db is not None:
        axes.fill_betweenx(places, *explanation.healthy_db, color="0.75", lw=0)
    axes.plot(mean, places, color=_RED, lw=1)
    axes.set_ylim(0, len(mean))
    axes.set_title("level in dB;\nhealthy: grey", loc="left", fontsize=8)
    axes.tick_params(left=False, labelleft=False, labelbottom=True, labelsize=8)
    plain(axes)


def _over_frequency(axes: Axes, explanation: Explanation) -> None:
    added = explanation.map.sum(axis=1)
    places = np.arange(len(added)) + 0.5
    axes.fill_betweenx(places, 0, np.maximum(added, 0), color=_RED, lw=0)
    axes.fill_betweenx(places, 0, np.minimum(added, 0), color=COLOURS[0], lw=0)
    axes.set_ylim(0, len(added))
    axes.set_title("over frequency", loc="left", fontsize=8)
    axes.tick_params(left=False, labelleft=False, bottom=False, labelbottom=False)
    plain(axes)


def _over_time(axes: Axes, explanation: Explanation) -> None:
    edges = explanation.picture.cells.edges_s + (explanation.start_s or 0.0)
    added = explanation.map.sum(axis=0) / np.diff(edges)
    axes.stairs(added, edges, fill=True, color=_RED, alpha=0.9)
    for level, band in enumerate(explanation.bands):
        for stretch in band.stretches:
            axes.axvspan(stretch.start_s, stretch.end_s, 0.0, 0.06, color=COLOURS[level], lw=0)
    reach = (min(0.0, added.min()), max(added.max(), 1e-9))
    axes.set(xlabel="time in s", yticks=[], xlim=(edges[0], edges[-1]), ylim=reach)
    axes.set_title("over time", loc="left", fontsize=8)
    plain(axes)


def _mark(axes: Axes, explanation: Explanation, colour: str) -> None:
    from matplotlib.patches import Rectangle

    for band in explanation.bands:
        low, high = (_place(explanation, hz) for hz in (band.low_hz, band.high_hz))
        for stretch in band.stretches:
            axes.add_patch(
                Rectangle(
                    (stretch.start_s, low),
                    stretch.end_s - stretch.start_s,
                    high - low,
                    fill=False,
                    edgecolor=colour,
                    lw=1.0,
                    ls="-",
                )
            )


def _place(explanation: Explanation, hz: float) -> float:
    """Return where a frequency lies on the axis of Mel bins."""
    edges = explanation.picture.cells.edges_hz
    return float(np.interp(hz, edges, np.arange(len(edges))))


def _hertz(hz: int) -> str:
    return f"{hz / 1000:g}k" if hz >= 1000 else f"{hz}"
