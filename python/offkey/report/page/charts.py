"""The plots of one machine: its scores over time, their histogram, ROC curve, and alarms asked for and raised."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from offkey.metrics import roc_curve
from offkey.report.page.svg import Plot, Scale, Ticks
from offkey.report.plotted import bin_count, calibration

__all__ = ["Points", "calibration_chart", "histogram", "roc_chart", "scores_chart", "threshold_of"]

MOST_DOTS = 2000
"""More scores are drawn as the range that they take."""
_SMALL = 330.0
"""Width of a drawing of which three stand side by side."""
_COLUMNS = 400
_MOST_STEPS = 700
_LEAST_NORMALS = 20
_STEPS: tuple[tuple[str, int, str], ...] = (  # unit and count of a step between ticks, letters of its label
    ("s", 1, "%H:%M:%S"), ("s", 10, "%H:%M:%S"), ("m", 1, "%H:%M"), ("m", 5, "%H:%M"), ("m", 15, "%H:%M"),
    ("h", 1, "%d %b %H:%M"), ("h", 3, "%d %b %H:%M"), ("h", 6, "%d %b %H:%M"), ("h", 12, "%d %b %H:%M"),
    ("D", 1, "%d %b"), ("D", 2, "%d %b"), ("D", 5, "%d %b"), ("D", 10, "%d %b"),
    ("M", 1, "%b %Y"), ("M", 3, "%b %Y"), ("M", 6, "%b %Y"),
    ("Y", 1, "%Y"), ("Y", 2, "%Y"), ("Y", 5, "%Y"), ("Y", 10, "%Y"), ("Y", 50, "%Y"), ("Y", 1000, "%Y"),
)  # fmt: skip


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Points:
    """Scores of one machine, in their order; each has one."""

    scores: NDArray[np.float64]
    thresholds: NDArray[np.float64]
    """NaN where there is none."""
    p_values: NDArray[np.float64]
    called: NDArray[np.bool_]
    labels: NDArray[np.int8]
    times: NDArray[np.datetime64] | None
    score: str
    """The name of the score."""

    @property
    def classes(self) -> int:
        """How many classes the labels have: 2 where there are normal and anomalous recordings."""
        return len({0, 1} & set(self.labels.tolist()))


def threshold_of(points: Points) -> float | None:
    """Return the threshold, if it is one and the same for all scores."""
    values = np.unique(points.thresholds[~np.isnan(points.thresholds)])
    return float(values[0]) if len(values) == 1 else None


def scores_chart(points: Points, machine: str) -> str:
    """Draw scores over time, or in the order of the table, with their threshold.

    Up to `MOST_DOTS` each is a dot, or a cross where it is called; more are drawn as ranges.
    """
    plot = Plot(f"Scores of {machine} over {'order' if points.times is None else 'time'}")
    finite = points.thresholds[~np.isnan(points.thresholds)]
    y = Scale.of(np.concatenate([points.scores, finite]), start=plot.y_range[0], end=plot.y_range[1])
    places = _places(points)
    x = Scale(
        low=places[0] - (places[0] == places[-1]),
        high=places[-1] + (places[0] == places[-1]),
        start=plot.x_range[0] + 4,
        end=plot.x_range[1] - 4,
    )
    plot.y_axis(y, y.ticks(), points.score.replace("_", " "))
    if points.times is None:
        whole = [(value, text) for value, text in x.ticks() if value == round(value)]
        plot.x_axis(x, whole, "row, in the order of the table")
    else:
        plot.x_axis(x, _time_ticks(points.times), "time, as the recordings' names say")
    plot.zoomable(x, "row" if points.times is None else "time")
    if len(points.scores) <= MOST_DOTS:
        plot.dots(x(places[~points.called]), y(points.scores[~points.called]), "usual")
        plot.crosses(x(places[points.called]), y(points.scores[points.called]), "odd")
        _thresholds(plot, x(places), points.thresholds, y)
    else:
        _ranges(plot, x(places), points, y)
    plot.cut()
    return plot.svg()


def _places(points: Points) -> NDArray[np.float64]:
    if points.times is None:
        return np.arange(1.0, len(points.scores) + 1)
    return points.times.astype("datetime64[us]").astype(np.float64) / 1e6


def _ranges(plot: Plot, x: NDArray[np.float64], points: Points, y: Scale) -> None:
    """Draw least and largest score, the middle 80% and the median of the scores in each column of the picture."""
    left, right = plot.x_range
    columns = np.clip(((x - left) / (right - left) * _COLUMNS).astype(int), 0, _COLUMNS - 1)
    starts = np.flatnonzero(np.diff(columns, prepend=-1))
    groups = list(zip(starts.tolist(), [*starts[1:].tolist(), len(x)], strict=True))
    quantiles = np.array(
        [np.quantile(points.scores[a:b], [0, 0.1, 0.5, 0.9, 1]) for a, b in groups]
    ).T  # ``(5, columns)``
    middles = np.array([x[a:b].mean() for a, b in groups])
    lines = [y(line) for line in quantiles]
    plot.area(middles, lines[0], lines[4], "whole")
    plot.area(middles, lines[1], lines[3], "middle")
    plot.line(middles, lines[2], "median")
    with_called = [(a, b) for a, b in groups if points.called[a:b].any()]
    worst = [
        a + int(np.argmax(np.where(points.called[a:b], points.scores[a:b], -np.inf))) for a, b in with_called
    ]
    plot.crosses(x[worst], y(points.scores[worst]), "odd")
    firsts = np.array([a for a, _ in groups])
    _thresholds(plot, x[firsts], points.thresholds[firsts], y)


def _thresholds(plot: Plot, x: NDArray[np.float64], thresholds: NDArray[np.float64], y: Scale) -> None:
    there = ~np.isnan(thresholds)
    if not there.any():
        return
    values, places = thresholds[there], x[there]
    if len(np.unique(values)) == 1:
        level = float(y(values[0]))
        plot.line(plot.x_range, [level, level], "threshold")
        plot.text(plot.x_range[1] - 4, level - 5, "threshold", "end")
        return
    thinned = np.unique(np.linspace(0, len(values) - 1, _MOST_STEPS).astype(int))
    plot.line(np.repeat(places[thinned], 2)[1:], np.repeat(y(values[thinned]), 2)[:-1], "threshold")


def _time_ticks(times: NDArray[np.datetime64]) -> Ticks:
    """Return at most seven round times within a span."""
    first, last = times[0], times[-1]
    for unit, count, form in _STEPS:
        start, stop = (
            first.astype(f"datetime64[{unit}]").astype(int),
            last.astype(f"datetime64[{unit}]").astype(int),
        )
        start = -(-start // count) * count
        if (stop - start) // count < 7:
            steps = np.arange(start, stop + 1, count).astype(f"datetime64[{unit}]").astype("datetime64[us]")
            shown = steps[(steps >= first) & (steps <= last)]
            return [(float(step.astype(np.int64)) / 1e6, step.item().strftime(form)) for step in shown]
    return []


def histogram(points: Points, machine: str) -> str:
    """Draw how many recordings have which score, with the threshold; of two classes each apart."""
    plot = Plot(f"Histogram of the scores of {machine}", width=_SMALL, height=240)
    x = Scale.of(points.scores, start=plot.x_range[0], end=plot.x_range[1])
    edges = x.edges(bin_count(len(points.scores)))
    groups = {"usual": points.scores}
    if points.classes == 2:
        groups = {"usual": points.scores[points.labels == 0], "odd": points.scores[points.labels == 1]}
    counts = {style: np.histogram(scores, edges)[0] for style, scores in groups.items()}
    most = max(int(count.max()) for count in counts.values())
    y = Scale(low=0, high=1.05 * most, start=plot.y_range[0], end=plot.y_range[1])
    whole = [(value, text) for value, text in y.ticks() if value == round(value)]
    plot.y_axis(y, whole, "recordings")
    plot.x_axis(x, [*x.ticks()], points.score.replace("_", " "))
    outline = np.repeat(x(edges), 2)[1:-1]
    for style, count in counts.items():
        plot.area(outline, np.full(len(outline), plot.y_range[0]), np.repeat(y(count), 2), f"bars {style}")
    threshold = threshold_of(points)
    if threshold is not None and x.low < threshold < x.high:
        at = float(x(threshold))
        plot.line([at, at], plot.y_range, "threshold")
    return plot.svg()


def roc_chart(points: Points, machine: str, *, max_fpr: float) -> str:
    """Draw the ROC curve, with the part that the partial AUC counts shaded. Both classes must be there."""
    plot = Plot(f"ROC curve of {machine}", width=_SMALL, height=240)
    known = points.labels >= 0
    curve = roc_curve(points.labels[known], points.scores[known])
    x, y = _unit_square(plot)
    plot.rectangle(float(x(0)), float(y(1)), float(x(max_fpr) - x(0)), float(y(0) - y(1)), "region")
    plot.y_axis(y, _PARTS, "anomalies found")
    plot.x_axis(x, _PARTS, "normal ones called anomalous")
    plot.text(float(x(max_fpr)) + 4, float(y(0)) - 6, "shaded: pAUC")
    plot.line(x([0, 1]), y([0, 1]), "chance")
    # What is not seen in the picture is left out.
    a, b = np.round(x(curve.false_positive_rate), 1), np.round(y(curve.true_positive_rate), 1)
    turns = np.concatenate([[True], (np.diff(a) != 0) | (np.diff(b) != 0)])
    plot.line(a[turns], b[turns], "odd strong")
    return plot.svg()


_PARTS: Ticks = [(at / 4, f"{at / 4:.0%}") for at in range(5)]


def _unit_square(plot: Plot) -> tuple[Scale, Scale]:
    return (
        Scale(low=0, high=1, start=plot.x_range[0], end=plot.x_range[1]),
        Scale(low=0, high=1, start=plot.y_range[0], end=plot.y_range[1]),
    )


def calibration_chart(points: Points, machine: str) -> str | None:
    """Draw the rate of false alarms among normal recordings against the one asked for; None of few of them."""
    p_values = points.p_values[(points.labels == 0) & ~np.isnan(points.p_values)]
    if len(p_values) < _LEAST_NORMALS:
        return None
    plot = Plot(
        f"False alarms of {machine}: the rate asked for, and the rate among normal recordings",
        width=_SMALL,
        height=240,
    )
    x, y = _unit_square(plot)
    asked, raised, reach = calibration(p_values)
    plot.area(x(asked), y(np.clip(asked - reach, 0, 1)), y(np.clip(asked + reach, 0, 1)), "region")
    plot.y_axis(y, _PARTS, "false alarms raised")
    plot.x_axis(x, _PARTS, "false alarms asked for")
    plot.line(x([0, 1]), y([0, 1]), "chance")
    plot.line(x(asked), y(raised), "usual strong")
    return plot.svg()
