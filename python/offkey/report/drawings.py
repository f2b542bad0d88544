"""Each plot as a function that draws on given axes of matplotlib and returns them; without any it makes a figure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from offkey.errors import ArrayError
from offkey.metrics import auc, check_max_fpr, roc_curve
from offkey.report.canvas import BLUE, RED, axes_or_new, colours, plain
from offkey.report.plotted import bin_count, calibration, tsne
from offkey.signal.cells import Cells

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from offkey.explain.explanation import Band, Explanation

__all__ = [
    "draw_calibration",
    "draw_det",
    "draw_embeddings",
    "draw_histogram",
    "draw_logmel",
    "draw_map",
    "draw_roc",
    "draw_scores",
]

_TICKS_HZ = (250, 500, 1000, 2000, 4000, 8000, 16_000, 32_000, 64_000)
_RATES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9)
_LEAST_RATE = 0.005


def draw_roc(
    labels: ArrayLike, scores: ArrayLike, *, ax: Axes | None = None, max_fpr: float = 0.1, name: str = ""
) -> Axes:
    """Draw a ROC curve, with the part shaded that the partial AUC counts; several may share the axes.

    Parameters
    ----------
    labels, scores
        ``(clips,)``, as of `offkey.metrics.roc_curve`: both classes, 1 = anomaly.
    ax
        Where to draw.
    max_fpr
        In (0, 1]: up to which false-positive rate the partial AUC goes.
    name
        Of the curve, in the legend before its AUC.

    Raises
    ------
    ArrayError, ParameterError
        If labels, scores or `max_fpr` are none of these.
    MissingExtraError
        If matplotlib is not installed.

    Examples
    --------
    >>> ax = draw_roc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], name="fan 00")
    >>> ax.get_legend().get_texts()[0].get_text()
    'fan 00: AUC 0.750'
    >>> ax.figure.savefig("roc.png")  # doctest: +SKIP
    """
    check_max_fpr(max_fpr)
    curve, area = roc_curve(labels, scores), auc(labels, scores)
    first = ax is None or not ax.lines
    axes = axes_or_new(ax)
    if first:
        axes.plot([0, 1], [0, 1], color="0.7", lw=1, ls=":")
        axes.axvspan(0, max_fpr, color="0.93", zorder=0)
        axes.text(max_fpr / 2, 0.02, "pAUC", ha="center", fontsize=8, color="0.45")
    label = f"{name}: AUC {area:.3f}" if name else f"AUC {area:.3f}"
    colour = _colour_of(len(axes.lines) - 1)
    axes.plot(curve.false_positive_rate, curve.true_positive_rate, color=colour, lw=1.8, label=label)
    axes.set(xlabel="false-positive rate", ylabel="true-positive rate", xlim=(0, 1), ylim=(0, 1.01))
    axes.legend(loc="lower right", fontsize=8, frameon=False)
    plain(axes)
    return axes


def draw_det(labels: ArrayLike, scores: ArrayLike, *, ax: Axes | None = None, name: str = "") -> Axes:
    """Draw a detection error trade-off: missed anomalies against false alarms, both on normal-deviate scales.

    Scores of two Gaussians are a straight line there (Martin et al. 1997). Rates below 0.5% lie at the edge. Several
    curves may share the axes.

    Parameters
    ----------
    labels, scores, ax
        As of `draw_roc`.
    name
        Of the curve, in the legend.

    Raises
    ------
    ArrayError, MissingExtraError
        As `draw_roc`.

    Examples
    --------
    >>> ax = draw_det([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    >>> ax.get_ylabel()
    'anomalies missed'
    """
    curve = roc_curve(labels, scores)
    axes = axes_or_new(ax)
    colour = _colour_of(len(axes.lines))
    axes.plot(
        _deviates(curve.false_positive_rate),
        _deviates(1 - curve.true_positive_rate),
        color=colour,
        lw=1.8,
        label=name or None,
    )
    places, shown = _deviates(_RATES), [f"{rate:.0%}" for rate in _RATES]
    axes.set_xticks(places, shown)
    axes.set_yticks(places, shown)
    ends = _deviates([_LEAST_RATE, _RATES[-1]])
    axes.set(xlabel="false alarms", ylabel="anomalies missed", xlim=ends, ylim=ends)
    axes.grid(color="0.92")
    if name:
        axes.legend(loc="upper right", fontsize=8, frameon=False)
    plain(axes)
    return axes


def draw_histogram(
    scores: ArrayLike,
    *,
    ax: Axes | None = None,
    labels: ArrayLike | None = None,
    threshold: float | None = None,
) -> Axes:
    """Draw how many clips have which score; with labels of both classes, each apart.

    Parameters
    ----------
    scores
        ``(clips,)`` finite numbers, at least one. Those beyond the 98% quantile are counted in the last bin: far ones
        would squeeze the rest into one.
    ax
        Where to draw.
    labels
        ``(clips,)``: 1 anomaly, 0 normal; others are left out where both are there.
    threshold
        Drawn as a line.

    Raises
    ------
    ArrayError
        If there is no score, one is not finite, or there are not as many labels.
    MissingExtraError
        If matplotlib is not installed.

    Examples
    --------
    >>> ax = draw_histogram([0.1, 0.4, 0.35, 0.8], labels=[0, 0, 0, 1], threshold=0.6)
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['normal', 'anomalous', 'threshold']
    """
    values = _finite("scores", scores)
    classes = np.zeros(len(values), dtype=int) if labels is None else np.asarray(labels)
    if classes.shape != values.shape:
        raise ArrayError(f"labels: {classes.shape}; expected one for each of {len(values)} scores")
    axes = axes_or_new(ax)
    top = float(np.quantile(values, 0.98))
    shown = np.minimum(values, top)
    edges = np.linspace(shown.min(), top + (top == shown.min()), bin_count(len(values)) + 1)
    groups: list[tuple[np.ndarray, dict[str, Any]]] = [(shown, {"color": BLUE, "fill": True})]
    if {0, 1} <= set(classes.tolist()):
        groups = [
            (shown[classes == 0], {"color": BLUE, "fill": True, "label": "normal"}),
            (shown[classes == 1], {"color": RED, "lw": 1.8, "label": "anomalous"}),
        ]
    for group, style in groups:
        axes.stairs(np.histogram(group, edges)[0], edges, alpha=0.5 if "fill" in style else None, **style)
    if threshold is not None:
        axes.axvline(threshold, color="0.35", lw=1, ls="--", label="threshold")
    axes.set(xlabel="anomaly score", ylabel="clips")
    if axes.get_legend_handles_labels()[1]:
        axes.legend(fontsize=8, frameon=False)
    plain(axes)
    return axes


def draw_calibration(p_values: ArrayLike, *, ax: Axes | None = None, name: str = "") -> Axes:
    """Draw the rate of false alarms that is raised against the one asked for; several curves may share the axes.

    In grey: where at least 95% of such curves lie altogether, if the p-values are right.

    Parameters
    ----------
    p_values
        ``(recordings,)`` of normal recordings, in (0, 1].
    ax
        Where to draw.
    name
        Of the curve, in the legend.

    Raises
    ------
    ArrayError
        If there is none, or one is outside.
    MissingExtraError
        If matplotlib is not installed.

    Examples
    --------
    >>> ax = draw_calibration([0.2, 0.4, 0.6, 0.8, 1.0])
    >>> ax.get_xlabel()
    'false alarms asked for'
    """
    asked, raised, reach = calibration(p_values)
    first = ax is None or not ax.lines
    axes = axes_or_new(ax)
    if first:
        axes.plot([0, 1], [0, 1], color="0.7", lw=1, ls=":")
        low, high = np.clip([asked - reach, asked + reach], 0, 1)
        axes.fill_between(asked, low, high, color="0.93", lw=0, zorder=0)
    axes.plot(asked, raised, color=_colour_of(len(axes.lines) - 1), lw=1.8, label=name or None)
    axes.set(xlabel="false alarms asked for", ylabel="false alarms raised", xlim=(0, 1), ylim=(0, 1.01))
    if name:
        axes.legend(loc="lower right", fontsize=8, frameon=False)
    plain(axes)
    return axes


def draw_scores(
    scores: ArrayLike,
    *,
    ax: Axes | None = None,
    times: ArrayLike | None = None,
    thresholds: ArrayLike | None = None,
    called: ArrayLike | None = None,
) -> Axes:
    """Draw scores over time: those that are called anomalous as crosses, the others as dots.

    Parameters
    ----------
    scores
        ``(recordings,)`` finite numbers, at least one.
    ax
        Where to draw.
    times
        ``(recordings,)`` datetime64, rising. By default scores stand in their order.
    thresholds
        One number, or ``(recordings,)``; NaN where there is none.
    called
        ``(recordings,)`` of bool; by default those above their threshold.

    Raises
    ------
    ArrayError
        If there is no score, or columns differ in length.
    MissingExtraError
        If matplotlib is not installed.

    Examples
    --------
    >>> ax = draw_scores([0.1, 0.4, 2.8], thresholds=1.5)
    >>> [len(line.get_xdata()) for line in ax.lines]
    [2, 1, 3]
    """
    values = _finite("scores", scores)
    n = len(values)
    limits = np.broadcast_to(np.asarray(np.nan if thresholds is None else thresholds, dtype=float), n)
    odd = values > limits if called is None else np.asarray(called, dtype=bool)
    x = np.arange(1, n + 1) if times is None else np.asarray(times)
    if not len(odd) == len(x) == n:
        raise ArrayError(f"scores, times, called: {n}, {len(x)}, {len(odd)} rows; expected as many of each")
    axes = axes_or_new(ax, width=9.0, height=3.2)
    axes.plot(x[~odd], values[~odd], ".", color=BLUE, ms=4)
    axes.plot(x[odd], values[odd], "x", color=RED, ms=5)
    if not np.isnan(limits).all():
        axes.plot(x, limits, color="0.35", lw=1, ls="--", drawstyle="steps-mid")
        if not np.isnan(limits[-1]):
            axes.annotate(" threshold", (x[-1], limits[-1]), color="0.35", fontsize=8, va="center")
    axes.set_ylabel("anomaly score")
    if times is None:
        axes.set_xlabel("recording")
    else:
        _date(axes)
    plain(axes)
    return axes


def draw_logmel(
    logmel: np.ndarray,
    *,
    cells: Cells,
    ax: Axes | None = None,
    start_s: float = 0.0,
    range_db: float = 60.0,
    bands: Sequence[Band] = (),
) -> Axes:
    """Draw a log-Mel spectrogram in dB, over seconds and Hz; the frequencies lie as the Mel bins do.

    Parameters
    ----------
    logmel
        ``(n_mels, frames)`` in dB.
    cells
        Where its cells lie: ``Cells.of(frontend, samples)`` of `offkey.signal.cells`, or an explanation's
        ``picture.cells``.
    ax
        Where to draw.
    start_s
        Where in its recording the clip begins.
    range_db
        How far below the loudest cell the darkest colour lies.
    bands
        Of an explanation, to be framed.

    Raises
    ------
    ArrayError
        If the shapes differ.
    MissingExtraError
        If matplotlib is not installed.

    Examples
    --------
    >>> import offkey
    >>> frontend = offkey.LogMel()
    >>> samples = np.zeros((1, 16_000), dtype=np.float32)
    >>> ax = draw_logmel(frontend(samples)[0], cells=Cells.of(frontend, 16_000))
    >>> ax.get_ylabel()
    'frequency in Hz'
    """
    highest = float(logmel.max())
    lowest = max(float(logmel.min()), highest - range_db)
    axes = axes_or_new(ax, width=8.0, height=3.2)
    _image(axes, logmel, cells, start_s, cmap="magma", vmin=lowest, vmax=highest)
    _frame(axes, cells, bands, "white")
    axes.set_title(f"log-Mel, {lowest:.0f} (dark) to {highest:.0f} dB (bright)", loc="left", fontsize=9)
    return axes


def draw_map(explanation: Explanation, *, ax: Axes | None = None) -> Axes:
    """Draw what raised and what lowered the score of a recording, over seconds and Hz, with the odd places framed.

    Parameters
    ----------
    explanation
        What `offkey.Detector.explain` returns.
    ax
        Where to draw.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    shown = explanation.map
    most = np.quantile(np.abs(shown), 0.998) or 1.0
    axes = axes_or_new(ax, width=8.0, height=3.2)
    cells = explanation.picture.cells
    _image(axes, shown, cells, explanation.start_s or 0.0, cmap="RdBu_r", vmin=-most, vmax=most)
    _frame(axes, cells, explanation.bands, "0.2")
    title = "what raised (red) and what lowered the score (blue)"
    title += "" if explanation.odd else "; all of it is little: the score is below its threshold"
    axes.set_title(title, loc="left", fontsize=9)
    return axes


def draw_embeddings(
    vectors: ArrayLike,
    *,
    ax: Axes | None = None,
    labels: ArrayLike | None = None,
    machine_ids: Sequence[str] | None = None,
) -> Axes:
    """Draw a t-SNE map of vectors, as in Figure 2 of Zhang et al. (2023): a colour for each ID, crosses for anomalies.

    Parameters
    ----------
    vectors
        ``(clips, dim)``, such as `offkey.Detector.embeddings` returns; at least 2.
    ax
        Where to draw.
    labels
        ``(clips,)``: 1 anomaly, 0 normal, others not known.
    machine_ids
        Of the clips.

    Raises
    ------
    ArrayError
        If the vectors are none, or columns differ in length.
    MissingExtraError
        If matplotlib or scikit-learn is not installed.
    """
    places = tsne(vectors)
    n = len(places)
    ids = np.array([""] * n if machine_ids is None else list(machine_ids))
    classes = np.full(n, -1) if labels is None else np.asarray(labels)
    if not len(ids) == len(classes) == n:
        raise ArrayError(
            f"labels, machine_ids: {len(classes)}, {len(ids)} rows; expected one for each of {n} vectors"
        )
    axes = axes_or_new(ax)
    for colour, machine_id in zip(colours(), sorted(set(ids.tolist())), strict=False):
        for label, marker, kind in ((0, "o", "normal"), (1, "x", "anomalous"), (-1, "o", "")):
            mine = (ids == machine_id) & (classes == label)
            if mine.any():
                name = f"{machine_id} {kind}".strip()
                axes.scatter(
                    x=places[mine, 0],
                    y=places[mine, 1],
                    s=22,
                    color=colour,
                    marker=marker,
                    lw=1,
                    label=name or None,
                )
    axes.set(xticks=[], yticks=[])
    if axes.get_legend_handles_labels()[1]:
        axes.legend(fontsize=7, frameon=False, ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.06))
    plain(axes)
    return axes


def _date(axes: Axes) -> None:
    """Label an axis of times in few letters."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator()  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]


def _image(axes: Axes, values: np.ndarray, cells: Cells, start_s: float, **colours: Any) -> None:
    if values.shape != cells.shape:
        raise ArrayError(f"shape {values.shape}: expected {cells.shape}, that of the cells")
    extent = (start_s, start_s + float(cells.edges_s[-1]), 0.0, float(len(values)))
    axes.imshow(values, extent=extent, origin="lower", aspect="auto", interpolation="nearest", **colours)
    edges = cells.edges_hz
    ticks = [hz for hz in _TICKS_HZ if edges[0] < hz <= edges[-1]]
    axes.set_yticks([_place(cells, hz) for hz in ticks], [_hertz(hz) for hz in ticks])
    axes.set(xlabel="time in s", ylabel="frequency in Hz")


def _frame(axes: Axes, cells: Cells, bands: Sequence[Band], colour: str) -> None:
    from matplotlib.patches import Rectangle

    for band in bands:
        low, high = (_place(cells, hz) for hz in (band.low_hz, band.high_hz))
        for stretch in band.stretches:
            corner, length = (stretch.start_s, low), stretch.end_s - stretch.start_s
            axes.add_patch(
                Rectangle(corner, length, high - low, fill=False, edgecolor=colour, lw=1.0, ls="-")
            )


def _place(cells: Cells, hz: float) -> float:
    """Return where a frequency lies on the axis of Mel bins."""
    return float(np.interp(hz, cells.edges_hz, np.arange(len(cells.edges_hz))))


def _hertz(hz: int) -> str:
    return f"{hz / 1000:g}k" if hz >= 1000 else f"{hz}"


def _deviates(rates: ArrayLike) -> list[float]:
    """Return where rates lie on a normal-deviate scale."""
    inverse = statistics.NormalDist().inv_cdf
    inside = np.clip(np.asarray(rates, dtype=float), _LEAST_RATE, 1 - _LEAST_RATE)
    return [inverse(rate) for rate in inside.tolist()]


def _colour_of(curve: int) -> str:
    return next(colour for at, colour in enumerate(colours()) if at == curve)


def _finite(name: str, values: ArrayLike) -> np.ndarray:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not len(array) or not np.isfinite(array).all():
        raise ArrayError(f"{name}: shape {array.shape}; expected at least one, all finite numbers")
    return array
