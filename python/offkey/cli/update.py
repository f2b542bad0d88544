"""`offkey update`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from offkey._util.files import check_writable
from offkey._util.text_table import text_table
from offkey.cli import app, console, exit_codes
from offkey.cli.options import Device
from offkey.cli.words import in_options
from offkey.detector import load
from offkey.history import Event
from offkey.signal.audio import MAX_SECONDS

__all__ = ["update"]


def update(
    detector: Path,
    recordings: list[Path],
    /,
    *,
    out: Annotated[Path, Parameter(alias="-o")],
    machine_id: str | None = None,
    force: bool = False,
    device: Device = "auto",
    max_seconds: float = MAX_SECONDS,
    threads: int | None = None,
    json: bool = False,
) -> int:
    """Let a detector learn further healthy recordings of its machines, in seconds, without training anew.

    They join what it compares recordings with, and what its thresholds and p-values come from. Prints how many clips of
    each machine ID were learned, and each threshold, before and after.

    Parameters
    ----------
    detector
        A detector that `offkey train` wrote.
    recordings
        Recordings of healthy machines that the detector knows: sound files, folders that are searched for them, or
        patterns such as `"june/*.wav"`. Those that it has learned already are passed over.
    out
        File of the new detector. It may be that of the old one, which is then written over.
    machine_id
        ID of the recorded machine. By default `id_XX` in each file's name, or a folder named `id_XX` or as a machine
        that the detector knows. A new machine takes another `offkey train`.
    force
        Learn recordings too that the detector calls anomalous, because you know that they are healthy. By default they
        are left out and named.
    device
        `auto`, `cpu`, `cuda`, or one GPU such as `cuda:1`; only the network uses it.
    max_seconds
        Longer recordings are left out and named; 24 hours by default.
    threads
        Number of threads of the kernels and torch; all cores by default.
    json
        Print what was done as JSON.
    """
    check_writable(out)
    known = load(detector)
    with console.bars() as bars:
        newer = known.update(
            recordings,
            machine_id=machine_id,
            force=force,
            device=device,
            max_seconds=max_seconds,
            num_threads=threads,
            on_progress=bars.counter("reading"),
        )
    newer.save(out)
    for text in newer.notes:
        if text not in known.notes:
            console.warn(in_options(text, app["train"]))
    event = newer.history[-1]
    if json:
        console.print_json(event.state())
    else:
        console.result(_to_text(event))
    console.note(f"detector that has learned them written to {out}; next: offkey score {out} RECORDINGS")
    return exit_codes.partly(newer.unread)


def _to_text(event: Event) -> str:
    header = [["machine_id", "learned", "threshold", "new"]]
    thresholds = (event.thresholds_before, event.thresholds)
    return text_table(
        header,
        [
            [name, str(event.clips.get(name, 0)), *(f"{numbers[name]:.4g}" for numbers in thresholds)]
            for name in event.thresholds
        ],
    )
