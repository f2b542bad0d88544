"""Figures of matplotlib, without pyplot: no global state, no display, safe in threads."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from offkey._util.files import atomic_path
from offkey.errors import MissingExtraError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["BLUE", "COLOURS", "RED", "axes_or_new", "colours", "new_figure", "plain", "save"]

# Okabe and Ito (2008): distinguishable for colour-blind readers and in grey print.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")
BLUE, RED = COLOURS[0], COLOURS[5]
"""Of what is healthy, and of what is not."""


def new_figure(width: float, height: float) -> Any:
    """Return an empty figure of a size in inches.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError(f"{error}: pictures need the extra: pip install 'offkey[report]'") from None
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def axes_or_new(ax: Axes | None, *, width: float = 5.0, height: float = 4.0) -> Axes:
    """Return the axes, or those of a new figure, whose `savefig` writes it."""
    if ax is not None:
        return ax
    axes: Axes = new_figure(width, height).subplots()
    return axes


def save(figure: Any, path: str | Path, *, dpi: float = 110) -> None:
    """Write a figure, whole or not at all, in the format of the file's ending."""
    with atomic_path(path) as scratch:
        figure.savefig(scratch, dpi=dpi)


def colours() -> Iterator[str]:
    """Yield the colours again and again."""
    return itertools.cycle(COLOURS)


def plain(axes: Axes) -> None:
    """Take away what a picture does not need."""
    axes.spines[["top", "right"]].set_visible(False)
