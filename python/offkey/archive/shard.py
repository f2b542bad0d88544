"""Which parts of a result are one job's to write, where several share the work."""

from __future__ import annotations

import dataclasses
import re
from typing import Self

from offkey.errors import ParameterError

__all__ = ["Shard"]

_TEXT = re.compile(r"(\d+)/(\d+)")
_NAME = re.compile(r"(\d+)-of-(\d+)")


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Shard:
    """Every `of`-th part of a result, from the part that is number `number`, counted from 1.

    Parts are blocks of the source, whoever writes them: nothing needs to be counted beforehand, and what some shards
    have written serves any other number of them.

    Raises
    ------
    ParameterError
        If `number` is not from 1 to `of`.
    """

    number: int = 1
    of: int = 1

    def __post_init__(self) -> None:
        if not (type(self.number) is type(self.of) is int and 1 <= self.number <= self.of):
            raise ParameterError(
                f"shard = {self}: expected K/N, K from 1 to N, such as 3/16: the third of 16 jobs"
            )

    @classmethod
    def parsed(cls, text: str) -> Self:
        """Return the shard that a text such as ``3/16`` names.

        Raises
        ------
        ParameterError
            If it names none.
        """
        match = _TEXT.fullmatch(text.strip())
        if match is None:
            raise ParameterError(
                f"shard = {text}: expected K/N, K from 1 to N, such as 3/16: the third of 16 jobs"
            )
        return cls(int(match[1]), int(match[2]))

    @classmethod
    def named(cls, name: str) -> Self | None:
        """Return the shard whose `name` is in that of a file; None if there is none in it."""
        match = _NAME.search(name)
        return None if match is None else cls(int(match[1]), int(match[2]))

    @property
    def name(self) -> str:
        """What its own files have in their names."""
        return f"{self.number:04d}-of-{self.of:04d}"

    @property
    def is_whole(self) -> bool:
        """Whether it is all there is."""
        return self.of == 1

    def has(self, part: int) -> bool:
        """Say whether a part, counted from 0, is one of this shard's."""
        return part % self.of == self.number - 1

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"
