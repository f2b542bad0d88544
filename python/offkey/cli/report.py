"""`offkey report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from offkey.cli import console, exit_codes
from offkey.report.page.html import check_target, html

__all__ = ["report"]


def report(
    results: list[Path],
    /,
    *,
    out: Annotated[Path, Parameter(alias="-o")] = Path("report.html"),
    detector: Path | None = None,
    recordings: Path | None = None,
) -> int:
    """Put scores, evaluations and benchmarks on one page: an HTML file that needs no network.

    Parameters
    ----------
    results
        What `offkey score` wrote (files or folders), JSON files of `offkey evaluate`, folders of `offkey bench`; of
        several files of scores, each recording in one of them.
    out
        The page, `.html`.
    detector
        The detector that has scored them, to be described on the page; it explains the recordings that are shown.
    recordings
        The folder of the recordings: the oddest, 20 of a machine and 60 in all, are shown with waveform, log-Mel and
        sound.
    """
    check_target(out, pictures=recordings is not None)
    trained = None
    if detector is not None:
        from offkey.detector import load

        trained = load(detector)
    with console.bars() as bars:
        html(results, out, detector=trained, recordings=recordings, on_progress=bars.counter("showing"))
    console.note(f"report written to {out}")
    return exit_codes.DONE
