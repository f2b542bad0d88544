"""`offkey synth`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

from offkey.cli import console
from offkey.cli.options import COMMAS
from offkey.datasets import synthetic

__all__ = ["synth"]

_FAR_DB = -17.5


def synth(
    out: Path,
    /,
    *,
    layout: Literal["dcase2020", "mimii"] = "dcase2020",
    machines: Annotated[list[Literal["fan", "pump", "slider", "valve"]] | None, COMMAS] = None,
    ids: Annotated[list[str] | None, COMMAS] = None,
    eval_ids: Annotated[list[str] | None, COMMAS] = None,
    train: int = 100,
    test_normal: int = 50,
    test_anomaly: int = 50,
    snr_db: Annotated[list[float] | None, COMMAS] = None,
    seconds: float = 10.0,
    world: Literal["factory", "premise"] = "factory",
    far: bool = False,
    far_db: float | None = None,
    seed: int = 0,
    resume: bool = False,
    threads: int | None = None,
    json: bool = False,
) -> None:
    """Synthesise recordings of machines: fans, pumps, sliders and valves, healthy and faulty.

    Parameters
    ----------
    out
        A new folder.
    layout
        Folder and file names as in DCASE 2020 Task 2 (mono) or MIMII (8 channels).
    machines
        Machine types, separated by commas; all four by default.
    ids
        Machine IDs of each type, separated by commas; 00,02,04,06 by default.
    eval_ids
        DCASE 2020: IDs of an evaluation part, separated by commas; its list of labels is written too.
    train
        Normal training clips for each machine ID.
    test_normal
        Normal test clips for each machine ID.
    test_anomaly
        Anomalous test clips for each machine ID.
    snr_db
        Level of the machine against factory noise in dB, 0 by default; MIMII takes several, separated by commas.
    seconds
        Length of a clip in seconds.
    world
        What goes wrong. "factory": faults of each machine type. "premise": the same healthy recordings, but faulty
        machines sound partly like another one of their type or of another type.
    far
        DCASE 2020: two channels, near and far: a second microphone stands far from the machine, where the factory's
        noise is. Train with `--channel near,far`.
    far_db
        How loud the machine is at the far microphone against the near one in dB, -17.5 by default; implies `--far`.
    seed
        The same seed makes the same recordings.
    resume
        Continue an interrupted run of the same command.
    threads
        Number of threads; all cores by default.
    json
        Print a summary as JSON.
    """
    with console.bars() as bars:
        summary = synthetic.write(
            out,
            layout=layout,
            machines=tuple(machines or synthetic.MACHINES),
            ids=tuple(ids or ("00", "02", "04", "06")),
            eval_ids=tuple(eval_ids or ()),
            clips_train=train,
            clips_test_normal=test_normal,
            clips_test_anomaly=test_anomaly,
            snr_db=tuple(snr_db or (0.0,)),
            seconds=seconds,
            world=world,
            far_db=_FAR_DB if far and far_db is None else far_db,
            seed=seed,
            resume=resume,
            num_workers=threads,
            progress=bars.counter("synthesising"),
        )
    console.note(f"{summary.files} recordings are in {out}; their faults are listed in {summary.manifest}")
    if json:
        console.print_json(dataclasses.asdict(summary))
