"""ROC curves, score histograms and t-SNE maps, drawn into one picture."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from offkey._util.files import check_writable
from offkey.report.canvas import new_figure, save
from offkey.report.drawings import draw_embeddings, draw_histogram, draw_roc

__all__ = ["Panel", "overview"]


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
    figure = new_figure(13.5, 4.2 * len(panels))
    grid = figure.subplots(len(panels), 3, squeeze=False)
    for (roc, histogram, places), panel in zip(grid, panels, strict=True):
        ids = np.array(panel.machine_ids)
        for machine_id in sorted(set(panel.machine_ids)):
            labels, scores = panel.labels[ids == machine_id], panel.scores[ids == machine_id]
            if len(set(labels.tolist())) == 2:  # one class alone has no ROC curve
                draw_roc(labels, scores, ax=roc, name=f"ID {machine_id}")
        roc.set_title(panel.title, loc="left", fontweight="bold")
        draw_histogram(panel.scores, ax=histogram, labels=panel.labels)
        draw_embeddings(panel.points, ax=places, labels=panel.labels, machine_ids=panel.machine_ids)
        places.set_xlabel(f"t-SNE of {panel.points_of}")
    save(figure, path)
