"""`offkey score`."""

from __future__ import annotations

import dataclasses
import shutil
import sys
import time
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from offkey._util.files import check_writable, is_stream
from offkey._util.storage import Address
from offkey.archive import Shard, Totals, check_result, is_finished_file, merge_scores
from offkey.archive.totals import ODDEST
from offkey.cli import app, console, exit_codes
from offkey.cli.engine import EngineOptions
from offkey.cli.listing import MOST, listing, oddest_lines
from offkey.cli.options import Device, RateOptions, ScoresPath
from offkey.cli.pace import Pace, ProgressFile, told_to
from offkey.cli.score_group import named_detectors, results_of, score_group
from offkey.cli.sources import FailedList, failed_list, listed_sources
from offkey.cli.words import in_options, table_in_options
from offkey.detector import Detector, load
from offkey.errors import ParameterError
from offkey.recipe import ScoringPrecision
from offkey.score_file import check_target
from offkey.score_rows import OnError, Windows
from offkey.scores import ScoreTable, check_top
from offkey.signal.audio import MAX_SECONDS

__all__ = ["score"]

_DEFAULTS = ("worst", "record", "auto", "float32", MAX_SECONDS)
"""Of --windows, --on-error, --device, --precision and --max-seconds."""


def score(
    detector: Path | None = None,
    recordings: Annotated[list[str] | None, Parameter(negative=())] = None,
    /,
    *,
    files_from: Annotated[Path | None, Parameter(allow_leading_hyphen=True)] = None,
    null: Annotated[bool, Parameter(negative=())] = False,
    out: Annotated[ScoresPath | None, Parameter(alias="-o")] = None,
    restart: Annotated[bool, Parameter(negative=())] = False,
    new_only: Annotated[bool, Parameter(negative=())] = False,
    shard: str | None = None,
    merge: ScoresPath | None = None,
    failed: Path | None = None,
    machine_id: str | None = None,
    rate: RateOptions = RateOptions(),  # noqa: B008  # immutable
    false_discovery_rate: Annotated[float | None, Parameter(alias="--fdr")] = None,
    top: int | None = None,
    scores: Annotated[bool, Parameter(negative=())] = False,
    windows: Windows = "worst",
    on_error: OnError = "record",
    engine: EngineOptions = EngineOptions(),  # noqa: B008  # immutable
    device: Device = "auto",
    precision: ScoringPrecision = "float32",
    max_seconds: float = MAX_SECONDS,
    threads: int | None = None,
    progress_json: Annotated[Path | None, Parameter(allow_leading_hyphen=True)] = None,
    json: bool = False,
) -> int:
    """Score recordings with a trained detector and decide which sound wrong.

    Parameters
    ----------
    detector
        A detector that `offkey train` wrote. Others may follow, files that end in `.offkey`: each writes a result of
        its own, named after it, such as `scores-fan.csv` and `scores-pump.csv` for `--out scores.csv`; a recording is
        read once for all that hear the same of it.
    recordings
        Sound files, folders that are searched for them, or patterns such as `"incoming/*.wav"`; on object storage too,
        such as `s3://bucket/folder`.
    files_from
        A file that lists recordings, a path in each line, after those that are named; `-` is standard input. It is read
        as it comes, so that there may be millions.
    null
        The paths in it, and in the list of `--failed`, end with NUL instead, as `find -print0` writes them.
    out
        Write the scores to this file, by its ending as CSV, JSON, JSON lines or Parquet (`.csv`, `.json`, `.jsonl`,
        `.parquet`), or to this folder as a table of Parquet files, part by part: a run that is stopped goes on when the
        same command is given again. Either may be on object storage, such as `s3://bucket/scores`. By default they go
        to stdout: on a terminal as a list of the 20 oddest recordings, into a pipe as CSV.
    restart
        Throw away the parts of a run that was stopped, or that another detector has scored, and begin anew.
    new_only
        Score recordings that have no row in RESULT yet, and append them: for an archive that grows. For a file the
        folder `RESULT.parts` is then kept, by which the next run knows what is new.
    shard
        `K/N`: score the K-th of N shares of the recordings, such as `3/16`, for jobs side by side on one or many
        machines that have the recordings and RESULT in common; the same command with another K for each.
    merge
        RESULT, as `--out` named it: make it of what all shards have written; neither the detector nor the recordings
        are needed.
    failed
        Write the paths of recordings that could not be scored to this file, a path in each line, which `--files-from`
        reads; an empty file if there are none. It is there once all recordings are done.
    machine_id
        ID of the recorded machine. By default `id_XX` in each file's name, or, below a folder given here, a folder
        named `id_XX` or as a machine that the detector knows, or `section_XX_...` in the name; a recording without one
        is compared with every machine, and the nearest is named.
    false_discovery_rate
        Decide on all recordings together, so that at most this part of those that are said to sound wrong is healthy,
        such as `0.1`; for an archive, where a false-alarm rate of 5% means an alarm for each twentieth recording.
    top
        Show, or write, no more than so many recordings: those that sound most wrong, the oddest first.
    scores
        Show raw and standardised scores and thresholds on a terminal too, and not the verdicts alone.
    windows
        A recording longer than twice `training.clip_seconds` of the recipe (20 s) is cut into windows of that length.
        `worst`: it has one row, with the scores of its worst window and where that begins (`start_s`); `each`: a row
        for each window.
    on_error
        What to do with a recording without a score, as it cannot be read or there is no sound in it. `record`: it has a
        row that says why; `skip`: it has none, and is counted; `fail`: stop there, with exit code 2; what was written
        stays, and the same command goes on.
    device
        `auto`, `cpu`, `cuda`, or one GPU such as `cuda:1`; only the network uses it.
    precision
        The numbers of the network's matrix products and convolutions; `float16` is faster on a GPU, and changes the
        scores a little.
    max_seconds
        Longer recordings get no score but a reason; 24 hours by default.
    threads
        Number of threads of the kernels and torch; all cores by default.
    progress_json
        Append lines of JSON to this file, pipe or `/dev/fd/3`, or write them to standard error for `-`: one at the
        start, one every 10 s, one at the end. Their fields: `time` (UTC); `state`: `started`, `running`, and at last
        `done`, `failed` (with `error`) or `stopped`; `elapsed_s`; `done` and `total` recordings, null if not known;
        `before`: those of `done` that an earlier run has scored; `errors`, `audio_hours`: recordings of this run
        without a score, and what it has decoded; `files_per_s`, `audio_hours_per_s`: in the last minute; `left_s`.
    json
        Print the scores as JSON.
    """
    if merge is not None:
        named = [
            detector,
            files_from,
            out,
            shard,
            machine_id,
            false_discovery_rate,
            top,
            threads,
            progress_json,
        ]
        chosen = (rate, engine, windows, on_error, device, precision, max_seconds) != (
            RateOptions(),
            EngineOptions(),
            *_DEFAULTS,
        )
        if any(value is not None for value in named) or restart or new_only or scores or chosen:
            raise ParameterError(
                "--merge: makes a result of parts that are there, with --failed, --null and --json alone beside it, as "
                "in offkey score --merge scores.csv"
            )
        return _merge(merge, failed, null=null, json=json)
    if detector is None:
        raise ParameterError("DETECTOR: none named; expected one that offkey train wrote, and recordings")
    false_alarm_rate, scored_by = rate.rate(), engine.chosen()
    if top is not None:
        check_top(top)
    options: dict[str, Any] = {
        "machine_id": machine_id,
        "false_alarm_rate": false_alarm_rate,
        "false_discovery_rate": false_discovery_rate,
        "windows": windows,
        "on_error": on_error,
        "device": device,
        "precision": precision,
        "max_seconds": max_seconds,
        "num_threads": threads,
    }
    if null and files_from is None and failed is None:
        raise ParameterError(
            "--null: says how paths end in a list, but neither --files-from nor --failed names one"
        )
    detectors, named_sources = named_detectors([str(detector), *(recordings or [])])
    sources = listed_sources(named_sources, files_from, null=null)
    in_parts = out is not None and not is_stream(out)
    of_parts = {
        "--restart": restart,
        "--new-only": new_only,
        "--shard": shard is not None,
        "--engine ray": scored_by != "local",
    }
    if any(of_parts.values()) and not in_parts:
        first = next(name for name in of_parts if of_parts[name])
        raise ParameterError(
            f"{first}: only a run that writes to a file or folder by --out writes parts; leave it out"
        )
    if false_discovery_rate is not None and shard is not None:
        raise ParameterError(
            "--fdr: what is called is known once all recordings are scored; leave it out, or --shard"
        )
    if top is not None and shard is not None:
        raise ParameterError(
            "--top: which recordings are the oddest is known once shards are merged; leave it out"
        )
    share = Shard.parsed(shard or "1/1")
    if json and not share.is_whole:
        raise ParameterError("--json: a shard is no whole result; give it with --merge")
    results = {}
    if len(detectors) > 1:
        of_one = {
            "--new-only": new_only,
            "--failed": failed is not None,
            "--json": json,
        }
        results = results_of(detectors, out, of_one)
    elif out is not None:
        check_result(out) if in_parts else check_target(out)
    if failed is not None:
        check_writable(failed)
    with (
        told_to(progress_json, worded=partial(in_options, command=app["score"])) as file,
        failed_list(failed, null=null) as failed_paths,
    ):
        start_s = time.monotonic()
        if results:
            of_each, pace = score_group(
                results,
                sources,
                file,
                share,
                restart=restart,
                top=top,
                engine=scored_by,
                on_part=_in_options,
                **options,
            )
            pace = dataclasses.replace(pace, elapsed_s=time.monotonic() - start_s)
            return _report_each(of_each, pace, share)
        trained = load(detector)
        if out is not None and in_parts:
            options |= {"restart": restart, "new_only": new_only, "top": top, "engine": scored_by}
            totals, pace = _score_archive(
                trained,
                out,
                sources,
                file,
                share,
                on_rows=failed_paths.add,
                **options,
            )
            if json:
                console.data(ScoreTable.read(out).to_json())
            listed = False
        else:
            with console.bars(file) as bars:
                counter = bars.counter("scoring")
                table = trained.score(
                    sources,
                    on_advance=counter.advance,
                    **options,
                )
            table = _in_options(table)
            pace = counter.pace
            shown = table if top is None else table.most_anomalous(top)
            listed = out is None and not json and sys.stdout is not None and sys.stdout.isatty()
            if listed:
                width = shutil.get_terminal_size().columns
                console.data(listing(shown, width=width, most=top or MOST, scores=scores))
            else:
                _give(shown, out, json=json)
            totals = Totals(each=windows == "each", survey=table.survey, discoveries=table.discoveries)
            totals.add(table.rows())
            totals.add_skipped(table.skipped)
            failed_paths.add(table.rows())
            failed_paths.add({"path": name, "error": error} for name, error in table.skipped)
        pace = dataclasses.replace(pace, elapsed_s=time.monotonic() - start_s)
    _report_list(failed_paths, failed)
    listed = listed and console.stderr.is_terminal and top is None
    return _report(totals, pace, listed=listed)


