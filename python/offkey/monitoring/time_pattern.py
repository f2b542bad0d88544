"""How a date and time is written in names, as `datetime.datetime.strptime` has it."""

from __future__ import annotations

import datetime
import re
from pathlib import Path

from offkey.errors import ParameterError

__all__ = ["TimePattern"]

_DIGITS = {"Y": (4, 4), "m": (1, 2), "d": (1, 2), "H": (1, 2), "I": (1, 2), "M": (1, 2), "S": (1, 2)}
_DIGITS |= {"y": (2, 2), "j": (1, 3), "f": (1, 6)}
_WORDS = {"b": r"[^\W\d_]+\.?", "B": r"[^\W\d_]+", "a": r"[^\W\d_]+\.?", "A": r"[^\W\d_]+", "p": "[AaPp][Mm]"}
_OTHERS = _WORDS | {"z": r"(?:Z|[+-]\d\d:?\d\d)", "%": "%"}
_TOKEN = re.compile(r"%(.?)|([^%]+)")


class TimePattern:
    """A date and time that may stand anywhere in a name, or with a ``/`` in the pattern, in a path.

    Parameters
    ----------
    pattern
        Such as ``%Y%m%d_%H%M%S``.

    Raises
    ------
    ParameterError
        If it has directives that are not known, or no year, month and day.
    """

    def __init__(self, pattern: str) -> None:
        tokens = _TOKEN.findall(pattern)
        letters = {letter for letter, text in tokens if not text}
        unknown = sorted(letters - {*_DIGITS, *_OTHERS})
        if unknown:
            raise ParameterError(
                f"time_pattern = {pattern!r}: %{unknown[0]} is not known; expected some of "
                f"{' '.join('%' + letter for letter in (*_DIGITS, *_OTHERS))}"
            )
        of_year = "j" in letters or ("d" in letters and letters & {"m", "b", "B"})
        if not letters & {"Y", "y"} or not of_year:
            raise ParameterError(
                f"time_pattern = {pattern!r}: expected a year, a month and a day, such as '%Y%m%d_%H%M%S'"
            )
        self._pattern = pattern
        self._of_day = bool(letters & {"H", "I"})
        self._form = re.compile(_form(tokens))

    def found(self, path: Path) -> list[tuple[datetime.datetime, bool]]:
        """Return the times in a name, each with whether it has a time of day."""
        text = path.as_posix() if "/" in self._pattern else path.name
        moments = []
        for match in self._form.finditer(text):
            try:
                moments.append((datetime.datetime.strptime(match[0], self._pattern), self._of_day))
            except ValueError:
                continue  # such as a month 13: digits of something else
        return moments


def _form(tokens: list[tuple[str, str]]) -> str:
    """Return a regular expression; numbers that touch others have all their digits."""
    numeric = [not text and letter in _DIGITS for letter, text in tokens]
    parts = []
    for at, (letter, text) in enumerate(tokens):
        touches = numeric[at - 1 : at] == [True] or numeric[at + 1 : at + 2] == [True]
        if text:
            parts.append(re.escape(text))
        elif numeric[at]:
            least, most = _DIGITS[letter]
            parts.append(rf"\d{{{most if touches and letter != 'f' else least},{most}}}")
        else:
            parts.append(_OTHERS[letter])
    return (r"(?<!\d)" if numeric[0] else "") + "".join(parts) + (r"(?!\d)" if numeric[-1] else "")
