"""Lists and errors in words."""

from __future__ import annotations

import os
from collections.abc import Iterable

__all__ = ["reason", "shortlist"]


def reason(error: Exception) -> str:
    """Return what an error says, that of the system as those of offkey: the file, then what is wrong with it."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{os.fsdecode(error.filename)}: {error.strerror}"
    return str(error)


def shortlist(items: Iterable[object], *, most: int = 5, total: int | None = None) -> str:
    """Return the first few items in words: ``a, b, c and 7 more``; of `total` where there are more than these."""
    every = [str(item) for item in items]
    rest = (len(every) if total is None else total) - most
    return ", ".join(every[:most]) + (f" and {rest} more" if rest > 0 else "")
