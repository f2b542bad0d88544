"""Options that take several values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cyclopts import Parameter, Token, convert

__all__ = ["COMMAS"]


def _split(kind: Any, tokens: Sequence[Token]) -> Any:
    return convert(kind, [part.strip() for token in tokens for part in token.value.split(",")])


def _shown(default: object) -> str | None:
    return ",".join(default) if isinstance(default, tuple) else None


COMMAS = Parameter(converter=_split, allow_leading_hyphen=True, show_default=_shown)
"""Marks a list whose values are separated by commas, and may be given one by one too: `--snr-db -6,0,6`."""
