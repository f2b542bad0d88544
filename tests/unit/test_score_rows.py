"""Long recordings in a score table: the worst window of each, or all of them."""

import numpy as np
import pytest
import soundfile as sf
from machines import RATE, recording
from tiny_recipe import SPECTRAL as FEW_MELS
from tiny_recipe import TINY as SMALLEST

import offkey
from offkey.datasets import Clip, Clips, Dataset
from offkey.errors import ArrayError, OffkeyWarning, ParameterError

CLIP_S = 1.0
SPECTRAL = FEW_MELS.replace(training__clip_seconds=CLIP_S)
TINY = SMALLEST.replace(training__stage1_epochs=1, training__clip_seconds=CLIP_S)

pytestmark = pytest.mark.filterwarnings("ignore:false alarms")


def long_recording(rng, *, hum_hz, seconds, fault_s=None):
    samples = recording(rng, hum_hz=hum_hz, seconds=seconds)
    if fault_s is not None:
        start = round(fault_s * RATE)
        samples[start : start + RATE] = recording(rng, hum_hz=hum_hz, faulty=True)
    return samples


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Three recordings of twelve clips for each of two IDs."""
    root, rng = tmp_path_factory.mktemp("train"), np.random.default_rng(0)
    clips = []
    for machine_id, hum_hz in (("00", 90), ("02", 113)):
        for n in range(3):
            path = root / f"{machine_id}_{n}.wav"
            parts = [recording(rng, hum_hz=hum_hz) for _ in range(12)]
            sf.write(path, np.concatenate(parts), RATE, "PCM_16")
            clips.append(
                Clip(
                    path=path,
                    machine_type="fan",
                    machine_id=machine_id,
                    split="train",
                    label=0,
                    group=str(path),
                )
            )
    return Dataset(machine="fan", clips=Clips(clips))


@pytest.fixture(scope="module", params=["spectral", "tiny"])
def detector(request, data):
    return offkey.Detector({"spectral": SPECTRAL, "tiny": TINY}[request.param]).fit(data, device="cpu")


@pytest.fixture(scope="module")
def incoming(tmp_path_factory):
    root, rng = tmp_path_factory.mktemp("in"), np.random.default_rng(1)
    for name, seconds, fault_s in (
        ("a_id_00.wav", 1.3, None),
        ("b_id_00.wav", 7.25, None),
        ("c_id_02.wav", 5.0, None),
        ("d_id_00.flac", 9.0, 4.0),
    ):
        hum_hz = 90 if "00" in name else 113
        samples = long_recording(rng, hum_hz=hum_hz, seconds=seconds, fault_s=fault_s)
        sf.write(root / name, samples, RATE, "PCM_16")
    return root


def test_three_long_recordings_are_a_training_set(detector):
    assert detector.describe()["training_clips"] == 72
    assert any(
        note.startswith("6 recordings longer than 2 s cut into 72 clips of 1 s") for note in detector.notes
    )


def test_a_recording_has_the_scores_of_its_worst_window(detector, incoming):
    table, each = detector.score(incoming), detector.score(incoming, windows="each")
    assert [path.name for path in table.path] == ["a_id_00.wav", "b_id_00.wav", "c_id_02.wav", "d_id_00.flac"]
    windows = [path.name[0] for path in each.path]
    assert "".join(windows) == "a" + 8 * "b" + 5 * "c" + 9 * "d"
    assert each.start_s[1:9].tolist() == [0, 1, 2, 3, 4, 5, 6, 6.25]
    for row, name in enumerate("abcd"):
        rows = [i for i, letter in enumerate(windows) if letter == name]
        worst = rows[int(np.argmax(each.anomaly_score[rows]))]
        for score in table.score_names:
            assert table.scores(score)[row] == each.scores(score)[worst]
        np.testing.assert_equal(table.start_s[row], each.start_s[worst])
    assert np.isnan(table.start_s[0])
    assert np.isnan(each.start_s[0])


def test_the_fault_is_found_where_it_is(data, incoming):
    recipe = offkey.Recipe.named("spectral").replace(training__clip_seconds=CLIP_S)
    table = offkey.Detector(recipe).fit(data).score(incoming, false_alarm_rate=0.001)
    assert table.decision.tolist() == [0, 0, 0, 1]
    assert table.start_s[3] == 4.0


def test_a_recording_that_does_not_fit_in_memory_has_the_same_scores(detector, incoming, monkeypatch):
    tables = [detector.score(incoming, windows=windows) for windows in ("worst", "each")]
    monkeypatch.setattr("offkey.datasets.portions.PORTION_BYTES", 3 * 4 * RATE)
    for table, windows in zip(tables, ("worst", "each"), strict=True):
        again = detector.score(incoming, windows=windows)
        assert again.path == table.path
        assert again.decision.tolist() == table.decision.tolist()
        np.testing.assert_array_equal(again.start_s, table.start_s)
        for name in table.score_names:
            np.testing.assert_allclose(again.scores(name), table.scores(name), rtol=1e-4, atol=1e-5)


def test_an_unknown_id_is_the_nearest_by_the_worst_window(detector, incoming):
    table = detector.score([incoming / "c_id_02.wav"], machine_id="99")
    each = {
        machine_id: detector.score([incoming / "c_id_02.wav"], machine_id=machine_id, windows="each")
        for machine_id in ("00", "02")
    }
    worst = {machine_id: rows.anomaly_score.max() for machine_id, rows in each.items()}
    nearest = min(worst, key=worst.get)
    assert table.scored_as == [nearest]
    assert table.anomaly_score[0] == pytest.approx(worst[nearest], rel=1e-4)


test_an_unknown_id_is_the_nearest_by_the_worst_window = pytest.mark.filterwarnings("ignore:ID '99'")(
    test_an_unknown_id_is_the_nearest_by_the_worst_window
)


def test_the_p_value_of_the_worst_of_some_windows_is_theirs_times_their_number(detector, incoming):
    worst = detector.score(incoming, false_alarm_rate=0.3)
    each = detector.score(incoming, windows="each", false_alarm_rate=0.3)
    for row, path in enumerate(worst.path):
        windows = np.flatnonzero([other == path for other in each.path])
        limit = detector.thresholds_at(0.3 / len(windows))[worst.scored_as[row]]
        assert worst.threshold[row] == limit
        assert worst.decision[row] == (worst.anomaly_score[row] > limit)
        if worst.calibration[row] == "own":
            expected = min(1.0, len(windows) * each.p_value[windows].min())
            assert worst.p_value[row] == pytest.approx(expected)


def test_a_threshold_beyond_the_held_out_clips_is_said(detector, incoming):
    with pytest.warns(
        OffkeyWarning, match=r"a rate of 0\.05 for the worst of 9 windows takes 179 calibration clips"
    ):
        detector.score(incoming)


@pytest.mark.parametrize("in_parts", [False, True])
def test_a_recording_that_breaks_off_has_no_score(detector, incoming, tmp_path, in_parts, monkeypatch):
    if in_parts:
        monkeypatch.setattr("offkey.datasets.portions.PORTION_BYTES", 3 * 4 * RATE)
    content = (incoming / "b_id_00.wav").read_bytes()
    (tmp_path / "broken_id_00.wav").write_bytes(content[: len(content) // 2])
    for windows in ("worst", "each"):
        table = detector.score([tmp_path / "broken_id_00.wav", incoming / "a_id_00.wav"], windows=windows)
        assert len(table) == 2
        assert "broken_id_00.wav" in table.error[0]
        assert np.isnan(table.anomaly_score[0])
        assert table.decision.tolist()[0] == -1
        assert not np.isnan(table.anomaly_score[1])


def test_a_saved_detector_cuts_as_before_and_an_older_one_not_at_all(detector, incoming, tmp_path):
    detector.save(tmp_path / "fan.offkey")
    again = offkey.load(tmp_path / "fan.offkey")
    assert again.describe()["clip_seconds"] == CLIP_S
    assert again.score(incoming) == detector.score(incoming)
    golden = offkey.load("tests/golden/0.1.0/spectral.offkey")
    assert golden.describe()["clip_seconds"] is None
    assert np.isnan(golden.score([incoming / "d_id_00.flac"]).start_s).all()


def test_places_are_in_every_file_and_only_where_there_are_some(detector, incoming, tmp_path):
    table = detector.score(incoming)
    for ending in ("csv", "json", "parquet"):
        table.write(tmp_path / f"s.{ending}")
        assert offkey.ScoreTable.read(tmp_path / f"s.{ending}") == table
    short = detector.score([incoming / "a_id_00.wav"])
    assert "start_s" not in short.columns
    assert "start_s" in table.columns


@pytest.mark.parametrize("start_s", [[-1.0], [np.inf], ["x"]])
def test_places_that_are_none_are_refused(start_s):
    with pytest.raises(ArrayError, match="start_s"):
        offkey.ScoreTable(path=["a.wav"], start_s=start_s)


def test_other_words_for_windows_are_refused(detector, incoming):
    with pytest.raises(ParameterError, match="expected 'worst' or 'each'"):
        detector.score(incoming, windows="all")
