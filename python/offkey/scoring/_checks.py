"""Checks that several modules of this package make on their input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offkey.errors import ArrayError, DetectorFileError, ParameterError

__all__ = ["known_ids", "positions", "restored_ids", "restored_vector", "sorted_ids"]


def sorted_ids(ids: Sequence[str], machine_ids: Sequence[str] | None = None) -> tuple[str, ...]:
    """Return the sorted IDs: those of `machine_ids` if given, else those that occur in `ids`.

    Raises
    ------
    ArrayError
        If an ID is no string.
    ParameterError
        If one occurs in `ids` and not in `machine_ids`.
    """
    try:
        distinct = set(ids)
    except TypeError:  # something that has no hash is no string either
        distinct = None
    if distinct is None or not all(isinstance(name, str) for name in distinct):
        at, name = next((at, name) for at, name in enumerate(ids) if not isinstance(name, str))
        raise ArrayError(f"ids: {name!r} at position {at}; expected a machine ID as a string")
    known = tuple(sorted(distinct if machine_ids is None else set(machine_ids)))
    if machine_ids is not None:
        known_ids(ids, known)
    return known


def known_ids(ids: Sequence[str], known: Sequence[str]) -> None:
    """Refuse IDs that are not among the known ones."""
    unknown = sorted(set(ids) - set(known))
    if unknown:
        raise ParameterError(
            f"ids: {', '.join(map(repr, unknown))} not known; expected some of {', '.join(map(repr, known))}"
        )


def positions(ids: Sequence[str], known: Sequence[str]) -> NDArray[np.int64]:
    """Return the position of each ID in `known` as ``(n,)`` int64, refusing unknown ones."""
    place = {name: at for at, name in enumerate(known)}
    try:
        return np.fromiter(map(place.__getitem__, ids), dtype=np.int64, count=len(ids))
    except KeyError:
        known_ids(ids, known)
        raise


def restored_ids(state: Mapping[str, Any], owner: str) -> tuple[str, ...]:
    """Return the machine IDs of a saved state, refusing anything but sorted strings, each once."""
    ids = state.get("ids")
    if not isinstance(ids, list) or not ids or not all(isinstance(name, str) for name in ids):
        raise DetectorFileError(f"{owner}: ids = {ids!r}; expected a list of machine IDs")
    if ids != sorted(set(ids)):
        raise DetectorFileError(f"{owner}: ids = {ids!r}; expected them sorted, each once")
    return tuple(ids)


def restored_vector(state: Mapping[str, Any], name: str, length: int, owner: str) -> NDArray[np.float64]:
    """Return finite numbers of a saved state as ``(length,)`` float64, refusing anything else by name."""
    values = state.get(name)
    is_list = isinstance(values, list) and all(type(value) in (int, float) for value in values)
    if not is_list or values is None or len(values) != length or not np.isfinite(values).all():
        raise DetectorFileError(f"{owner}: {name} = {values!r}; expected {length} finite numbers")
    return np.array(values, dtype=np.float64)
