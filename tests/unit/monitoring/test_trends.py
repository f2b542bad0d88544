"""From tables of scores to alarms of machines."""

import json

import numpy as np
import pytest

import offkey
from offkey.errors import DatasetError, ParameterError
from offkey.scores import ScoreTable

CLIPS = 60


def rows_of(machine_id, p_values, *, first="2026-05-01T00", **cells):
    """A row an hour."""
    times = np.datetime64(first, "h") + np.arange(len(p_values))
    return [
        {
            "path": f"in/{machine_id}_{str(time).replace('T', '_')}-00.wav",
            "machine_type": "fan",
            "machine_id": machine_id,
            "anomaly_score": 1 - p,
            "decision": int(p <= 0.05),
            "threshold": 0.95,
            "p_value": p,
            "calibration": "own",
            "calibration_clips": CLIPS,
        }
        | cells
        for time, p in zip(times, p_values, strict=True)
    ]


def healthy(count, seed=0):
    return (np.random.default_rng(seed).integers(1, CLIPS + 2, size=count) / (CLIPS + 1)).tolist()


def faulty(count):
    return [1 / (CLIPS + 1)] * count


def table_of(*rows):
    return ScoreTable.from_rows([row for part in rows for row in part])


def test_a_fault_raises_an_alarm_of_its_machine_alone():
    table = table_of(rows_of("00", healthy(60)), rows_of("02", healthy(40, seed=1) + faulty(20)))
    trends = offkey.trend(table)
    quiet, loud = trends.machines
    assert (quiet.name, quiet.state, quiet.alarms) == ("fan 00", "quiet", ())
    assert (loud.name, loud.state) == ("fan 02", "alarm")
    (alarm,) = loud.alarms
    assert alarm.since <= np.datetime64("2026-05-02T16") <= alarm.at <= np.datetime64("2026-05-02T20")
    assert alarm.until is None
    assert str(alarm.path) == f"in/02_{str(alarm.at)[:13].replace('T', '_')}-00.wav"
    assert loud.evidence[-1] == trends.run_length == 8760
    assert trends.alarmed == (loud,)


def test_rows_may_stand_in_any_order():
    rows = rows_of("00", healthy(30) + faulty(10))
    one, other = (offkey.trend(table_of(order)).machines[0] for order in (rows, rows[::-1]))
    assert np.array_equal(one.evidence, other.evidence)
    assert one.alarms == other.alarms
    assert other.rows.tolist() == list(range(39, -1, -1))


def test_the_run_length_is_what_evidence_has_to_reach():
    table = table_of(rows_of("00", healthy(30) + faulty(10)))
    at = [offkey.trend(table, run_length=length).machines[0].alarms[-1].at for length in (100.0, 1e4, 1e6)]
    assert at[0] < at[1] < at[2]


def test_more_certainty_takes_more_recordings():
    table = table_of(rows_of("00", healthy(30) + faulty(20)))
    assert (
        offkey.trend(table, delta=0.5).machines[0].alarms[0].at
        < offkey.trend(table, delta=1e-4).machines[0].alarms[0].at
    )


def test_windows_stand_in_time_within_their_recording():
    rows = rows_of("00", [0.5, 0.5, 0.5])
    rows = [rows[1], *(rows[0] | {"start_s": start, "p_value": p} for start, p in ((10.0, 0.2), (0.0, 0.1)))]
    machine = offkey.trend(table_of(rows)).machines[0]
    assert machine.p_values.tolist() == [0.1, 0.2, 0.5]
    assert machine.times[1] - machine.times[0] == np.timedelta64(10, "s")
    assert not machine.worst_of_windows


def test_what_is_left_out_or_doubtful_is_said():
    rows = rows_of("00", healthy(3))
    rows[0] |= {"anomaly_score": None, "p_value": None, "calibration_clips": None, "error": "empty"}
    rows[1] |= {"start_s": 20.0}
    same = [
        row | {"path": f"in/{at}_2026-05-09_00-00.wav"} for at, row in enumerate(rows_of("01", healthy(4)))
    ]
    pooled = rows_of("02", healthy(9), calibration="pooled")
    none = [row | {"machine_id": None} for row in rows_of("x", healthy(9))]
    notes = offkey.trend(table_of(rows, same, pooled, none)).notes
    for text in (
        "fan 00: 1 of 3 recordings have no score and are left out",
        "fan 00: 2 recordings: too few for an alarm, which takes 5 or more with 60 calibration clips",
        "fan 00: 1 long recordings have the p-value of their worst window",
        "fan 01: 3 recordings have the time of another one; these keep the order of their rows",
        "fan 02: p-values come from the clips of all IDs",
        "fan: recordings without an ID are taken for those of one machine",
    ):
        assert any(note.startswith(text) for note in notes), text