def _in_options(table: ScoreTable) -> ScoreTable:
    """Return the table of a part as it is written, in whichever process that is."""
    return table_in_options(table, app["score"])


def _give(table: ScoreTable, out: Address | None, *, json: bool) -> None:
    """Write or print the scores, for programs to read."""
    if out is not None:
        table.write(out)
        console.note(f"{len(table)} scores written to {out}")
    if json:
        console.data(table.to_json())
    elif out is None:
        console.data(table.to_csv())


def _merge(result: Address, failed: Path | None, *, null: bool, json: bool) -> int:
    """Make a result of what its shards have written."""
    with failed_list(failed, null=null) as failed_paths:
        totals = merge_scores(result, on_rows=failed_paths.add)
    console.note(f"{totals.rows} scores are in {result}")
    if json:
        console.data(ScoreTable.read(result).to_json())
    _report_list(failed_paths, failed)
    return _report(totals, Pace(), listed=False)


def _score_archive(
    detector: Detector,
    out: Address,
    recordings: Iterable[Path | str],
    file: ProgressFile | None,
    shard: Shard,
    **options: Any,
) -> tuple[Totals, Pace]:
    """Score to a file or folder, part by part."""
    if is_finished_file(out):
        console.note(f"{out} is there already: it is written anew once all is scored")
    with console.bars(file) as bars:
        counter = bars.counter("scoring")
        totals = detector.score_to(
            out,
            recordings,
            shard=(shard.number, shard.of),
            on_part=_in_options,
            on_advance=counter.advance,
            **options,
        )
    if totals.resumed:
        console.note(f"went on after {totals.resumed:,} recordings that were scored before")
    count = totals.rows if options["top"] is None else len(totals.oddest)
    console.note(f"{count} scores written to {out}")
    if not shard.is_whole:
        console.note(f"shard {shard} has ended; once all {shard.of} have: offkey score --merge {out}")
    return totals, counter.pace


