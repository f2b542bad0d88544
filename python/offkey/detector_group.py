"""Several detectors that score the same recordings at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Literal, TypeVar

from offkey._util.storage import Address, address_of
from offkey.advance import OnAdvance
from offkey.archive import RayCluster, Shard, Totals, check_result
from offkey.datasets.recordings import Recordings
from offkey.datasets.source import Progress
from offkey.detector_scoring import ScoringDetector, cluster_of, score_archives
from offkey.errors import ParameterError
from offkey.recipe import ScoringPrecision
from offkey.score_rows import OnError, Windows
from offkey.scores import ScoreTable
from offkey.signal.audio import MAX_SECONDS

__all__ = ["score_to"]

AnyPath = TypeVar("AnyPath", str, Path, os.PathLike[str], Address)


def score_to(
    detectors: Mapping[AnyPath, ScoringDetector],
    recordings: Recordings,
    *,
    machine_id: str | None = None,
    false_alarm_rate: float | None = None,
    false_discovery_rate: float | None = None,
    windows: Windows = "worst",
    on_error: OnError = "record",
    restart: bool = False,
    top: int | None = None,
    shard: tuple[int, int] = (1, 1),
    engine: Literal["local", "ray"] | RayCluster = "local",
    device: str = "auto",
    precision: ScoringPrecision = "float32",
    max_seconds: float = MAX_SECONDS,
    num_threads: int | None = None,
    on_part: Callable[[ScoreTable], ScoreTable] = lambda table: table,
    on_progress: Progress | None = None,
    on_advance: OnAdvance | None = None,
) -> dict[Address, Totals]:
    """Score an archive of recordings by several detectors at once, each to a result of its own.

    Detectors that hear the same of a recording (rate, channel, log-Mel, windows, and machine IDs, after which folders
    may be named) share a pass: each recording is read once, and its log-Mel and statistics are computed once. Others
    have passes of their own, one after the other. Each result is what `Detector.score_to` gives of its detector alone,
    and a run that was stopped goes on in the same way.

    Parameters
    ----------
    detectors
        Result, a file, folder or URL as `Detector.score_to` takes it -> the detector whose scores it gets.
    recordings, machine_id, false_alarm_rate, false_discovery_rate, windows, on_error, restart, top, shard, engine
        As for `Detector.score_to`.
    device, precision, max_seconds, num_threads, on_part, on_progress, on_advance
        Likewise; progress begins anew with each pass.

    Returns
    -------
    dict of Path to Totals
        Of each result; a URL is the text that it is.

    Raises
    ------
    ParameterError
        If there is no detector, or two results are the same, or recordings that can be read only once are needed for
        more than one pass.
    ClusterError, DatasetError, DeviceError, ArrayError, MissingExtraError, OSError
        As for `Detector.score_to`.

    Warns
    -----
    OffkeyWarning
        As for `Detector.score_to`.
    """
    results = {address_of(result): detector for result, detector in detectors.items()}
    if not results or len({path.absolute() for path in results}) < len(detectors):
        names = ", ".join(map(str, detectors)) or "none"
        raise ParameterError(
            f"detectors: given results {names}; expected one or more, each another file or folder"
        )
    cluster = cluster_of(engine)
    passes = list(_passes(results))
    if len(passes) > 1 and isinstance(recordings, Iterator):
        first, second = (next(iter(group)) for group in passes[:2])
        raise ParameterError(
            f"{first} and {second}: their detectors do not hear the same of a recording, and need a pass each; these "
            "recordings can be read only once: name folders or a list, or score by one detector"
        )
    for path in results:
        check_result(path)
    totals: dict[Address, Totals] = {}
    for group in passes:
        of_group = score_archives(
            group,
            recordings,
            machine_id=machine_id,
            false_alarm_rate=false_alarm_rate,
            false_discovery_rate=false_discovery_rate,
            windows=windows,
            on_error=on_error,
            shard=Shard(*shard),
            cluster=cluster,
            device=device,
            precision=precision,
            max_seconds=max_seconds,
            num_threads=num_threads,
            restart=restart,
            top=top,
            on_part=on_part,
            on_progress=on_progress,
            on_advance=on_advance,
        )
        totals |= zip(group, of_group, strict=True)
    return {path: totals[path] for path in results}


def _passes(detectors: Mapping[Address, ScoringDetector]) -> Iterator[dict[Address, ScoringDetector]]:
    """Yield the detectors that share a pass."""
    rest = dict(detectors)
    while rest:
        group: dict[Address, ScoringDetector] = {}
        for path, detector in rest.items():
            if all(detector.hears_as(member) for member in group.values()):
                group[path] = detector
        rest = {path: detector for path, detector in rest.items() if path not in group}
        yield group
