"""`Detector.confirm`: thresholds below confirmed anomalies, kept apart in the file."""

import json
import re

import numpy as np
import pytest
import soundfile as sf
from machines import RATE, recording, write_tree
from tiny_recipe import SPECTRAL

import offkey
from offkey import ScoreTable, datasets, detector_file
from offkey.errors import DatasetError, DetectorFileError, OffkeyWarning, ParameterError


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = write_tree(tmp_path_factory.mktemp("confirm") / "dev_data", machines=("fan",), train=40, test=8)
    return datasets.dcase2020(root, machine="fan")


@pytest.fixture(scope="module")
def detector(data):
    return offkey.Detector(SPECTRAL).fit(data, num_threads=1)


@pytest.fixture(scope="module")
def normals(data, detector):
    """Healthy recordings, which stand for faults that hardly sound: they lie among the calibration scores."""
    return detector.score([clip.path for clip in data.test if clip.label == 0])


def only(table, rows):
    cells = list(table.rows())
    return ScoreTable.from_rows([cells[int(row)] for row in rows])


def just_missed(detector, table, machine_id, max_rate):
    """The row of an ID with the highest score that is not called, and that `max_rate` would call."""
    rows = [
        row
        for row in np.argsort(table.anomaly_score)[::-1]
        if table.machine_id[row] == machine_id and table.decision[row] == 0 and table.p_value[row] <= max_rate
    ]
    return int(rows[0])


def test_a_missed_anomaly_is_called_afterwards_and_all_else_stays(detector, normals, data):
    row = just_missed(detector, normals, "00", 0.5)
    sharper = detector.confirm(only(normals, [row]), max_false_alarm_rate=0.5)
    before, after = normals, sharper.score(list(normals.path))
    assert detector.score(list(normals.path)) == before  # the old one is as it was
    assert after.decision[row] == 1
    assert after.threshold[row] == np.nextafter(before.anomaly_score[row], -np.inf)
    others = [at for at, name in enumerate(before.machine_id) if name != "00"]
    np.testing.assert_array_equal(after.threshold[others], before.threshold[others])
    for name in ("anomaly_score", "p_value", "calibration_clips"):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name))
    assert after.calibration == before.calibration
    assert sharper.thresholds_at(0.05) == detector.thresholds_at(0.05)
    assert sharper.thresholds[None] == detector.thresholds[None]
    (confirmed,) = sharper.confirmed.values()
    assert confirmed.false_alarm_rate == before.p_value[row]
    assert not detector.confirmed


def test_a_rate_that_is_asked_for_decides_without_the_confirmed_thresholds(detector, normals):
    row = just_missed(detector, normals, "00", 0.5)
    sharper = detector.confirm(only(normals, [row]), max_false_alarm_rate=0.5)
    with pytest.warns(OffkeyWarning, match=r"asked for: thresholds .* \(ID 00\) do not count"):
        table = sharper.score(list(normals.path), false_alarm_rate=0.05)
    assert table == normals


def test_no_threshold_goes_past_the_largest_rate_and_what_stays_below_is_named(detector, normals):
    row = int(normals.anomaly_score.argmin())
    name = normals.machine_id[row]
    with pytest.warns(
        OffkeyWarning, match=f"1 of 1 confirmed anomalies stay below .*{normals.path[row].name}"
    ):
        sharper = detector.confirm(only(normals, [row]), max_false_alarm_rate=0.1)
    assert sharper.thresholds[name] == detector.thresholds_at(0.1)[name]
    assert sharper.confirmed[name].false_alarm_rate <= 0.1


def test_thresholds_are_never_raised(detector, data, normals):
    faults = data.clips.where(label=1)
    with pytest.warns(
        OffkeyWarning, match=r"ID 0\d: its 8 confirmed anomalies exceed it: its threshold stays"
    ):
        same = detector.confirm(faults, max_false_alarm_rate=0.1)
    assert same.thresholds == detector.thresholds
    assert not same.confirmed
    row = just_missed(detector, normals, "02", 0.9)
    sharper = detector.confirm(only(normals, [row]), max_false_alarm_rate=0.9)
    with pytest.warns(OffkeyWarning, match="its threshold stays"):
        assert sharper.confirm(faults, max_false_alarm_rate=0.05).confirmed == sharper.confirmed


def test_file_description_and_history_have_it(detector, normals, tmp_path):
    row = just_missed(detector, normals, "00", 0.5)
    sharper = detector.confirm(only(normals, [row]), max_false_alarm_rate=0.5)
    sharper.save(tmp_path / "fan.offkey")
    again = offkey.load(tmp_path / "fan.offkey")
    assert again.confirmed == sharper.confirmed
    assert again.history == sharper.history
    assert again.score(list(normals.path)) == sharper.score(list(normals.path))
    fit, event = again.history
    assert (fit.kind, fit.time, fit.clips) == ("fit", None, {"00": 40, "02": 40})
    assert (event.kind, event.clips) == ("confirm", {"00": 1})
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", event.time)
    assert event.thresholds_before["00"] == detector.thresholds["00"]
    assert event.thresholds["00"] == sharper.thresholds["00"] < detector.thresholds["00"]
    described = json.loads(json.dumps(again.describe()))
    assert described["confirmed"]["00"]["false_alarm_rate"] == normals.p_value[row]
    assert described["thresholds"]["00"] == sharper.thresholds["00"]
    assert [step["kind"] for step in described["history"]] == ["fit", "confirm"]


