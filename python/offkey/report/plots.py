"""ROC curves, score histograms and t-SNE maps, drawn into one picture."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from offkey._util.files import atomic_path, check_writable
from offkey.errors import MissingExtraError
from offkey.metrics import auc, roc_curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["COLOURS", "Panel", "matplotlib_classes", "overview", "plain"]

# Okabe and Ito (2008): distinguishable for colour-blind readers and in grey print.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")
_NORMAL, _ANOMALOUS = "#0072B2", "#D55E00"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """Scores of one detector on one test set: a row of the picture."""

    title: str
    scores: np.ndarray
    """Anomaly scores ``(clips,)``."""
    labels: np.ndarray
    """``(clips,)``, 1 = anomaly."""
    machine_ids: tuple[str, ...]
    """The clips' IDs."""
    points: np.ndarray
    """``(clips, dim)`` to be drawn as a t-SNE map."""
    points_of: str
    """What the points are."""


def overview(panels: list[Panel], path: str | Path) -> None:
    """Draw a row for each panel: ROC curve of each ID, histogram of the scores, t-SNE map.

    Parameters
    ----------
    panels
        At least one.
    path
        Where to save the picture; its ending (``.png``, ``.svg``, ``.pdf``) is its format.

    Raises
    ------
    MissingExtraError
        If matplotlib or scikit-learn is not installed.
    OSError
        If the picture cannot be written; that is found out before it is drawn.
    """
    check_writable(path)
    figure_class, canvas_class = matplotlib_classes()
    figure = figure_class(figsize=(13.5, 4.2 * len(panels)), layout="constrained")
    canvas_class(figure)
    grid = figure.subplots(len(panels), 3, squeeze=False)
    for row, panel in zip(grid, panels, strict=True):
        _roc(row[0], panel)
        _histogram(row[1], panel)
        _map(row[2], panel)
    with atomic_path(path) as scratch:
        figure.savefig(scratch, dpi=110)


def matplotlib_classes() -> tuple[Any, Any]:
    """Return figure and canvas, without pyplot: no global state, no display, safe in threads."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError(f"{error}: pictures need the extra: pip install 'offkey[report]'") from None
    return Figure, FigureCanvasAgg


def _roc(axes: Axes, panel: Panel) -> None:
    ids = np.array(panel.machine_ids)
    for colour, machine_id in zip(_cycle(), sorted(set(panel.machine_ids)), strict=False):
        mine = ids == machine_id
        if len(set(panel.labels[mine].tolist())) < 2:
            continue  # one class alone has no ROC curve
        false_positives, true_positives, _ = roc_curve(panel.labels[mine], panel.scores[mine])
        area = auc(panel.labels[mine], panel.scores[mine])
        axes.plot(
            false_positives, true_positives, color=colour, lw=1.8, label=f"ID {machine_id}: AUC {area:.3f}"
        )
    axes.plot([0, 1], [0, 1], color="0.7", lw=1, ls=":")
    axes.axvspan(0, 0.1, color="0.93", zorder=0)
    axes.text(0.05, 0.02, "pAUC", ha="center", fontsize=8, color="0.45")
    axes.set(xlabel="false-positive rate", ylabel="true-positive rate", xlim=(0, 1), ylim=(0, 1.01))
    axes.set_title(panel.title, loc="left", fontweight="bold")
    axes.legend(loc="lower right", fontsize=8, frameon=False)
    plain(axes)


def _histogram(axes: Axes, panel: Panel) -> None:
    # Far outliers would squeeze the rest into one bin: what lies beyond is counted in the last one.
    top = np.quantile(panel.scores, 0.98)
    shown = np.minimum(panel.scores, top)
    bins = np.linspace(shown.min(), top, 36)
    for label, name, colour in ((0, "normal", _NORMAL), (1, "anomalous", _ANOMALOUS)):
        axes.hist(shown[panel.labels == label], bins.tolist(), color=colour, alpha=0.6, label=name)
    axes.set(xlabel="anomaly score", ylabel="clips")
    axes.legend(fontsize=8, frameon=False)
    plain(axes)


def _map(axes: Axes, panel: Panel) -> None:
    points = _tsne(panel.points)
    ids = np.array(panel.machine_ids)
    for colour, machine_id in zip(_cycle(), sorted(set(panel.machine_ids)), strict=False):
        for label, marker, name in ((0, "o", "normal"), (1, "x", "anomalous")):
            mine = (ids == machine_id) & (panel.labels == label)
            axes.scatter(
                x=points[mine, 0],
                y=points[mine, 1],
                s=22,
                color=colour,
                marker=marker,
                lw=1,
                label=f"{machine_id} {name}",
            )
    axes.set(xticks=[], yticks=[], xlabel=f"t-SNE of {panel.points_of}")
    axes.legend(
        fontsize=7, frameon=False, ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.06)
    )  # below the points
    plain(axes)


def _tsne(vectors: np.ndarray) -> np.ndarray:
    try:
        from sklearn.manifold import TSNE
    except ImportError as error:
        raise MissingExtraError(f"{error}: the map needs the extra: pip install 'offkey[report]'") from None
    perplexity = min(30.0, max(1.0, (len(vectors) - 1) / 3))
    points: np.ndarray = TSNE(perplexity=perplexity, init="pca", random_state=0).fit_transform(vectors)
    return points


def _cycle() -> list[str]:
    return list(COLOURS) * 8


def plain(axes: Axes) -> None:
    """Take away what a picture does not need."""
    axes.spines[["top", "right"]].set_visible(False)