def test_a_machine_without_a_score_is_there():
    lost = rows_of("01", [0.5], anomaly_score=None, p_value=None, calibration_clips=None, error="empty")
    trends = offkey.trend(table_of(rows_of("00", healthy(9)), lost))
    assert [machine.state for machine in trends.machines] == ["quiet", "unknown"]
    assert "fan 01" in trends.to_text()
    assert json.loads(trends.to_json())["machines"][1]["missing"] == 1


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([{"p_value": None}, {"p_value": None}], "the 2 rows have no p-values .*score the recordings again"),
        ([{"p_value": None}, {}], "row 0: in/.*: a score, but no p-value, where others have one"),
        ([{"p_value": None, "anomaly_score": None}, {}], "1 recording has a p-value; expected several"),
        ([{"path": "in/a_2026-05-01.wav"}] * 2, "rows 0 and 1: in/a.*: the same recording twice"),
        (
            [{"threshold": 1.5}, {}],
            "rows 0 and 1: machine ID 00 has a threshold 1.5 and 0.95: .*different detectors",
        ),
        ([{"calibration_clips": 50}, {}], "rows 0 and 1: machine ID 00 has calibration clips 50 and 60: "),
        ([{"path": "in/a.wav"}, {}], "row 0: in/a.wav: no time in the name"),
    ],
)
def test_tables_that_no_trend_can_be_made_of_are_refused(cells, message):
    rows = [row | change for row, change in zip(rows_of("00", healthy(2)), cells, strict=True)]
    with pytest.raises(DatasetError, match=f"^{message}"):
        offkey.trend(table_of(rows))


@pytest.mark.parametrize("name", ["run_length", "delta", "calibration_clips"])
@pytest.mark.parametrize("value", [0, -1.0, 1, float("nan"), float("inf"), "many"])
def test_parameters_out_of_range_are_refused(name, value):
    table = table_of(rows_of("00", healthy(9)))
    with pytest.raises(ParameterError, match=f"^{name} = "):
        offkey.trend(table, **{name: value})


def test_how_many_clips_is_told_where_the_table_does_not_say():
    table = table_of(rows_of("00", healthy(30) + faulty(10)))
    silent = table_of(rows_of("00", healthy(30) + faulty(10), calibration_clips=None, calibration=None))
    with pytest.raises(
        ParameterError, match=r"row 0: in/.*: the table does not say .*: give calibration_clips"
    ):
        offkey.trend(silent)
    told = offkey.trend(silent, calibration_clips=CLIPS).machines[0]
    assert np.array_equal(told.evidence, offkey.trend(table).machines[0].evidence)
    with pytest.raises(ParameterError, match="calibration_clips = 0"):
        offkey.trend(silent, calibration_clips=0)


def test_p_values_from_other_numbers_of_clips_are_bet_on_as_such():
    own, tail = rows_of("00", healthy(30)), rows_of("00", [1e-6] * 5, first="2026-06-01T00")
    tail = [row | {"calibration": "tail", "calibration_clips": 300, "threshold": 2.0} for row in tail]
    machine = offkey.trend(table_of(own, tail)).machines[0]
    assert machine.calibration_clips == (60, 300)
    assert machine.state == "alarm"


def test_tables_as_text_json_and_csv(tmp_path):
    trends = offkey.trend(
        table_of(rows_of("00", healthy(60)), rows_of("02", healthy(40, seed=1) + faulty(20)))
    )
    text = trends.to_text()
    assert text.startswith(
        "While a machine is healthy, an alarm takes 8760 recordings or more on average, for 0.95"
    )
    assert "Times: file names" in text
    content = json.loads(trends.to_json())
    assert content["machines"][1]["alarms"][0]["until"] is None
    header, *lines = trends.to_csv().splitlines()
    assert header.startswith("machine_type,machine_id,recordings,missing,first,last,alarms,")
    assert (
        lines[0]
        == f"fan,00,60,0,2026-05-01T00:00:00,2026-05-03T11:00:00,0,,,,{trends.machines[0].evidence[-1]},quiet"
    )
    assert lines[1].endswith(",8760.0,alarm")
    for name, form in (("t.csv", trends.to_csv), ("t.json", trends.to_json), ("t.txt", trends.to_text)):
        trends.write(tmp_path / name)
        assert (tmp_path / name).read_text() == form()
    with pytest.raises(ParameterError, match="ending"):
        trends.write(tmp_path / "t.md")
