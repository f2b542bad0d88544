"""`offkey synth`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from offkey.cli import console
from offkey.datasets import synthetic

__all__ = ["synth"]


def synth(
    out: Path,
    /,
    *,
    layout: Literal["dcase2020", "mimii"] = "dcase2020",
    machines: list[Literal["fan", "pump", "slider", "valve"]] | None = None,
    train: int = 100,
    test_normal: int = 50,
    test_anomaly: int = 50,
    snr_db: float = 0.0,
    seconds: float = 10.0,
    seed: int = 0,
    workers: int | None = None,
    json: bool = False,
) -> None:
    """Make recordings of machines that do not exist: fans, pumps, sliders and valves, healthy and faulty.

    Parameters
    ----------
    out
        A new folder.
    layout
        Folder and file names as in DCASE 2020 Task 2 (mono) or MIMII (8 channels).
    machines
        Which types; all four if not given.
    train
        Normal training clips for each machine ID.
    test_normal
        Normal test clips for each machine ID.
    test_anomaly
        Anomalous test clips for each machine ID.
    snr_db
        Level of the machine against factory noise.
    seconds
        Length of a clip.
    seed
        The same seed makes the same recordings.
    workers
        How many processes; all cores if not given.
    json
        Print what was made as JSON.
    """
    with console.progress("synthesising") as advance:
        summary = synthetic.write(
            out,
            layout=layout,
            machines=tuple(machines or ("fan", "pump", "slider", "valve")),
            clips_train=train,
            clips_test_normal=test_normal,
            clips_test_anomaly=test_anomaly,
            snr_db=snr_db,
            seconds=seconds,
            seed=seed,
            num_workers=workers,
            progress=advance,
        )
    console.note(f"{summary.clips} recordings written to {out}")
    if json:
        console.print_json(summary)
