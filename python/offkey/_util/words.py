"""Lists in words."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["shortlist"]


def shortlist(items: Iterable[object], *, most: int = 5) -> str:
    """Return the first few items in words: ``a, b, c and 7 more``."""
    every = [str(item) for item in items]
    rest = len(every) - most
    return ", ".join(every[:most]) + (f" and {rest} more" if rest > 0 else "")
