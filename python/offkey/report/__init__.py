"""Pictures and pages for people. Needs the extra `report` (jinja2, matplotlib, scikit-learn)."""

from offkey.report.curves import training_curves
from offkey.report.drawings import (
    draw_calibration,
    draw_det,
    draw_embeddings,
    draw_histogram,
    draw_logmel,
    draw_map,
    draw_roc,
    draw_scores,
)
from offkey.report.explanations import explanation_plot
from offkey.report.page import html
from offkey.report.plots import Panel, overview
from offkey.report.trends import trend_plot

__all__ = [
    "Panel",
    "draw_calibration",
    "draw_det",
    "draw_embeddings",
    "draw_histogram",
    "draw_logmel",
    "draw_map",
    "draw_roc",
    "draw_scores",
    "explanation_plot",
    "html",
    "overview",
    "training_curves",
    "trend_plot",
]
