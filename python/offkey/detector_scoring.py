"""The part of a detector that scores: a table in memory, or an archive's result on the disk."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal

from offkey._util.storage import Address, address_of
from offkey.advance import OnAdvance
from offkey.archive import (
    FDR,
    Archive,
    Engine,
    RayCluster,
    Shard,
    Totals,
    check_result,
    cluster_scorer,
    need_ray,
    scorer_here,
)
from offkey.datasets.passed_over import notes_on
from offkey.datasets.recordings import Recordings
from offkey.datasets.source import Progress
from offkey.detector_base import DetectorBase
from offkey.errors import OffkeyWarning, ParameterError
from offkey.models.base import check_device_name, check_scoring_precision
from offkey.recipe import ScoringPrecision
from offkey.score_file import Row
from offkey.score_progress import ScoringProgress
from offkey.score_rows import OnError, ScoreRows, Windows
from offkey.scores import ScoreTable
from offkey.scoring.drift import note_of_drift
from offkey.scoring.together import Together
from offkey.signal.audio import MAX_SECONDS

__all__ = ["ScoringDetector", "cluster_of", "score_archives"]


class ScoringDetector(DetectorBase):
    """The part of `offkey.Detector` that scores recordings and decides which sound wrong."""

    def score(
        self,
        recordings: Recordings,
        *,
        sample_rate: int | None = None,
        machine_id: str | None = None,
        false_alarm_rate: float | None = None,
        false_discovery_rate: float | None = None,
        windows: Windows = "worst",
        on_error: OnError = "record",
        device: str = "auto",
        precision: ScoringPrecision = "float32",
        max_seconds: float = MAX_SECONDS,
        num_threads: int | None = None,
        on_progress: Progress | None = None,
        on_advance: OnAdvance | None = None,
    ) -> ScoreTable:
        """Score recordings, and decide which sound wrong.

        A recording longer than twice the recipe's `training.clip_seconds` is cut into windows of that length, the last
        of which ends where the recording ends. It is as anomalous as its worst window, and its p-value is that of this
        window times the number of windows, at most 1. However long it is, a hundred megabytes of it are in memory.

        Parameters
        ----------
        recordings
            A folder that is searched for sound files, a file, a pattern such as ``incoming/*.wav`` if there is no file
            of that very name, a `Dataset` (its test clips), `Clips`, an `AudioBatch`, `Audio`, the bytes of a sound
            file, an open binary file, samples ``(samples,)`` with `sample_rate`; a list, a generator or another
            iterable of these; or `LogMelArrays`.
        sample_rate
            Rate of arrays of samples in Hz, since they carry none; float in [-1, 1], or int16.
        machine_id
            The ID of all of them. By default it is the table's, or is read from the file's name (``id_XX``, or
            ``section_XX`` at its head) and, if a folder is named, from the folders below it (``id_XX``, or named as a
            known ID). A clip of an unknown ID is scored as the known one nearest to it: column `scored_as`.
        false_alarm_rate
            The share of healthy recordings of a machine that may be called anomalous, above 0 and below 1; by default
            the recipe's (`scoring.false_alarm_rate`), and then the thresholds of `confirm` decide: docs/alarms.md.
        false_discovery_rate
            Decide on all recordings together, so that at most this part of those called anomalous is healthy: see
            `ScoreTable.with_false_discovery_rate`; by a tail where ranks among calibration clips can find none.
        windows
            Of a recording that is cut: `worst` gives one row, which has the scores of the worst window and in `start_s`
            where that begins; `each` gives a row for each window, decided on as a clip of its own.
        on_error
            Of a recording without a score, as it cannot be read or there is no sound in it: `record` gives it a row
            that says why, `skip` gives it none (see `ScoreTable.skipped`), `fail` ends the scoring by a `DatasetError`.
        device
            `auto`, `cpu`, `cuda`, or one GPU such as `cuda:1`, for the network.
        precision
            The numbers of the network's matrix products and convolutions: `float32`, or `float16`, which is faster on
            a GPU and changes the scores a little (docs/network.md).
        max_seconds
            A file that is longer gets no score; by default 24 hours.
        num_threads
            Threads of the kernels and of torch; all cores if None. The result depends on it by rounding at most.
        on_progress
            Called with (done, total) clips; the total is None for an iterator.
        on_advance
            Called with an `offkey.advance.Advance`, which has hours of audio and errors too.

        Returns
        -------
        ScoreTable
            Row i is recording i, given twice or not; inside a folder depth first, names in the order of their bytes.
            One that cannot be read to its end has no score, and says why in `error`.

        Raises
        ------
        FileNotFoundError
            If a folder or file does not exist. In an iterator that is the `error` of its row.
        DatasetError
            If there is no recording, or one has no score and `on_error` is `fail`.
        DeviceError
            If the device is not there.
        ParameterError, ArrayError
            If `recordings` are none of these, arrays of samples come without `sample_rate`, or a number is outside its
            range.

        Warns
        -----
        OffkeyWarning
            If files or folders were passed over, recordings were resampled, an ID is not known, a folder ``id_XX`` lies
            above what was named, the rate takes more calibration clips of an ID than there are, or recordings score
            otherwise than these (`offkey.scoring.drift`).
        """
        rows = ScoreRows(
            self._fitted(),
            rate=false_alarm_rate,
            fdr=false_discovery_rate,
            windows=windows,
            num_threads=num_threads,
            on_error=on_error,
        )
        self._compute_on(device, precision)
        source = self._source(
            recordings, sample_rate=sample_rate, machine_id=machine_id, max_seconds=max_seconds
        )
        progress = ScoringProgress(source, on_progress, on_advance)
        for chunk in rows.prepared(source.chunks(num_threads=num_threads)):
            rows.add(chunk)
            progress.add(chunk, errors=rows.failed)
        table = rows.table()
        table.survey = source.survey()
        for note in (*rows.notes(), *note_of_drift(table.drift), *notes_on(table.survey.passed_over)):
            warnings.warn(note, OffkeyWarning, stacklevel=2)
        return table

    def score_to(
        self,
        result: str | os.PathLike[str],
        recordings: Recordings,
        *,
        machine_id: str | None = None,
        false_alarm_rate: float | None = None,
        false_discovery_rate: float | None = None,
        windows: Windows = "worst",
        on_error: OnError = "record",
        restart: bool = False,
        new_only: bool = False,
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
        on_rows: Callable[[Sequence[Row]], None] = lambda rows: None,
    ) -> Totals:
        """Score an archive of recordings to a file or folder, however many they are, and go on where a run was stopped.

        Rows are written in parts of 4,096 recordings, as the table of `score` has them, and are in memory no longer. Of
        a run that was stopped, by a full disk or the loss of power, the parts are on the disk: the same call goes on
        after them, and the result is what it would have been.

        Parameters
        ----------
        result
            A file that ends in ``.csv``, ``.json``, ``.jsonl`` or ``.parquet``: parts lie in the folder
            ``RESULT.parts`` beside it until all are there, and become one file. Or a folder, which is then a table of
            Parquet files that pandas, polars, DuckDB, Spark and Arrow read as one; `ScoreTable.read` does too. Either
            may be on object storage, a URL such as ``s3://bucket/scores`` (docs/cluster.md).
        recordings, machine_id, false_alarm_rate, windows, device, precision, max_seconds, num_threads
            As for `score`.
        false_discovery_rate
            As for `score`. What is called is known once all recordings are scored: then parts are decided on, and those
            of a folder written anew, which until then have decisions by `false_alarm_rate`. A few dozen bytes of each
            row are in memory.
        on_error
            As for `score`; a skipped recording is known by name to the parts, and is not tried again. After `fail` the
            parts that were written stay, and the run goes on in any of the three ways.
        restart
            Whether to throw away the parts of a run that was stopped, or of another detector, and begin anew.
        new_only
            Score the recordings whose names have no row in `result` yet, each name once, and append them, for an
            archive that grows: those that were added since may stand anywhere in the order, and others may be gone. The
            folder ``RESULT.parts`` is then kept. Without it a result that is complete is refused when there are more
            recordings, but for a file without its parts, which is written anew.
        top
            Write the rows of so many recordings alone, the oddest first, to a file; all are scored and counted.
        shard
            ``(k, n)``: score the k-th of n shares, for jobs side by side on one or many machines, which have `result`
            and the recordings in common. Each writes parts of its own; `offkey.merge_scores` makes the result once all
            have ended.
        engine
            `local`: this process scores. `ray`, or a `RayCluster`: the workers of a Ray cluster do, which see the files
            of recordings and the place of `result` under the same paths; each writes its parts itself. The result is
            the same.
        on_part
            Called with the table of each part before it is written; what it returns is written. Workers call it where
            there are any.
        on_progress
            Called with (done, total) recordings; those of the run that was stopped count as done.
        on_advance
            As for `score`.
        on_rows
            Called with the rows of each part, as plain data, once all are there; those of earlier runs too.

        Returns
        -------
        Totals
            How many recordings there are in the result, or in the shard, and the oddest of them.

        Raises
        ------
        ParameterError
            If the parts that are there are of another detector, other options or other recordings, if another process
            writes to them, if `result` is a pipe or a folder that holds something else, or if `shard` or `engine` is
            none.
        MissingExtraError
            If Parquet is asked for and pyarrow is not installed, or Ray and it is not.
        ClusterError
            If a worker cannot score: it lacks the package, sees other recordings, or dies again and again.
        OSError
            If a part cannot be written; those that were written stay.
        FileNotFoundError, DatasetError, DeviceError, ArrayError
            As for `score`.

        Warns
        -----
        OffkeyWarning
            As for `score`, about the recordings that were scored by this call.
        """
        path = address_of(result)
        check_result(path)
        (totals,) = score_archives(
            {path: self},
            recordings,
            machine_id=machine_id,
            false_alarm_rate=false_alarm_rate,
            false_discovery_rate=false_discovery_rate,
            windows=windows,
            on_error=on_error,
            shard=Shard(*shard),
            cluster=cluster_of(engine),
            device=device,
            precision=precision,
            max_seconds=max_seconds,
            num_threads=num_threads,
            restart=restart,
            new_only=new_only,
            top=top,
            on_part=on_part,
            on_progress=on_progress,
            on_advance=on_advance,
            on_rows=on_rows,
        )
        return totals


def score_archives(
    detectors: Mapping[Address, DetectorBase],
    recordings: Recordings,
    *,
    machine_id: str | None,
    false_alarm_rate: float | None,
    false_discovery_rate: float | None,
    windows: Windows,
    on_error: OnError,
    shard: Shard,
    cluster: RayCluster | None,
    device: str,
    precision: ScoringPrecision,
    max_seconds: float,
    num_threads: int | None,
    **run: Any,
) -> list[Totals]:
    """Score recordings by one or several detectors that hear the same of them, each to a result of its own.

    Parameters
    ----------
    detectors
        Result -> its detector.
    recordings, machine_id, false_alarm_rate, false_discovery_rate, windows, on_error, device, precision
        As for `ScoringDetector.score_to`; `max_seconds` and `num_threads` likewise.
    shard, cluster
        Which parts are scored; what scores them, None: this process.
    **run
        Of `Archive.score`; `on_rows` is called for the first result.
    """
    first, *others = detectors.values()
    how: dict[str, Any] = {
        "rate": false_alarm_rate,
        "fdr": false_discovery_rate,
        "windows": windows,
        "on_error": on_error,
    }
    rows = [ScoreRows(each._fitted(), num_threads=num_threads, **how) for each in detectors.values()]
    source = first._source(recordings, others=others, machine_id=machine_id, max_seconds=max_seconds)
    options = {
        "machine_id": machine_id,
        "false_alarm_rate": false_alarm_rate,
        "windows": windows,
        "max_seconds": max_seconds,
        "precision": precision,
    }
    if false_discovery_rate is not None:
        options[FDR] = false_discovery_rate
    if cluster is None:
        for each in detectors.values():
            each._compute_on(device, precision)
        scorer: Engine = partial(scorer_here, rows=rows, num_threads=num_threads)
    else:
        check_device_name(device)
        check_scoring_precision(precision)
        scorer = partial(
            cluster_scorer,
            rows=rows,
            cluster=cluster,
            fitted=[each._fitted() for each in detectors.values()],
            options=how,
            num_threads=num_threads,
            device=device,
            precision=precision,
            max_seconds=max_seconds,
        )
    together = [each.together() for each in rows]
    archives = [
        Archive(path, each._fitted(), options, shard, on_error, decides)
        for (path, each), decides in zip(detectors.items(), together, strict=True)
    ]
    totals = archives[0].score(source, scorer, others=archives[1:], **run)
    survey = source.survey()
    for of_result in totals:
        of_result.survey = survey
    notes = [
        f"{path}: {note}" if others else note
        for path, each, decides in zip(detectors, rows, together, strict=True)
        for note in (*each.notes(), *_note_of(decides), *note_of_drift(each.drift()))
    ]
    for note in (*notes, *notes_on(survey.passed_over)):
        warnings.warn(note, OffkeyWarning, stacklevel=3)
    return totals


def _note_of(together: Together | None) -> list[str]:
    return [] if together is None or together.note is None else [together.note]


def cluster_of(engine: Literal["local", "ray"] | RayCluster) -> RayCluster | None:
    """Return the cluster that scores; None: this process does.

    Raises
    ------
    ParameterError, MissingExtraError
        If `engine` is none, or Ray is not installed.
    """
    if engine == "local":
        return None
    if engine != "ray" and not isinstance(engine, RayCluster):
        raise ParameterError(f"engine = {engine!r}: expected 'local', 'ray' or a RayCluster")
    need_ray()
    return engine if isinstance(engine, RayCluster) else RayCluster()