def test_files_without_history_load(detector, tmp_path):
    detector.save(tmp_path / "new")
    arrays, metadata = detector_file.read(tmp_path / "new")
    for name in ("confirmed", "history"):
        del metadata[name]
    detector_file.write(tmp_path / "old", arrays, metadata)
    old = offkey.load(tmp_path / "old")
    assert (old.history, dict(old.confirmed)) == ((), {})
    assert old.thresholds == detector.thresholds


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("confirmed", []),
        ("confirmed", {"99": {"threshold": 1.0, "false_alarm_rate": 0.1}}),
        ("confirmed", {"00": 1.0}),
        ("history", {}),
        ("history", [{"kind": "stolen", "time": None, "clips": {}}]),
        ("history", [{"kind": "fit", "time": 3, "clips": {}}]),
        ("history", [{"kind": "fit", "time": None, "clips": {"00": "many"}}]),
    ],
)
def test_impossible_entries_of_a_file_are_refused(detector, tmp_path, name, value):
    detector.save(tmp_path / "new")
    arrays, metadata = detector_file.read(tmp_path / "new")
    detector_file.write(tmp_path / "odd", arrays, metadata | {name: value})
    with pytest.raises(DetectorFileError, match=name):
        offkey.load(tmp_path / "odd")


def test_a_rescored_detector_has_no_thresholds_among_other_scores(detector, normals):
    row = just_missed(detector, normals, "00", 0.5)
    sharper = detector.confirm(only(normals, [row]), max_false_alarm_rate=0.5)
    rescored = sharper.rescored(sharper.recipe.replace(scoring__false_alarm_rate=0.01).scoring)
    assert not rescored.confirmed
    assert rescored.history == sharper.history


def test_long_recordings_are_called_by_their_worst_window(data, tmp_path):
    recipe = SPECTRAL.replace(training__clip_seconds=0.45)
    detector = offkey.Detector(recipe).fit(data, num_threads=1)
    rng = np.random.default_rng(5)
    for n in range(20):
        sf.write(tmp_path / f"x_id_00_{n}.wav", recording(rng, hum_hz=90.0, seconds=1.35), RATE)
    table = detector.score(tmp_path)
    assert (~np.isnan(table.start_s)).all()
    row = just_missed(detector, table, "00", 0.6)
    sharper = detector.confirm(only(table, [row]), max_false_alarm_rate=0.6)
    after = sharper.score(tmp_path)
    assert after.decision[row] == 1
    np.testing.assert_array_equal(after.p_value, table.p_value)
    rate = sharper.confirmed["00"].false_alarm_rate
    np.testing.assert_array_equal(after.decision, after.p_value <= rate * (1 + 1e-12))


@pytest.mark.parametrize("rate", [0, 1, 1.5, -0.1, float("nan"), 0.04, True, "0.1", None])
def test_rates_that_cannot_be_are_refused_before_anything_is_read(detector, rate):
    with pytest.raises(ParameterError, match=r"max_false_alarm_rate = .*below 1, and at least 0\.05"):
        detector.confirm("nowhere", max_false_alarm_rate=rate)


def test_scores_of_another_detector_are_refused(detector, data, normals):
    fewer = datasets.Dataset(machine="fan", clips=datasets.Clips(list(data.clips)[5:]))
    for table in (
        offkey.Detector(SPECTRAL).fit(fewer, num_threads=1).score(list(normals.path)),
        ScoreTable(path=["a"], machine_id=["00"], scored_as=["00"], anomaly_score=[3.0]),
        ScoreTable(path=["a"], machine_id=["00"], scored_as=["99"], anomaly_score=[3.0], a_spectral=[1.0]),
        ScoreTable(path=["a"], machine_id=["00"], scored_as=["00"], anomaly_score=[3.0], a_spectral=[1.0]),
    ):
        with pytest.raises(ParameterError, match=r"not of this detector: .*; score the recordings with it"):
            detector.confirm(table, max_false_alarm_rate=0.1)


def test_normals_unknown_ids_and_nothing_scored_are_refused(detector, data, tmp_path):
    with pytest.raises(DatasetError, match="labelled normal; expected recordings of confirmed anomalies"):
        detector.confirm(data, max_false_alarm_rate=0.1)
    sf.write(tmp_path / "a_id_77.wav", recording(np.random.default_rng(0), hum_hz=90.0), RATE)
    with (
        pytest.warns(OffkeyWarning, match="ID '77' is not known"),
        pytest.raises(DatasetError, match=r"no recording of a known ID .* of ID 00, 02"),
    ):
        detector.confirm(tmp_path, max_false_alarm_rate=0.1)
    with pytest.raises(ParameterError, match="not fitted"):
        offkey.Detector().confirm(tmp_path, max_false_alarm_rate=0.1)


def test_recordings_that_say_nothing_are_told(detector, normals, tmp_path):
    rng = np.random.default_rng(1)
    sf.write(tmp_path / "a_id_00.wav", recording(rng, hum_hz=90.0, faulty=True), RATE)
    sf.write(tmp_path / "b.wav", recording(rng, hum_hz=90.0, faulty=True), RATE)
    (tmp_path / "c_id_00.wav").write_bytes(b"")
    with pytest.warns(OffkeyWarning) as warned:
        sharper = detector.confirm(tmp_path, max_false_alarm_rate=0.1)
    texts = [str(warning.message) for warning in warned]
    assert any(
        re.search(r"1 of the recordings could not be scored, the first: .*c_id_00\.wav", t) for t in texts
    )
    assert any(
        "1 of the recordings are of an ID that the detector does not know, or of none" in t for t in texts
    )
    assert sharper.history[-1].clips == {"00": 1}
