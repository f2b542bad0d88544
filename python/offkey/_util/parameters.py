"""Checks of parameters that are no arrays: errors name the parameter, its value and what was expected."""

from __future__ import annotations

import numbers
import operator
from collections.abc import Iterable
from os import PathLike, fspath
from typing import Literal, TypeVar

from offkey.errors import ParameterError

__all__ = [
    "Channel",
    "Paths",
    "channel",
    "choice",
    "index",
    "integer",
    "number",
    "paths",
    "seconds",
    "several",
    "unsigned",
]

Channel = int | Literal["mean"]
"""A channel of a recording, from 0, or the mean of all."""
Paths = Iterable[str | PathLike[str]]
File = TypeVar("File")

_MAX_CHANNELS = 1024


def index(name: str, value: object) -> int:
    """Return an integer of any size.

    Raises
    ------
    ParameterError
        If it is none.
    """
    try:
        return operator.index(value)  # type: ignore[arg-type]  # that is what is checked
    except TypeError:
        raise ParameterError(f"{name} = {value!r}: expected an integer") from None


def integer(name: str, value: object, low: int, high: int) -> int:
    """Return an integer from `low` to `high`.

    Raises
    ------
    ParameterError
        If it is none of them.
    """
    number = index(name, value)
    if not low <= number <= high:
        raise ParameterError(f"{name} = {number}: expected an integer from {low} to {high}")
    return number


def unsigned(name: str, value: object) -> int:
    """Return an integer from 0 to ``2**63 - 1``.

    Raises
    ------
    ParameterError
        If it is none of them.
    """
    if type(value) is int and 0 <= value < 2**63:
        return value  # nearly all, and a mask takes little longer than this check
    return integer(name, value, 0, 2**63 - 1)


def choice(name: str, value: object, options: tuple[str, ...]) -> str:
    """Return one of some words.

    Raises
    ------
    ParameterError
        If it is none of them.
    """
    if isinstance(value, str) and value in options:
        return value
    raise ParameterError(f"{name} = {value!r}: expected {' or '.join(map(repr, options))}")


def channel(value: object) -> int | None:
    """Return the number of a channel; None stands for the mean of all.

    Raises
    ------
    ParameterError
        If it is neither an integer from 0 to 1023 nor ``"mean"``.
    """
    if isinstance(value, str) and value == "mean":
        return None
    try:
        return integer("channel", value, 0, _MAX_CHANNELS - 1)
    except ParameterError:
        raise ParameterError(
            f"channel = {value!r}: expected an integer from 0 to {_MAX_CHANNELS - 1}, or 'mean'"
        ) from None


def number(name: str, value: object) -> float:
    """Return a real number.

    Raises
    ------
    ParameterError
        If it is none.
    """
    if isinstance(value, numbers.Real):
        return float(value)
    raise ParameterError(f"{name} = {value!r}: expected a number")


def seconds(name: str, value: object) -> float:
    """Return a length of time.

    Raises
    ------
    ParameterError
        If it is no number above 0.
    """
    number = float(value) if isinstance(value, numbers.Real) else 0.0
    if not number > 0:
        raise ParameterError(f"{name} = {value!r}: expected seconds above 0")
    return number


def several(files: Iterable[File]) -> list[File]:
    """Return what was given for several files.

    Raises
    ------
    ParameterError
        If it is one file, not several.
    """
    if isinstance(files, str | bytes | PathLike) or hasattr(files, "read"):
        raise ParameterError(f"paths = {files!r}: expected a list of paths; for one file give [path]")
    return list(files)


def paths(files: Paths) -> list[str]:
    """Return paths as strings.

    Raises
    ------
    ParameterError
        If it is one path, not several.
    """
    return [fspath(path) for path in several(files)]
