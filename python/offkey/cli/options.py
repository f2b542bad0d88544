"""Options that several commands have, and options that take several values."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from cyclopts import Parameter, Token, convert

from offkey.errors import ParameterError
from offkey.models.base import check_device_name

__all__ = ["COMMAS", "Device", "IdFrom", "LabelList", "PathList", "told_labels"]


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

PathList: TypeAlias = Annotated[list[Path], Parameter(consume_multiple=True)]
"""Paths that follow one another, or are given one by one: `--also A B`."""

LabelList: TypeAlias = Annotated[list[str], Parameter(consume_multiple=True, negative=())]
"""`PATTERN=healthy` or `PATTERN=faulty`."""


def _id_from(_kind: Any, tokens: Sequence[Token]) -> Any:
    text = tokens[0].value
    return int(text) if text.isdecimal() else text


def _check_id_from(_kind: Any, value: Any) -> None:
    if value is not None and value != "none" and not (isinstance(value, int) and value >= 1):
        raise ValueError("expected the number of a folder, 1 for the first below DATA, or none")


IdFrom: TypeAlias = Annotated[
    int | Literal["none"] | None, Parameter(name="--id", converter=_id_from, validator=_check_id_from)
]
"""Which folder names the machine."""


def told_labels(texts: Sequence[str] | None) -> dict[str, str]:
    """Return the labels that options tell.

    Raises
    ------
    ParameterError
        If one is not of the form `PATTERN=WORD`.
    """
    labels: dict[str, str] = {}
    for text in texts or ():
        pattern, sign, word = text.rpartition("=")
        if not sign or not pattern:
            raise ParameterError(f"--label {text}: expected PATTERN=healthy or PATTERN=faulty")
        labels.pop(pattern, None)  # the last counts, and comes last
        labels[pattern] = word
    return labels
