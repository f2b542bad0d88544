"""Writes the page."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import importlib.util
import os
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from offkey import __version__
from offkey._util.files import check_writable, ending_of, write_text
from offkey._util.text_table import printable
from offkey.errors import MissingExtraError, ParameterError
from offkey.report.page.clips import MOST_BYTES, ClipReader, Player, players_of
from offkey.report.page.results import Result, read_results
from offkey.report.page.sections import MOST_CLIPS, Page, page_of, with_clips, with_embeddings

if TYPE_CHECKING:
    from offkey.datasets import Clips
    from offkey.detector import Detector

__all__ = ["check_target", "html"]

_ROOM = 2000  # bytes for what is said of the sounds
_TEMPLATES = resources.files(__package__) / "templates"


def html(
    results: Result | Iterable[Result],
    path: str | os.PathLike[str],
    *,
    detector: Detector | None = None,
    recordings: str | os.PathLike[str] | None = None,
    most_shown: int = MOST_CLIPS,
    labels: Clips | None = None,
    time_pattern: str | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write one HTML file that needs no network: scores, figures and provenance of results.

    Parameters
    ----------
    results
        One or several: files of scores (CSV, JSON, JSON lines, Parquet), folders of Parquet files, JSON files of
        `offkey evaluate`, folders of `offkey bench`; or a `ScoreTable`, an `Evaluation`, a `Benchmark`.
    path
        The file to write, ``.html`` or ``.htm``.
    detector
        That has scored them, to be described; it also explains the recordings that are shown, and if it has a network,
        there is a map of the embeddings of up to 400.
    recordings
        The folder of the recordings: the oddest, at most 20 of a machine, are then shown with waveform, log-Mel and
        sound. A path of the scores stands for the file itself if that lies below it, or for one that ends like it.
    most_shown
        How many recordings are shown in all, from 1.
    labels
        Clips that know labels, matched by path as in `offkey.evaluate`, for scores that have none; such as
        ``offkey.datasets.load(folder).test``.
    time_pattern
        How the names of the recordings say when they were made, as for `offkey.trend`. By default scores are drawn over
        time where all names say it in one of the common ways.
    on_progress
        Called with (done, total) recordings that are shown.

    Raises
    ------
    FileNotFoundError
        If there is no such result.
    NotADirectoryError
        If there is no such folder of recordings.
    DatasetError
        If a result is damaged or none, two tables have scores of one recording, labels do not match the recordings, or
        a name has no time where `time_pattern` is given.
    ParameterError
        If an ending is none of those, there is no result, or labels, a pattern or `most_shown` are of no use.
    MissingExtraError
        If jinja2 is not installed, matplotlib and scikit-learn for `recordings`, or pyarrow for Parquet; that is found
        out first.
    OSError
        If the page cannot be written.
    """
    path = Path(path)
    check_target(path, pictures=recordings is not None)
    if most_shown < 1:
        raise ParameterError(f"most_shown = {most_shown}: expected at least 1")
    reader = None if recordings is None else ClipReader(Path(recordings), detector)
    read = read_results(results)
    if read.scores is None and (labels is not None or time_pattern is not None):
        raise ParameterError("labels and time_pattern belong to scores of recordings; there are none")
    page = page_of(read, detector=detector, labels=labels, time_pattern=time_pattern)
    players: Mapping[str, Player] = {}
    if reader is not None:
        page = with_clips(page, reader, most=most_shown, on_progress=on_progress)
        page = with_embeddings(page, reader, detector)
        silent = len(_rendered(page, players).encode())
        players, notes = players_of(page.clips, most_bytes=MOST_BYTES - _ROOM - silent)
        page = dataclasses.replace(page, notes=[*page.notes, *notes])
    write_text(path, _rendered(page, players))


def check_target(path: Path, *, pictures: bool = False) -> None:
    """Find out before any work whether a page can be written to `path`.

    Raises
    ------
    ParameterError, MissingExtraError, OSError
        As `html`.
    """
    ending_of(path, (".html", ".htm"))
    for library in ("jinja2", "matplotlib", "sklearn") if pictures else ("jinja2",):
        if importlib.util.find_spec(library) is None:
            raise MissingExtraError(f"{library}: a report needs the extra: pip install 'offkey[report]'")
    check_writable(path)


def _rendered(page: Page, players: Mapping[str, Player]) -> str:
    """Return the page as HTML. Text is shown as it is printable, and escaped."""
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_template),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: printable(value) if type(value) is str else value,
    )
    script, style = _template("script.js"), _template("style.css")
    return environment.get_template("page.html.j2").render(
        page=page,
        players=players,
        version=__version__,
        script=Markup(script),
        style=Markup(style),
        # What is not of these two texts is neither run nor applied, and nothing is loaded.
        policy="default-src 'none'; img-src data:; media-src data:; base-uri 'none'; form-action 'none'; "
        f"script-src '{_digest(script)}'; style-src '{_digest(style)}'",
        drawn=Markup,
    )


@cache
def _template(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
