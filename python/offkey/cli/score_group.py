"""`offkey score` with several detectors: a result for each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from offkey._util.storage import Address
from offkey.archive import Shard, Totals, is_finished_file
from offkey.cli import console
from offkey.cli.pace import Pace, ProgressFile
from offkey.detector import load
from offkey.detector_group import score_to
from offkey.errors import ParameterError

__all__ = ["named_detectors", "results_of", "score_group"]

_ENDING = ".offkey"


def named_detectors(named: list[str]) -> tuple[list[Path], list[str]]:
    """Return the detectors that a list begins with, by their ending, and the rest; the first is one in any case."""
    count = 1
    while count < len(named) and named[count].endswith(_ENDING):
        count += 1
    return list(map(Path, named[:count])), named[count:]


def results_of(
    detectors: list[Path], out: Address | None, refused: Mapping[str, bool]
) -> dict[Address, Path]:
    """Return the result of each detector: `out` with the detector's name behind its own.

    Parameters
    ----------
    detectors
        Their files.
    out
        What ``--out`` names.
    refused
        Options that take one detector -> whether they are given.

    Raises
    ------
    ParameterError
        If there is no `out`, an option takes one detector, or two detectors have the same name.
    """
    listed = ", ".join(map(str, detectors))
    if out is None:
        raise ParameterError(
            f"{listed}: several detectors write a result each; expected --out, such as --out scores.csv"
        )
    for option in (option for option, is_given in refused.items() if is_given):
        raise ParameterError(
            f"{option}: takes one detector, given {listed}; leave it out, or name one of them"
        )
    results = {out.with_name(f"{out.stem}-{detector.stem}{out.suffix}"): detector for detector in detectors}
    if len(results) < len(detectors):
        raise ParameterError(
            f"{listed}: two have the same name, after which results are named; copy one to another name"
        )
    return results


def score_group(
    results: Mapping[Address, Path],
    recordings: Iterable[Path | str],
    file: ProgressFile | None,
    shard: Shard,
    **options: Any,
) -> tuple[dict[Address, Totals], Pace]:
    """Score by the detector of each result; options as of `offkey.score_to`."""
    detectors = {result: load(detector) for result, detector in results.items()}
    for result in filter(is_finished_file, results):
        console.note(f"{result} is there already: it is written anew once all is scored")
    with console.bars(file) as bars:
        counter = bars.counter("scoring")
        totals = score_to(
            detectors, recordings, shard=(shard.number, shard.of), on_advance=counter.advance, **options
        )
    return totals, counter.pace
