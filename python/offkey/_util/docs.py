"""Passages that several docstrings have in common, written once; `help` shows them in each."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

__all__ = ["passages"]

F = TypeVar("F", bound=Callable[..., object])


def passages(**texts: str) -> Callable[[F], F]:
    """Return a decorator that puts each text where a line of a docstring is its name, as ``<name>``.

    Raises
    ------
    KeyError
        If a docstring names a text that there is not.
    """

    def fill(function: F) -> F:
        def text(line: re.Match[str]) -> str:
            return "\n".join(line["indent"] + part for part in texts[line["name"]].splitlines())

        if function.__doc__ is not None:  # python -OO leaves none
            function.__doc__ = re.sub(r"(?m)^(?P<indent> *)<(?P<name>\w+)>$", text, function.__doc__)
        return function

    return fill
