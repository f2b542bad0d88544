"""Rates of false alarms in the words of people: ``1 a week``, ``2 per day``, ``1 in 2 years``."""

from __future__ import annotations

import math
import numbers
import re

from offkey.errors import ParameterError

__all__ = ["parse_false_alarms"]

_DAYS = {"day": 1.0, "week": 7.0, "month": 365.25 / 12, "year": 365.25}
_COUNTS = {"one": 1.0, "once": 1.0, "twice": 2.0}
_NUMBER = r"\d+(?:[.,]\d+)?"
_FORM = re.compile(
    rf"(?P<alarms>{_NUMBER}|{'|'.join(_COUNTS)})(?:\s*/\s*|\s+(?:an?|per|each|every|in)\s+)"
    rf"(?:(?P<periods>{_NUMBER})\s+)?(?P<unit>{'|'.join(_DAYS)})s?",
    re.IGNORECASE,
)


def parse_false_alarms(text: str, *, recordings_a_day: float | None) -> float:
    """Return the part of the healthy recordings of a machine that may be called anomalous.

    Parameters
    ----------
    text
        How many false alarms in which time, such as ``1 a week``, ``2 per day``, ``0.5/month`` or ``1 in 2 years``; a
        month has 30.4375 days.
    recordings_a_day
        How many recordings of the machine are scored in a day, above 0: 24 if there is one every hour.

    Returns
    -------
    float
        The rate, in (0, 1).

    Raises
    ------
    ParameterError
        If the text is none of these, there is no number of recordings above 0, or the rate is not in (0, 1).

    Examples
    --------
    >>> round(1 / parse_false_alarms("1 a week", recordings_a_day=24))
    168
    """
    match = _FORM.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        raise ParameterError(
            f"false_alarms = {text!r}: expected a number of alarms in a day, week, month or year, such as '1 a week', "
            "'2 per day' or '1 in 2 years'"
        )
    days = _DAYS[match["unit"].lower()] * _number(match["periods"] or "1")
    alarms = _COUNTS.get(match["alarms"].lower()) or _number(match["alarms"])
    recordings = days * _recordings_a_day(recordings_a_day)
    rate = alarms / recordings if recordings else 1.0
    if not 0 < rate < 1:
        raise ParameterError(
            f"false_alarms = {text!r}: expected more than none, and fewer than there are recordings in that time: "
            f"{recordings:g} at recordings_a_day = {recordings_a_day:g}"
        )
    return rate


def _number(text: str) -> float:
    return float(text.replace(",", "."))


def _recordings_a_day(value: object) -> float:
    if value is None:
        raise ParameterError(
            "false_alarms needs recordings_a_day, how many recordings of a machine are scored in a day: give "
            "recordings_a_day, such as 24 for one every hour"
        )
    number = float(value) if isinstance(value, numbers.Real) else math.nan
    if not (0 < number < math.inf):
        raise ParameterError(f"recordings_a_day = {value!r}: expected a finite number above 0")
    return number
