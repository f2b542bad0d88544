"""Loss curves of a training."""

from __future__ import annotations

import itertools
from pathlib import Path

from offkey._util.files import check_writable
from offkey.models.network.events import read_metrics
from offkey.report.canvas import COLOURS, new_figure, plain, save

__all__ = ["training_curves"]


def training_curves(metrics: str | Path, path: str | Path) -> None:
    """Draw the loss of each task over the epochs of a metrics file, and mark the start of stage 2.

    Parameters
    ----------
    metrics
        A file of `offkey train --metrics`, finished or still being written.
    path
        Where to save the picture; its ending (``.png``, ``.svg``, ``.pdf``) is its format.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    TrainingError
        If the file is no metrics file.
    MissingExtraError
        If matplotlib is not installed.
    OSError
        If the picture cannot be written.
    """
    check_writable(path)
    epochs = read_metrics(Path(metrics))
    figure = new_figure(8, 4.2)
    axes = figure.subplots()
    for colour, name in zip(COLOURS, sorted({name for line in epochs for name in line.losses}), strict=False):
        points = [(line.epoch, line.losses[name]) for line in epochs if name in line.losses]
        x, y = zip(*points, strict=True)
        axes.plot(x, y, color=colour, lw=1.8, label=name, marker="." if len(points) == 1 else None)
    for before, after in itertools.pairwise(epochs):
        if after.stage != before.stage:
            axes.axvline(before.epoch + 0.5, color="0.7", lw=1, ls=":")
            axes.text(before.epoch + 0.8, 0.98, f"stage {after.stage}", color="0.45", fontsize=8,
                      transform=axes.get_xaxis_transform(), va="top")  # fmt: skip
    axes.set(xlabel="epoch", ylabel="loss, mean over the epoch")
    if epochs:
        axes.set_ylim(bottom=0)
        axes.legend(fontsize=8, frameon=False)
    plain(axes)
    save(figure, path)
