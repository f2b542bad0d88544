"""Decisions over all recordings of a table, the oddest of them, and batches unlike the calibration clips."""

import warnings

import numpy as np
import pytest
from machines import RATE, recording

import offkey
from offkey.errors import OffkeyWarning, ParameterError
from offkey.scores import ScoreTable

SECONDS, CLIPS = 1.0, 40


def _table(p, **columns):
    n = len(p)
    columns = {"path": [f"{row}.wav" for row in range(n)], "anomaly_score": np.arange(n, 0.0, -1)} | columns
    return ScoreTable(p_value=p, **columns)


def test_the_decisions_are_those_of_all_p_values_together():
    table = _table([0.001, 0.02, 0.5, 0.9], decision=[1, 1, 0, 0], threshold=[2.0] * 4)
    decided = table.with_false_discovery_rate(0.05)
    assert decided.decision.tolist() == [1, 1, 0, 0]
    assert np.isnan(decided.threshold).all()
    assert table.with_false_discovery_rate(0.03).decision.tolist() == [1, 0, 0, 0]
    assert (table.decision.tolist(), table.threshold[0], table.discoveries) == ([1, 1, 0, 0], 2.0, None)


def test_rows_without_a_score_have_no_decision():
    table = _table([0.001, None], anomaly_score=[3.0, None], error=[None, "1.wav: not a sound file"])
    decided = table.with_false_discovery_rate(0.1)
    assert decided.decision.tolist() == [1, -1]
    assert decided.discoveries.recordings == 1
    nothing = _table([None], anomaly_score=[None], error=["0.wav: gone"]).with_false_discovery_rate(0.1)
    assert nothing.decision.tolist() == [-1]
    assert nothing.discoveries.summary() == "0 of 0 recordings sound wrong at a false discovery rate of 0.1"


def test_what_could_be_found_follows_from_the_calibration_clips():
    table = _table(np.full(1000, 0.5), calibration=["own"] * 1000, calibration_clips=[240] * 1000)
    discoveries = table.with_false_discovery_rate(0.1).discoveries
    assert (discoveries.called, discoveries.least_findable) == (0, 42)
    assert discoveries.smallest_p == pytest.approx(1 / 241)
    assert discoveries.summary() == (
        "0 of 1000 recordings sound wrong at a false discovery rate of 0.1; no fewer than 42 can be found, since the "
        "calibration clips allow no p-value below 0.0041"
    )
    assert table.with_false_discovery_rate(0.1, windows=[6] * 1000).discoveries.least_findable == 249
    assert table.with_false_discovery_rate(0.001).discoveries.least_findable is None
    tail = _table(np.full(1000, 0.5), calibration=["tail"] * 1000, calibration_clips=[240] * 1000)
    assert tail.with_false_discovery_rate(0.1).discoveries.least_findable == 1


def test_windows_of_one_recording_are_one_test():
    paths = ["long.wav"] * 3 + ["a.wav", "b.wav"]
    table = _table([0.01, 0.5, 0.04, 0.04, 0.9], path=paths, start_s=[0, 10, 20, None, None])
    decided = table.with_false_discovery_rate(0.1)
    assert decided.discoveries.recordings == 3
    assert decided.decision.tolist() == [1, 0, 0, 1, 0]  # 3 x 0.01 and 0.04; 3 x 0.04 is too much


def test_a_recording_that_is_given_twice_is_two_tests():
    decided = _table([0.01, 0.01], path=["a.wav", "a.wav"]).with_false_discovery_rate(0.1)
    assert decided.discoveries.recordings == 2


def test_decisions_of_a_saved_table(tmp_path):
    table = _table([0.001, 0.5], calibration=["own"] * 2, calibration_clips=[999] * 2)
    table.write(tmp_path / "s.csv")
    again = ScoreTable.read(tmp_path / "s.csv").with_false_discovery_rate(0.1)
    assert again == table.with_false_discovery_rate(0.1)
    again.write(tmp_path / "s.csv")
    assert ScoreTable.read(tmp_path / "s.csv") == again


def test_a_table_without_p_values_is_refused():
    table = ScoreTable(path=["a.wav"], anomaly_score=[1.0])
    with pytest.raises(ParameterError, match="scores but no p-values"):
        table.with_false_discovery_rate(0.1)
    for rate in (0, 1, True):
        with pytest.raises(ParameterError, match="false_discovery_rate"):
            _table([0.1]).with_false_discovery_rate(rate)


def test_the_oddest_come_first_by_p_value_then_by_score():
    table = _table([0.5, 0.1, 0.1, None, 0.3], anomaly_score=[9.0, 1.0, 2.0, None, 3.0])
    assert [path.name for path in table.most_anomalous(3).path] == ["2.wav", "1.wav", "4.wav"]
    assert len(table.most_anomalous(100)) == 4  # without a score there is nothing to look at
    without = ScoreTable(path=["a.wav", "b.wav"], anomaly_score=[1.0, 2.0])
    assert [path.name for path in without.most_anomalous(1).path] == ["b.wav"]


