"""Plain data as JSON text that holds any text: file names that are not UTF-8 too, which msgspec itself refuses."""

from __future__ import annotations

import json
from typing import Any, TypeVar

import msgspec

__all__ = ["from_json", "to_json"]

Kind = TypeVar("Kind")


def to_json(value: Any, *, indent: int | None = None) -> str:
    """Return structs, dataclasses and plain data as JSON text of ASCII letters."""
    plain = msgspec.to_builtins(value, str_keys=True)
    return json.dumps(
        plain, indent=indent, separators=(",", ":" if indent is None else ": "), allow_nan=False
    )


def from_json(content: bytes, kind: type[Kind]) -> Kind:
    """Return what `to_json` wrote.

    Raises
    ------
    msgspec.DecodeError
        If it is no JSON, or not of this kind.
    """
    try:
        return msgspec.convert(json.loads(content), kind, str_keys=True)
    except msgspec.DecodeError:
        raise
    except (ValueError, RecursionError) as error:
        raise msgspec.DecodeError(str(error)) from None
