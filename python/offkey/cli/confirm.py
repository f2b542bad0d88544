"""`offkey confirm`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from offkey._util.files import check_writable
from offkey._util.text_table import text_table
from offkey.cli import app, console, exit_codes
from offkey.cli.options import Device
from offkey.cli.words import table_in_options
from offkey.detector import Detector, load
from offkey.history import Event
from offkey.scores import ScoreTable
from offkey.signal.audio import MAX_SECONDS

__all__ = ["confirm"]

_TABLES = (".csv", ".json", ".parquet")


def confirm(
    detector: Path,
    recordings: list[Path],
    /,
    *,
    max_false_alarm_rate: float,
    out: Annotated[Path, Parameter(alias="-o")],
    machine_id: str | None = None,
    device: Device = "auto",
    max_seconds: float = MAX_SECONDS,
    threads: int | None = None,
    json: bool = False,
) -> int:
    """Lower a detector's thresholds below confirmed faults, as far as a rate of false alarms allows.

    The threshold of each machine ID is put just below its confirmed fault with the lowest score. P-values stay as they
    are. Prints each threshold, before and after, and the share of healthy recordings that exceeds it.

    Parameters
    ----------
    detector
        A detector that `offkey train` wrote.
    recordings
        Recordings of confirmed faults: sound files, folders that are searched for them, or patterns; or one table of
        their scores that `offkey score` wrote with this detector.
    max_false_alarm_rate
        No threshold is lowered so far that more than this share of healthy recordings would exceed it, such as `0.1`.
    out
        File of the new detector. It may be that of the old one, which is then written over.
    machine_id
        ID of the recorded machine. By default `id_XX` in each file's name, or a folder named `id_XX` or as a machine
        that the detector knows.
    device
        `auto`, `cpu`, `cuda`, or one GPU such as `cuda:1`; only the network uses it.
    max_seconds
        Longer recordings get no score but a reason; 24 hours by default.
    threads
        Number of threads of the kernels and torch; all cores by default.
    json
        Print what was done as JSON.
    """
    check_writable(out)
    trained = load(detector)
    if len(recordings) == 1 and recordings[0].suffix.lower() in _TABLES:
        table = ScoreTable.read(recordings[0])
    else:
        table = _scored(trained, recordings, machine_id, device, max_seconds, threads)
    failed = [text for text in table.error if text]
    for text in failed:
        console.error(text)
    scored = ScoreTable.from_rows([row for row in table.rows() if not row["error"]])
    confirmed = trained.confirm(scored, max_false_alarm_rate=max_false_alarm_rate)
    confirmed.save(out)
    event = confirmed.history[-1]
    if json:
        console.print_json(event.state())
    else:
        console.result(_to_text(event))
    console.note(f"detector with these thresholds written to {out}; next: offkey score {out} RECORDINGS")
    return exit_codes.partly(failed, table.survey and table.survey.unread)


def _scored(
    trained: Detector,
    recordings: list[Path],
    machine_id: str | None,
    device: str,
    max_seconds: float,
    threads: int | None,
) -> ScoreTable:
    with console.bars() as bars:
        table = trained.score(
            recordings,
            machine_id=machine_id,
            device=device,
            max_seconds=max_seconds,
            num_threads=threads,
            on_progress=bars.counter("scoring"),
        )
    return table_in_options(table, app["confirm"])


def _to_text(event: Event) -> str:
    header = [["machine_id", "confirmed", "threshold", "new", "false_alarm_rate"]]
    return text_table(
        header,
        [
            [
                name,
                str(count),
                *(f"{numbers[name]:.4g}" for numbers in (event.thresholds_before, event.thresholds)),
                f"{event.false_alarm_rates[name]:.3g}",
            ]
            for name, count in event.clips.items()
        ],
    )
