"""`offkey demo`."""

from __future__ import annotations

import os
import sys
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from offkey._util.text_table import text_table
from offkey.cli import console
from offkey.cli.console import TrainingDisplay

if TYPE_CHECKING:
    from offkey.demo import DemoResult

__all__ = ["demo"]


def demo(
    *,
    out: Annotated[Path, Parameter(alias="-o")] = Path("demo"),
    seed: int = 0,
    no_open: bool = False,
    json: bool = False,
) -> None:
    """Synthesise machines, train two detectors, find the faults, write a report. Needs no data and no GPU.

    Parameters
    ----------
    out
        A new folder for recordings, detectors, scores, the picture and the report.
    seed
        Seed of all random choices.
    no_open
        Do not open the report in the browser at the end, as is done where the command runs in a terminal on a display.
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
    console.result(f"\nIn short, where 5% false alarms are asked for:\n\n{_summary(outcome)}")
    times = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in outcome.seconds.items())
    console.result(
        "Recipe 'ensemble' weighs these two. 'paper', the network of Zhang et al. 2023, wants hundreds of recordings "
        "of each machine, other types of machines beside them, and a GPU.\n\n"
        f"Done in {sum(outcome.seconds.values()):.0f} s ({times}).\n"
        f"Look at {outcome.report}: what was found, why, and how it sounds.\n"
        f"Look at {outcome.picture}: ROC curves, histograms of the scores, a map of the networks' embeddings.\n"
        f"Score a recording of your own: offkey score {outcome.detectors['spectral']} RECORDING.wav"
    )
    if not no_open and _on_a_display():
        webbrowser.open(outcome.report.absolute().as_uri())


def _on_a_display() -> bool:
    """Whether a person sits before this terminal who can see a window."""
    if sys.stdout is None or not sys.stdout.isatty() or "SSH_CONNECTION" in os.environ:
        return False
    return sys.platform in ("darwin", "win32") or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )


def _summary(outcome: DemoResult) -> str:
    """Return a line for each recipe: what it found, and how long it took."""
    from offkey.evaluation.result import decision_counts

    rows = []
    for name, result in outcome.evaluations.items():
        found, anomalies, alarms, normals = decision_counts(result) or (0, 0, 0, 0)
        auc = next(row.auc for row in result.overall if row.score == "anomaly_score")
        rows.append(
            [
                name,
                f"{found} of {anomalies}",
                f"{alarms} of {normals}",
                f"{auc:.3f}",
                f"{outcome.seconds[name]:.0f}",
            ]
        )
    return text_table([["recipe", "faults found", "healthy called", "AUC", "seconds"]], rows)
