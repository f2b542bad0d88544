"""`offkey confirm`."""

import json

import pytest

import offkey as package
from offkey.scores import ScoreTable


@pytest.fixture
def faint(detector, tree):
    """The healthy recording of ID 00 with the lowest score: as a fault it could hardly be heard."""
    paths = sorted((tree / "fan" / "test").glob("normal_id_00_*"))
    table = package.load(detector).score(paths)
    return table.path[int(table.anomaly_score.argmin())]


def test_thresholds_go_down_and_the_table_says_what_that_costs(offkey, detector, faint):
    before = package.load(detector).thresholds
    shown = offkey("confirm", detector, faint, "--max-false-alarm-rate", "0.25", "--out", "new.offkey")
    assert shown.code == 0
    header, _, row = shown.out.splitlines()
    assert header.split() == ["machine_id", "confirmed", "threshold", "new", "false_alarm_rate"]
    cells = row.split()
    assert cells[:2] == ["00", "1"]
    assert float(cells[3]) < float(cells[2])
    assert float(cells[4]) <= 0.25
    assert "1 of 1 confirmed anomalies stay below" in shown.err
    assert "at --max-false-alarm-rate 0.25: " in shown.err
    assert "next: offkey score new.offkey RECORDINGS" in shown.err
    after = package.load("new.offkey")
    assert after.thresholds["00"] < before["00"]
    assert package.load(detector).thresholds == before
    facts = json.loads(offkey("info", "new.offkey", "--json").out)
    assert [event["kind"] for event in facts["history"]] == ["fit", "confirm"]
    assert list(facts["confirmed"]) == ["00"]
    assert "confirm" in offkey("info", "new.offkey").out


def test_a_table_of_scores_does_as_well_and_the_same_file_may_be_written(offkey, detector, tree, tmp_path):
    own = tmp_path / "own.offkey"
    own.write_bytes(detector.read_bytes())
    faults = sorted((tree / "fan" / "test").glob("anomaly_id_02_*"))
    offkey("score", own, *faults, "--out", "fault_list.csv")
    shown = offkey("confirm", own, "fault_list.csv", "--max-false-alarm-rate", "0.2", "--out", own, "--json")
    assert shown.code == 0
    event = json.loads(shown.out)
    assert event["kind"] == "confirm"
    assert event["clips"] == {"02": len(faults)}
    assert "its threshold stays at" in shown.err
    assert package.load(own).history[-1].state() == event
    assert len(ScoreTable.read("fault_list.csv")) == len(faults)


def test_recordings_that_cannot_be_scored_are_named_once_and_make_the_exit_code_3(
    offkey, detector, tree, tmp_path
):
    (tmp_path / "bad_id_00.wav").write_bytes(b"")
    fault = tree / "fan" / "test" / "anomaly_id_00_00000000.wav"
    shown = offkey(
        *("confirm", detector, fault, tmp_path / "bad_id_00.wav"),
        *("--max-false-alarm-rate", "0.1", "--out", "new.offkey"),
    )
    assert shown.code == 3
    assert shown.err.count("bad_id_00.wav") == 1
    assert package.load("new.offkey").history[-1].clips == {"00": 1}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["{tree}", "--max-false-alarm-rate", "0.01"],
            "--max-false-alarm-rate 0.01: expected a number below 1, and",
        ),
        (["{tree}", "--max-false-alarm-rate", "1"], "--max-false-alarm-rate 1.0: expected a number below 1"),
        (["nowhere", "--max-false-alarm-rate", "0.1"], "nowhere: no such file or folder"),
        (["none.csv", "--max-false-alarm-rate", "0.1"], "none.csv: No such file"),
        (["{tree}"], "requires an argument"),
    ],
)
def test_bad_input_is_one_line_and_writes_no_detector(offkey, detector, tree, tmp_path, arguments, message):
    names = {"tree": tree / "fan" / "test"}
    shown = offkey("confirm", detector, *(text.format(**names) for text in arguments), "--out", "new.offkey")
    assert shown.code == 2
    assert message in shown.err
    assert not (tmp_path / "new.offkey").exists()
