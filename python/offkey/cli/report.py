"""`offkey report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from offkey.cli import console, exit_codes
from offkey.cli.options import DataOptions
from offkey.cli.tested import tested
from offkey.report.page.html import check_target, html
from offkey.report.page.sections import MOST_CLIPS

__all__ = ["report"]


def report(
    results: list[Path],
    /,
    *,
    out: Annotated[Path, Parameter(alias="-o")] = Path("report.html"),
    detector: Path | None = None,
    recordings: Path | None = None,
    most_shown: int = MOST_CLIPS,
    time_pattern: str | None = None,
    data: Path | None = None,
    reading: DataOptions = DataOptions(),  # noqa: B008  # immutable
    seed: int = 0,
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
        The folder of the recordings: the oddest, 20 of a machine and `--most-shown` in all, are shown with waveform,
        log-Mel and sound.
    most_shown
        How many recordings are shown.
    time_pattern
        How names say when recordings were made, as for `offkey trend`, such as `"%d.%m.%Y %H-%M"`. By default scores
        are drawn over time where all names of a machine say it in one of the common ways.
    data
        The dataset that was scored, or its test part alone, for its labels where the scores have none.
    seed
        The seed given to `offkey train`; it may decide which recordings are for testing.
    """
    check_target(out, pictures=recordings is not None)
    trained = None
    if detector is not None:
        from offkey.detector import load

        trained = load(detector)
    with console.bars() as bars:
        html(
            results,
            out,
            detector=trained,
            recordings=recordings,
            most_shown=most_shown,
            labels=None if data is None else tested(reading, data, seed).test,
            time_pattern=time_pattern,
            on_progress=bars.counter("showing"),
        )
    console.note(f"report written to {out}")
    return exit_codes.DONE
