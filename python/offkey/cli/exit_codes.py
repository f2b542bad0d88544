"""Exit codes, the same in every command; docs/data.md has the table."""

from __future__ import annotations

__all__ = ["ALARM", "CLOSED", "DONE", "PARTLY", "REFUSED", "STOPPED", "SUMMARY", "partly"]

DONE = 0
"""All that was asked for is done. Notes say what was passed over that is no recording, or that names leave out."""
REFUSED = 2
"""Nothing is done: wrong usage, bad input, or no recording that can be read."""
PARTLY = 3
"""Done, but something that is or may be a recording could not be read, or is broken; stderr names it."""
ALARM = 4
"""Done, and an alarm goes on: `offkey trend --fail-on-alarm` alone."""
STOPPED = 130
"""Stopped by Ctrl-C."""
CLOSED = 141
"""The reader of a pipe has closed it."""

SUMMARY = (
    f"Exit codes: {DONE} done, {REFUSED} wrong usage or bad input, {PARTLY} done but some recordings could not be "
    f"read, {STOPPED} stopped."
)


def partly(*missing: object) -> int:
    """Return `PARTLY` if anything is missing, else `DONE`."""
    return PARTLY if any(missing) else DONE
