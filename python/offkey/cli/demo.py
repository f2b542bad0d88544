"""`offkey demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from offkey.cli import console
from offkey.cli.console import TrainingDisplay

__all__ = ["demo"]


def demo(
    *, out: Annotated[Path, Parameter(alias="-o")] = Path("demo"), seed: int = 0, json: bool = False
) -> None:
    """Synthesise machines, train two detectors, find the faults, draw a picture. Needs no data and no GPU.

    Parameters
    ----------
    out
        A new folder for recordings, detectors, scores and the picture.
    seed
        Seed of all random choices.
    json
        Print the results as JSON.
    """
    from offkey.demo import demo as run

    with console.bars() as bars:
        outcome = run(
            out,
            seed=seed,
            on_step=console.note,
            on_progress=bars.counter("synthesising"),
            on_event=TrainingDisplay(bars),
        )
    if json:
        console.print_json({name: result.to_dict() for name, result in outcome.evaluations.items()})
        return
    for name, result in outcome.evaluations.items():
        console.result(
            f"\nRecipe {name!r} (AUC; 1 = every fault ranks above every healthy clip, 0.5 = chance)\n"
        )
        console.result(result.to_text())
    times = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in outcome.seconds.items())
    console.result(
        f"\nDone in {sum(outcome.seconds.values()):.0f} s ({times}).\n"
        f"Look at {outcome.picture}: ROC curves, histograms of the scores, a map of the networks' embeddings.\n"
        f"Score a recording of your own: offkey score {outcome.detectors['spectral']} RECORDING.wav"
    )
