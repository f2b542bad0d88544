"""The command line: each command is a thin call of a public function.

Its exit code is one of `offkey.cli.exit_codes`; 1 is a bug in offkey.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence

import cyclopts

import offkey
from offkey._util.words import reason
from offkey.cli import console, exit_codes
from offkey.cli.words import in_options
from offkey.errors import OffkeyError, OffkeyWarning

__all__ = ["app", "main", "run"]

# The help of each command. It is here so that listing the commands imports none of them.
_COMMANDS = {
    "demo": "Synthesise machines, train two detectors, find the faults, write a report. Needs no data and no GPU.",
    "train": "Train a detector of one type of machine, from normal recordings alone.",
    "score": "Score recordings with a trained detector and decide which sound wrong.",
    "explain": "Say where in recordings their scores come from, and how they differ from healthy ones.",
    "confirm": "Lower a detector's thresholds below confirmed faults, as far as a rate of false alarms allows.",
    "update": "Let a detector learn further healthy recordings of its machines, in seconds, without training anew.",
    "evaluate": "Evaluate scores against known labels: AUC and pAUC of each machine ID, their means, the worst ID.",
    "report": "Put scores, evaluations and benchmarks on one page: an HTML file that needs no network.",
    "trend": "Follow machines over time: turn their p-values, one recording after the other, into alarms.",
    "bench": "Make a paper's tables from your own copy of MIMII or DCASE 2020: every type, every score, several seeds.",
    "info": "Describe a file or folder: a trained detector, a sound file, or a folder of recordings.",
    "synth": "Synthesise recordings of machines: fans, pumps, sliders and valves, healthy and faulty.",
}
_EXAMPLES = {
    "train": (
        "offkey train recordings --out fan.offkey",
        "offkey train dev_data --machine fan --recipe paper --out fan.offkey",
        "offkey train recordings --manifest clips.csv --out motor.offkey",
    ),
    "score": (
        "offkey score fan.offkey monday.wav",
        "offkey score fan.offkey incoming --out scores.csv",
        "offkey score fan.offkey incoming --json | jq .rows[0].anomaly_score",
    ),
    "explain": (
        "offkey explain fan.offkey monday.wav",
        "offkey explain fan.offkey monday.wav --out monday.png",
        "offkey explain fan.offkey odd/*.wav --out maps --listen sounds --healthy dev_data/fan/train",
    ),
    "confirm": (
        "offkey confirm fan.offkey faults --max-false-alarm-rate 0.1 --out fan-2.offkey",
        "offkey confirm fan.offkey bearing.wav --machine-id 02 --max-false-alarm-rate 0.05 --out fan.offkey",
    ),
    "update": (
        "offkey update fan.offkey healthy/june --out fan-2.offkey",
        "offkey update fan.offkey after_service --machine-id 02 --force --out fan.offkey",
    ),
    "evaluate": (
        "offkey evaluate scores.csv --data dev_data --machine fan",
        "offkey evaluate scores.csv --data recordings --manifest clips.csv --out figures.md",
    ),
    "report": (
        "offkey report scores.csv --out report.html",
        "offkey report archive_scores --out archive.html --detector fan.offkey",
        "offkey report bench figures.json",
    ),
    "trend": (
        "offkey trend scores.csv",
        "offkey trend april.parquet may.parquet --false-alarms '1 a year' --recordings-a-day 24 --plot trend.png",
        "offkey trend scores.csv --time-pattern '%d.%m.%Y %H-%M' --json",
    ),
    "bench": (
        "offkey bench dcase2020 dcase2020_task2 --recipes paper,spectral",
        "offkey bench mimii mimii --machines fan --recipes spectral,small",
    ),
    "info": ("offkey info fan.offkey", "offkey info recordings --json"),
    "synth": (
        "offkey synth machines",
        "offkey synth machines --layout mimii --machines fan,pump --snr-db -6,0,6",
    ),
    "demo": ("offkey demo", "offkey demo --out demo-1 --seed 1"),
}


def _shown(default: object) -> str | None:
    """Return what help says of a default; nothing of a flag that is off."""
    if isinstance(default, tuple):
        return ",".join(default)
    return (
        None if default in (None, False) else f"{default:g}" if isinstance(default, float) else str(default)
    )


app = cyclopts.App(
    name="offkey",
    help="Listen to machines and say when one sounds wrong. Learns from normal recordings alone.",
    help_epilogue="Start with `offkey demo`: it needs no data. `offkey COMMAND --help` says more. "
    + exit_codes.SUMMARY,
    version=offkey.__version__,
    help_format="markdown",
    # a name that begins with a bracket is a name, not JSON
    default_parameter=cyclopts.Parameter(negative=(), json_list=False, json_dict=False, show_default=_shown),
    suppress_keyboard_interrupt=False,
)
for place, (command, text) in enumerate(_COMMANDS.items()):
    app.command(
        f"offkey.cli.{command}:{command}",
        name=command,
        help=text,
        help_epilogue="Examples:\n\n" + "\n".join(f"    {line}" for line in _EXAMPLES[command]),
        sort_key=place,
    )


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    console.prepare_stdout()
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code; errors that a user can fix are one line on stderr."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        with warnings.catch_warnings():
            # Warnings of other libraries address programmers, not users of the command line.
            warnings.simplefilter("ignore")
            warnings.simplefilter("default", OffkeyWarning)
            warnings.showwarning = lambda message, *_, **__: console.warn(
                _in_options(str(message), arguments)
            )
            answer = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
            return int(answer or 0)  # None is 0
    except KeyboardInterrupt:
        console.error("stopped")
        return exit_codes.STOPPED
    except BrokenPipeError:  # `head` and its like stop reading early
        console.drop_stdout()
        return exit_codes.CLOSED
    except OSError as error:
        if error.filename == console.STDOUT:
            console.drop_stdout()
        console.error(_in_options(reason(error), arguments))
    except cyclopts.CycloptsError as error:
        console.error(str(error))
        _advise_on_dashes(arguments)
    except OffkeyError as error:
        console.error(_in_options(str(error), arguments))
    return exit_codes.REFUSED


def _advise_on_dashes(arguments: list[str]) -> None:
    """Say how to name a file or folder that begins with a dash, as those of MIMII do."""
    for argument in arguments[: arguments.index("--") if "--" in arguments else None]:
        if argument.startswith("-") and os.path.lexists(argument):
            console.error(
                f"{argument} is a file or folder here, but looks like an option: write ./{argument}, or put -- before "
                "it and after all options"
            )


def _in_options(text: str, arguments: Sequence[str]) -> str:
    """Return a message of Python's functions in the words of the command that was called."""
    name = next((name for name in arguments if name in _COMMANDS), None)
    return text if name is None else in_options(text, app[name])
