"""How many false alarms in which time."""

import pytest

from offkey._util.rates import parse_false_alarms
from offkey.errors import ParameterError


@pytest.mark.parametrize(
    ("text", "recordings_a_day", "recordings_between"),
    [
        ("1 a week", 24.0, 168.0),
        ("2 per day", 24.0, 12.0),
        ("1 a month", 24, 730.5),
        ("1 A Year", 24.0, 8766.0),
        ("  0.5/week ", 10.0, 140.0),
        ("0,5 a week", 10.0, 140.0),
        ("1 in 2 years", 24.0, 17532.0),
        ("once every 3 months", 1.0, 91.3125),
        ("twice a day", 0.5e3, 250.0),
        ("1 an year", 1.0, 365.25),
    ],
)
def test_words_become_a_rate(text: str, recordings_a_day: float, recordings_between: float) -> None:
    assert 1 / parse_false_alarms(text, recordings_a_day=recordings_a_day) == pytest.approx(
        recordings_between
    )


@pytest.mark.parametrize(
    "text", ["", "1", "a week", "1 week", "1 a fortnight", "-1 a week", "1e3 a week", "1 a weekly", 1]
)
def test_other_words_are_refused(text: str) -> None:
    with pytest.raises(
        ParameterError, match=r"^false_alarms = .*: expected a number of alarms in a day.*'1 a week'"
    ):
        parse_false_alarms(text, recordings_a_day=24.0)


@pytest.mark.parametrize(
    "text", ["0 a week", "24 a day", "30 per day", "1 in 0 weeks", f"1 in 1{'0' * 400} weeks"]
)
def test_rates_outside_0_and_1_are_refused(text: str) -> None:
    with pytest.raises(
        ParameterError, match=r"fewer than there are recordings in that time: .* recordings_a_day = 24"
    ):
        parse_false_alarms(text, recordings_a_day=24.0)


@pytest.mark.parametrize("value", [0, -1.0, float("nan"), float("inf"), "24"])
def test_recordings_a_day_are_above_0(value: float) -> None:
    with pytest.raises(ParameterError, match=r"^recordings_a_day = .*: expected a finite number above 0"):
        parse_false_alarms("1 a week", recordings_a_day=value)


def test_without_recordings_a_day_there_is_no_rate() -> None:
    with pytest.raises(ParameterError, match="give recordings_a_day, such as 24 for one every hour"):
        parse_false_alarms("1 a week", recordings_a_day=None)
