"""The command line: each command is a thin call of a public function.

Exit codes: 0 done; 1 a fault in offkey itself; 2 wrong usage or bad input; 3 done in part (some files could not
be read; the output says which); 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import sys

import cyclopts

import offkey
from offkey.cli import console
from offkey.errors import OffkeyError

__all__ = ["app", "main"]

app = cyclopts.App(
    name="offkey",
    help="Listen to machines and say when one sounds wrong. Learns from normal recordings alone.",
    help_epilogue="Start with `offkey demo`: it needs no data. `offkey COMMAND --help` says more.",
    version=offkey.__version__,
    help_format="markdown",
)
for command in ("demo", "synth", "train", "score", "evaluate", "info"):
    app.command(f"offkey.cli.{command}:{command}", name=command)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code; errors that a user can mend are one line on stderr."""
    try:
        # The answer of a command is its exit code; None is 0.
        return int(app(arguments, exit_on_error=False, result_action="return_value") or 0)
    except cyclopts.CycloptsError:
        return 2  # cyclopts has printed what is wrong
    except KeyboardInterrupt:
        console.error("stopped")
        return 130
    except (OffkeyError, OSError) as error:
        console.error(str(error))
        return 2
