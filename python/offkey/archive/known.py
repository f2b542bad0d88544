"""Names that have scores already, however many: by numbers of eight bytes, not as text."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

import numpy as np

from offkey._util.files import encoded, path_text
from offkey.datasets.recordings import Item

__all__ = ["KnownNames"]

_RECENT = 1 << 16


class KnownNames:
    """A set of names in eight bytes each; that two of a million have the same number happens once in 30 million times.

    Parameters
    ----------
    names
        The first of them.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._sorted = np.unique(np.fromiter(map(_number, names), dtype=np.uint64))
        self._recent: set[int] = set()

    def new(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield the items whose names are not known, each of which is known from then on."""
        for item in items:
            number = _number(item.name)
            if number not in self._recent and not self._has(number):
                self._add(number)
                yield item

    def _has(self, number: int) -> bool:
        place = int(np.searchsorted(self._sorted, np.uint64(number)))
        return place < len(self._sorted) and int(self._sorted[place]) == number

    def _add(self, number: int) -> None:
        self._recent.add(number)
        if len(self._recent) >= _RECENT:
            recent = np.fromiter(self._recent, dtype=np.uint64, count=len(self._recent))
            self._sorted = np.union1d(self._sorted, recent)
            self._recent = set()


def _number(name: str) -> int:
    digest = hashlib.blake2b(encoded(path_text(name)), digest_size=8)  # as the path is in a table
    return int.from_bytes(digest.digest(), "little")
