"""When recordings were made."""

import datetime
import os

import numpy as np
import pytest

from offkey.errors import DatasetError, ParameterError
from offkey.monitoring import times_of_cells, times_of_files, times_of_names

NOON = np.datetime64("2024-05-01T12:30:00", "us")


@pytest.mark.parametrize(
    "name",
    [
        "2024-05-01T12-30-00.wav",
        "20240501_123000.wav",
        "2024-05-01_12-30.wav",
        "fan_id_00_20240501T123000_left.wav",
        "20240501123000.flac",
        "202405011230.wav",
        "2024.05.01 12.30.00.wav",
        "2024-05-01 12h30.wav",
        "pump 2024_05_01 12:30:00.wav",
        "2024-05-01_12-30_00000012.wav",
        "2024-05-01_12-30_2024-05-01T12-30-00.wav",
    ],
)
def test_common_forms_are_known(name):
    times = times_of_names([f"in/2019-01-01/{name}"])
    assert times.values.tolist() == [NOON.item()]
    assert times.source == "file names, as dates and times"


def test_dates_alone_are_midnight_and_said():
    times = times_of_names(["20240501_a.wav", "b 2024-05-02.wav"])
    assert times.values.astype("datetime64[D]").astype(str).tolist() == ["2024-05-01", "2024-05-02"]
    assert "(dates alone)" in times.source


@pytest.mark.parametrize(
    "name",
    [
        "normal_id_00_00000012.wav",
        "01.05.2024_12-30.wav",
        "05-01-2024.wav",
        "20241301_123000.wav",
        "120240501_123000.wav",
        "2024-05-01_12-30 to 2024-05-01_12-40.wav",
        "1714566600.wav",
    ],
)
def test_names_without_a_time_or_with_several_are_refused_with_their_row(name):
    with pytest.raises(
        DatasetError, match=r"^s\.csv, row 7: in/.*expected a date and time such as .*time_pattern"
    ):
        times_of_names(["20240501_123000.wav", f"in/{name}"], rows=["s.csv, row 3", "s.csv, row 7"])


def test_dates_beside_times_are_refused():
    with pytest.raises(DatasetError, match=r"row 0: a time of day, but row 1: only a date"):
        times_of_names(["20240501_123000.wav", "20240501_7.wav"])


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("%d.%m.%Y_%H-%M", "fan 01.05.2024_12-30.wav"),
        ("%d.%m.%Y_%H-%M", "fan 1.5.2024_12-30.wav"),
        ("%Y%m%d_%H%M%S", "a_20240501_123000_0001.wav"),
        ("%y%m%d%H%M", "2405011230.wav"),
        ("%Y-%m-%d/%H-%M", "x/2024-05-01/12-30.wav"),
        ("%d%b%Y-%I%M%p", "01May2024-1230PM.wav"),
        ("%Y-%j-%H-%M", "2024-122-12-30.wav"),
        ("%Y-%m-%dT%H:%M%z", "2024-05-01T14:30+02:00.wav"),
    ],
)
def test_a_pattern_may_stand_anywhere(pattern, path):
    times = times_of_names([path], pattern=pattern)
    assert times.values.tolist() == [NOON.item()]
    assert pattern in times.source
    assert ("UTC" in times.source) == ("%z" in pattern)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("%H%M", "a year, a month and a day"),
        ("", "a year"),
        ("%Y-%m-%d %Q", "%Q is not known"),
        ("%Y%m%", "% is not"),
    ],
)
def test_patterns_that_are_none_are_refused(pattern, message):
    with pytest.raises(ParameterError, match=f"^time_pattern = .*{message}"):
        times_of_names(["20240501.wav"], pattern=pattern)


def test_a_name_that_a_pattern_fits_twice_or_not_is_refused():
    for name in ("20240501 20240502.wav", "x.wav"):
        with pytest.raises(DatasetError, match=r"row 0: .*expected time_pattern = '%Y%m%d' once"):
            times_of_names([name], pattern="%Y%m%d")


def test_times_of_files(tmp_path):
    (tmp_path / "a.wav").touch()
    os.utime(tmp_path / "a.wav", (0, NOON.astype("datetime64[s]").astype(int)))
    times = times_of_files([tmp_path / "a.wav"])
    assert times.values.tolist() == [NOON.item()]
    assert "UTC" in times.source
    with pytest.raises(DatasetError, match=r"row 1: .*b\.wav: no time of the file: No such file"):
        times_of_files([tmp_path / "a.wav", tmp_path / "b.wav"])


def test_times_of_cells():
    offset = datetime.timezone(datetime.timedelta(hours=2))
    cells = ["2024-05-01T12:30:00", " 2024-05-01 12:30 ", datetime.datetime(2024, 5, 1, 12, 30)]
    assert times_of_cells(cells, column="made").values.tolist() == [NOON.item()] * 3
    cells = [
        "2024-05-01T12:30:00Z",
        "2024-05-01T14:30:00+02:00",
        datetime.datetime(2024, 5, 1, 14, 30, tzinfo=offset),
    ]
    times = times_of_cells(cells, column="made")
    assert times.values.tolist() == [NOON.item()] * 3
    assert times.source == "column 'made' (UTC)"
    assert times_of_cells([datetime.date(2024, 5, 1)], column="made").source.endswith("(dates alone)")


@pytest.mark.parametrize("cell", [None, "", "yesterday", 45413.5, "01.05.2024", "0001-01-01T00:00+05:00"])
def test_cells_that_are_no_time_are_refused(cell):
    with pytest.raises(DatasetError, match="row 0: "):
        times_of_cells([cell], column="made")


def test_offsets_beside_none_are_refused():
    with pytest.raises(DatasetError, match="row 0: an offset from UTC, but row 1: none"):
        times_of_cells(["2024-05-01T12:30:00Z", "2024-05-01T12:30:00"], column="made")
