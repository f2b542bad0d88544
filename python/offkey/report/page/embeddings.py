"""The map of a network's embeddings: how alike recordings sound to it."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from offkey._util.words import reason
from offkey.errors import OffkeyError, OffkeyWarning
from offkey.report.page.machines import Columns, Machine
from offkey.report.page.svg import Plot
from offkey.report.plotted import tsne
from offkey.scores import ScoreTable

if TYPE_CHECKING:
    from offkey.detector import Detector
    from offkey.report.page.clips import ClipReader

__all__ = ["Place", "embedding_map", "places_of"]

_MOST = 400
"""Recordings on a map."""
_FEWEST = 5
_HUES = 8
_WIDTH, _HEIGHT = 520.0, 430.0
_MARGIN, _LINE, _LETTER = 14.0, 20.0, 7.2  # pixels


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A recording that may be on the map."""

    source: Path
    machine: str
    mark: str
    """Why it has a cross: its label says anomalous, or without any labels its decision; else empty."""


def places_of(table: ScoreTable, machines: Sequence[Machine], columns: Columns) -> list[Place]:
    """Return recordings for a map, of each machine as many, over the whole range of its scores."""
    labelled = bool((table.label >= 0).any())
    odd, mark = (
        (table.label == 1, "labelled anomalous") if labelled else (table.decision == 1, "that sound wrong")
    )
    each = max(1, _MOST // max(1, len(machines)))
    return [
        Place(source=Path(columns.paths[row]), machine=machine.name, mark=mark if odd[row] else "")
        for machine in machines
        for row in _spread(machine, columns, each)
    ][:_MOST]


def _spread(machine: Machine, columns: Columns, most: int) -> list[int]:
    """Return rows of so many recordings of a machine, from the oddest to the least odd."""
    rows = machine.rows[np.argsort(columns.ranks[machine.rows], kind="stable")]
    rows = rows[columns.ranks[rows] < len(columns.ranks)]
    rows = rows[np.sort(np.unique(columns.recordings[rows], return_index=True)[1])]
    at = np.unique(np.linspace(0, len(rows) - 1, min(most, len(rows))).round().astype(int))
    chosen: list[int] = rows[at].tolist()
    return chosen


def embedding_map(places: Sequence[Place], reader: ClipReader, detector: Detector) -> tuple[str, str] | str:
    """Return a drawing of recordings as the detector's network hears them, and what it shows; or why there is none.

    Parameters
    ----------
    places
        The recordings; those that are not below the reader's folder are left out.
    reader
        Finds them.
    detector
        With a network.
    """
    files = [(place, reader.file(place.source)) for place in places]
    found = [(place, file) for place, file in files if file is not None]
    if len(found) < _FEWEST:
        return (
            f"no map of embeddings: {len(found)} recordings are there, and fewer than {_FEWEST} say nothing"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", OffkeyWarning)
            vectors = detector.embeddings([file for _, file in found])
    except (OffkeyError, OSError) as error:
        return f"no map of embeddings: {reason(error)}"
    shown = [place for place, _ in found]
    crosses = "".join(f" Crosses: those {mark}." for mark in {place.mark for place in shown} - {""})
    return _drawn(shown, tsne(vectors)), f"{len(found):,} recordings, by t-SNE: near means alike.{crosses}"


def _drawn(places: Sequence[Place], points: NDArray[np.float64]) -> str:
    machines = sorted({place.machine for place in places})
    hues = {machine: at if len(machines) <= _HUES else 0 for at, machine in enumerate(machines)}
    legend = _legend(machines) if len(machines) <= _HUES else []
    top = _MARGIN + _LINE * (1 + max((line for _, line, _ in legend), default=-1))
    plot = Plot(
        "Map of the network's embeddings",
        width=_WIDTH,
        height=_HEIGHT,
        left=_MARGIN,
        right=_MARGIN,
        top=top,
        bottom=0,
    )
    for x, line, machine in legend:
        y = _MARGIN + _LINE * line
        plot.dots([x], [y], f"hue{hues[machine]}")
        plot.text(x + 9, y + 4, machine)
    low, high = points.min(axis=0), points.max(axis=0)
    size = np.array([_WIDTH - 2 * _MARGIN, _HEIGHT - top - 2 * _MARGIN])
    scale = (size / np.where(high > low, high - low, 1)).min()
    pixels = (points - (low + high) / 2) * scale + np.array([_WIDTH / 2, top + _MARGIN + size[1] / 2])
    for hue in sorted(set(hues.values())):
        for odd, mark in ((False, plot.dots), (True, plot.crosses)):
            mine = [hues[place.machine] == hue and bool(place.mark) == odd for place in places]
            mark(pixels[mine, 0], pixels[mine, 1], f"hue{hue}")
    return plot.svg()


def _legend(machines: Sequence[str]) -> list[tuple[float, int, str]]:
    """Return where the name of each machine stands: pixel and line."""
    placed, x, line = [], _MARGIN, 0
    for machine in machines:
        width = 30 + _LETTER * len(machine)
        if x > _MARGIN and x + width > _WIDTH:
            x, line = _MARGIN, line + 1
        placed.append((x, line, machine))
        x += width
    return placed
