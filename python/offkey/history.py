"""What has been done to a detector since it was fitted: the events that its file keeps."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal, Self, TypeAlias

import msgspec

from offkey import __version__
from offkey.errors import DetectorFileError

__all__ = ["Event", "Kind"]

Kind: TypeAlias = Literal["fit", "update", "confirm"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One step of a detector's history."""

    kind: Kind
    time: str | None
    """UTC, such as ``2026-11-27T18:05:40+00:00``. None for a fit: the same data and seed give the same file."""
    clips: Mapping[str, int]
    """ID -> how many clips were learned, or how many confirmed anomalies were given."""
    thresholds_before: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """ID -> its threshold before; of a fit none."""
    thresholds: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """ID -> its threshold after; of a fit none, since it follows from the rest of the file."""
    false_alarm_rates: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """ID -> the share of healthy recordings that exceeds the new threshold, for a confirmation."""
    offkey: str = __version__
    """The version that did it."""

    @classmethod
    def now(cls, kind: Kind, **facts: Any) -> Self:
        """Return an event of this moment."""
        return cls(kind=kind, time=datetime.now(UTC).isoformat(timespec="seconds"), **facts)

    def state(self) -> dict[str, Any]:
        """Return plain data for JSON: all that `from_state` needs."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {
            name: dict(value) if isinstance(value, Mapping) else value
            for name, value in values.items()
            if not isinstance(value, Mapping) or value
        }

    @classmethod
    def from_state(cls, state: Any) -> Self:
        """Restore what `state` gave.

        Raises
        ------
        DetectorFileError
            If it is something else.
        """
        try:
            return msgspec.convert(state, cls)
        except msgspec.ValidationError as error:
            raise DetectorFileError(f"history: {state!r}: {error}") from None
