"""Options that several commands have, and options that take several values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, TypeAlias

from cyclopts import Parameter, Token, convert

from offkey.errors import ParameterError
from offkey.models.base import check_device_name

__all__ = ["COMMAS", "Device"]


def _check(_kind: Any, device: str) -> None:
    try:
        check_device_name(device)
    except ParameterError as error:
        raise ValueError(str(error)) from None


Device: TypeAlias = Annotated[str, Parameter(validator=_check)]
"""`auto`, `cpu`, `cuda`, or one GPU such as `cuda:1`."""


def _split(kind: Any, tokens: Sequence[Token]) -> Any:
    return convert(kind, [part.strip() for token in tokens for part in token.value.split(",")])


def _shown(default: object) -> str | None:
    return ",".join(default) if isinstance(default, tuple) else None


COMMAS = Parameter(converter=_split, allow_leading_hyphen=True, show_default=_shown)
"""Marks a list whose values are separated by commas, and may be given one by one too: `--snr-db -6,0,6`."""
