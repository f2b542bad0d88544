"""Notices recordings whose rate is not the one that a detector's features are computed at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from offkey.datasets.source import Chunk

__all__ = ["SourceRates"]


class SourceRates:
    """Keeps count of recordings whose rate is not the one that the features are computed at."""

    def __init__(self, wanted: int) -> None:
        self.wanted = wanted
        self._others: dict[int, tuple[int, str]] = {}  # rate -> how many, and the first

    def add(self, chunk: Chunk, *, recordings: bool = False) -> None:
        """Enter the clips of a chunk, or its recordings: of the windows of one the first."""
        new = chunk.starts <= (0 if recordings else np.inf)
        for position, rate in zip(
            chunk.positions[new].tolist(), chunk.source_rates[new].tolist(), strict=True
        ):
            self.count(chunk.items[position - chunk.first].name, rate)

    def count(self, name: str, rate: int) -> None:
        """Enter one recording; a rate of 0 means that it has none."""
        if rate not in (0, self.wanted):
            number, first = self._others.get(rate, (0, name))
            self._others[rate] = number + 1, first

    def join(self, others: SourceRates) -> None:
        """Enter what was counted elsewhere, of later recordings."""
        for rate, (count, first) in others._others.items():
            number, earlier = self._others.get(rate, (0, first))
            self._others[rate] = number + count, earlier

    def notes(self, what: str, *, kind: str = "", advice: str) -> tuple[str, ...]:
        """Return a sentence for each other rate.

        Parameters
        ----------
        what, kind
            A noun, and what follows its plural.
        advice
            What to say of rates that lack the upper bands.
        """
        notes = []
        for rate, (count, first) in sorted(self._others.items()):
            text = (
                f"resampled from {rate} to {self.wanted} Hz: {count} {what}{'s' * (count > 1)}{kind}, "
                f"the first of them {first}"
            )
            if rate < self.wanted:
                text += f"; they hold nothing above {rate // 2} Hz{advice}"
            notes.append(text)
        return tuple(notes)