def test_the_oddest_are_recordings_not_windows_of_one():
    table = _table(
        [0.01, 0.02, 0.5, 0.03],
        path=["long.wav"] * 3 + ["a.wav"],
        start_s=[0, 10, 20, None],
        a_other=[1, 2, 3, 4],
    )
    top = table.most_anomalous(2)
    assert [(path.name, row["start_s"]) for path, row in zip(top.path, top.rows(), strict=True)] == [
        ("long.wav", 0),
        ("a.wav", None),
    ]
    assert top.a_other.tolist() == [1, 4]


@pytest.mark.parametrize("top", [0, -3])
def test_no_recordings_are_no_oddest(top):
    with pytest.raises(ParameterError, match=f"top = {top}: expected at least 1"):
        _table([0.1]).most_anomalous(top)


# ----------------------------------------------------------------------------------------------- a detector


def _sounds(seed, count, *, hum_hz=90, faulty=False):
    rng = np.random.default_rng(seed)
    return [recording(rng, hum_hz=hum_hz, seconds=SECONDS, faulty=faulty) for _ in range(count)]


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    import soundfile as sf

    root = tmp_path_factory.mktemp("press")
    for k, samples in enumerate(_sounds(0, CLIPS)):
        sf.write(root / f"{k}.wav", samples, RATE, "PCM_16")
    recipe = offkey.Recipe.named("spectral").replace(training__clip_seconds=SECONDS, spectral__check=False)
    return offkey.Detector(recipe).fit(offkey.datasets.folder(root))


def _scored(detector, sounds, **options):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        table = detector.score(sounds, sample_rate=RATE, **options)
    assert all(warning.category is OffkeyWarning for warning in caught)
    return table, [str(warning.message) for warning in caught]


def test_ranks_decide_where_they_are_fine_enough(detector):
    sounds = [*_sounds(1, 20), *_sounds(2, 20, faulty=True)]
    table, notes = _scored(detector, sounds, false_discovery_rate=0.1)
    assert table.decision[20:].all()
    assert set(table.calibration) == {"pooled"}
    assert table.discoveries.least_findable == 10  # 40 recordings, 41 ranks
    assert not any("false discovery" in note for note in notes)


def test_a_tail_decides_where_ranks_can_find_nothing(detector):
    sounds = [*_sounds(1, 78), *_sounds(2, 2, faulty=True)]
    table, notes = _scored(detector, sounds, false_discovery_rate=0.1)
    assert np.flatnonzero(table.decision == 1)[-2:].tolist() == [78, 79]
    assert table.decision[:78].sum() <= 1
    assert set(table.calibration) == {"tail"}
    (note,) = [note for note in notes if note.startswith("false discovery: ")]
    assert "no fewer than 20 of 80 recordings could be found" in note
    assert "estimates" in note


def test_a_bad_rate_is_refused_before_anything_is_scored(detector):
    with pytest.raises(ParameterError, match=r"false_discovery_rate = 1\.5"):
        detector.score("no/such/folder", false_discovery_rate=1.5)


def test_other_recordings_of_the_same_machine_are_no_drift(detector):
    table, notes = _scored(detector, _sounds(3, 40))
    (drift,) = table.drift
    assert (drift.recordings, drift.calibration_clips) == (40, CLIPS)
    assert drift.p_value > 0.01
    assert not any("drift" in note for note in notes)


def test_a_changed_machine_is_drift(detector):
    table, notes = _scored(detector, _sounds(3, 40, hum_hz=110))
    (drift,) = table.drift
    assert drift.p_value < 0.01
    assert drift.higher
    (note,) = [note for note in notes if note.startswith("drift: ")]
    assert (
        "higher scores, 0 of 40 recordings lie where the lowest 92% of 40 calibration clips do (p = " in note
    )
    assert "the microphone" in note
    assert table.most_anomalous(3).drift == table.drift


def test_recordings_that_were_trained_on_score_lower_and_that_is_said(detector):
    _, notes = _scored(detector, _sounds(0, CLIPS))
    (note,) = [note for note in notes if note.startswith("drift: ")]
    assert "lower scores" in note
    assert "was trained on these recordings" in note


def test_a_dozen_recordings_are_needed_to_speak_of_drift(detector):
    table, notes = _scored(detector, _sounds(3, 11, hum_hz=110))
    assert table.drift == ()
    assert not any("drift" in note for note in notes)


def test_windows_of_long_recordings_are_not_compared(detector):
    long = [np.concatenate(_sounds(seed, 3, hum_hz=110)) for seed in range(12)]
    assert _scored(detector, long)[0].drift == ()
    assert _scored(detector, long, windows="each")[0].drift == ()