def _report_each(of_each: Mapping[Address, Totals], pace: Pace, shard: Shard) -> int:
    """Say how it went by each detector; return the worst exit code."""
    codes = []
    for result, totals in of_each.items():
        console.note(f"--- {result}")
        if totals.resumed:
            console.note(f"went on after {totals.resumed:,} recordings that were scored before")
        codes.append(_report(totals, pace, listed=False))
    if not shard.is_whole:
        merges = "; ".join(f"offkey score --merge {result}" for result in of_each)
        console.note(f"shard {shard} has ended; once all {shard.of} have: {merges}")
    return max(codes)


def _report(totals: Totals, pace: Pace, *, listed: bool) -> int:
    """Say how it went; return the exit code.

    Parameters
    ----------
    totals, pace
        What there is to say.
    listed
        Whether the oddest recordings, and those without a score, are on the screen already.
    """
    if not listed or totals.skipped:
        _report_errors(totals)
    lost = totals.failed + totals.skipped
    scored = totals.scored
    recordings = totals.recordings - totals.failed if totals.each else scored
    text = f"{recordings} recording{'s' * (recordings != 1)} scored"
    if totals.each and recordings < scored:
        text += f" in {scored} windows"
    elif not totals.each and totals.by_windows:
        text += f" ({totals.by_windows} by their worst window, at start_s)"
    missed = f"; {lost} could not be scored" + ", and have no row" * (totals.skipped > 0) if lost else ""
    console.note(f"{text}, {totals.anomalous} sound wrong{missed}")
    if totals.oddest and not listed:
        console.note("the oddest:")
        width = console.stderr.width if console.stderr.is_terminal else None
        for line in oddest_lines(totals.oddest[:ODDEST], width):
            console.note(line)
    if totals.warnings:
        kinds = (f"{kind} ({count:,})" for kind, count in totals.warnings.most_common())
        console.note(f"warnings: {', '.join(kinds)}")
    if totals.discoveries is not None:
        console.note(totals.discoveries.summary())
    seen = totals.survey
    if seen is not None:
        console.note(f"{'seen since' if totals.resumed else 'seen'}: {seen.summary()}")
    if pace.advance.done > pace.advance.before:
        console.note(pace.whole())
    return exit_codes.REFUSED if lost and not scored else exit_codes.partly(lost, seen and seen.unread)


def _report_list(paths: FailedList, failed: Path | None) -> None:
    if failed is not None:
        of = f"recording{'s' * (paths.written != 1)} without a score"
        console.note(f"{paths.written:,} {of} listed in {failed}")
    if paths.left_out:
        console.warn(f"{paths.left_out:,} paths hold an end of line and are not in {failed}: give --null")


def _report_errors(totals: Totals) -> None:
    for text in totals.errors:
        console.error(text)
    more = totals.failed + totals.skipped - len(totals.errors)
    if more:
        console.error(f"and {more:,} more" + ": see the column error" * (totals.failed > 0))
