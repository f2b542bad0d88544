"""`Detector.update`: further healthy recordings, without a new fit."""

import numpy as np
import pytest
import soundfile as sf
from machines import RATE, recording, write_tree

import offkey
from offkey import Recipe, datasets, detector_file
from offkey.datasets import LogMelArrays
from offkey.errors import DatasetError, DetectorFileError, OffkeyWarning, ParameterError

SPECTRAL = Recipe.named("spectral").replace(
    features__n_mels=32, spectral__check_draws=2, scoring__false_alarm_rate=0.1
)
HUMS = {"00": 90.0, "02": 113.0}


def drifted(rng, hum_hz, *, faulty=False):
    """The machine with more noise, as after a move: all recordings are a little off."""
    sound = recording(rng, hum_hz=hum_hz, faulty=faulty)
    return (sound + 0.008 * rng.standard_normal(len(sound))).astype(np.float32)


def write(folder, count, *, seed, make=drifted, faulty=False, ids=("00", "02")):
    rng = np.random.default_rng(seed)
    folder.mkdir()
    for name in ids:
        for n in range(count):
            sf.write(folder / f"x_id_{name}_{n:03d}.wav", make(rng, HUMS[name], faulty=faulty), RATE)
    return folder


def healthy(rng, hum_hz, *, faulty=False):
    return recording(rng, hum_hz=hum_hz, faulty=faulty)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = write_tree(tmp_path_factory.mktemp("update") / "dev_data", machines=("fan",), train=40, test=4)
    return datasets.dcase2020(root, machine="fan")


@pytest.fixture(scope="module")
def detector(data):
    return offkey.Detector(SPECTRAL).fit(data, num_threads=1)


@pytest.fixture(scope="module")
def june(tmp_path_factory):
    return write(tmp_path_factory.mktemp("june") / "new", 10, seed=1, make=healthy)


@pytest.fixture(scope="module")
def newer(detector, june):
    return detector.update(june, force=True)


def test_false_alarms_fall_once_a_drifted_state_is_learned_and_faults_are_still_found(detector, tmp_path):
    fresh = write(tmp_path / "fresh", 40, seed=2)
    faults = write(tmp_path / "faults", 10, seed=3, faulty=True)
    with pytest.warns(OffkeyWarning, match="drift: ID 00: higher scores"):
        before = detector.score(fresh).decision.mean()
    newer = detector.update(write(tmp_path / "learned", 40, seed=4), force=True)
    after = newer.score(fresh).decision.mean()  # without a word of drift
    assert before > 0.5
    assert after < 0.2
    assert newer.score(faults).decision.mean() > 0.9
    assert newer.thresholds != detector.thresholds


def test_the_old_detector_is_as_it_was_and_the_new_one_says_what_was_done(
    detector, newer, data, june, tmp_path
):
    assert len(detector.history) == 1
    event = newer.history[-1]
    assert (event.kind, event.clips) == ("update", {"00": 10, "02": 10})
    for name in HUMS:
        assert event.thresholds_before[name] == detector.thresholds[name]
        assert event.thresholds[name] == newer.thresholds[name]
    described = newer.describe()
    assert described["training_clips"] == 100
    assert described["calibration_clips"] == {"00": 50, "02": 50}
    assert described["clips_with_statistics"] == 100
    (update,) = described["provenance"]["updates"]
    assert update["clips"] == 20
    assert len(update["data"]) == 64
    newer.save(tmp_path / "newer.offkey")
    again = offkey.load(tmp_path / "newer.offkey")
    assert again.describe() == described
    assert again.score(data.test) == newer.score(data.test)
    assert again.update(data.test.where(label=0), force=True).history[-1].clips == {"00": 4, "02": 4}


def test_files_clips_datasets_and_patterns_are_the_same_recordings(detector, newer, data, june):
    for recordings in (sorted(june.iterdir()), str(june / "*.wav"), [june]):
        assert detector.update(recordings, force=True).thresholds == newer.thresholds
    of_test = detector.update(data.test.where(label=0), force=True)
    assert of_test.history[-1].clips == {"00": 4, "02": 4}


def test_recordings_called_anomalous_are_left_out_and_named(detector, tmp_path):
    mixed = write(tmp_path / "mixed", 6, seed=5, make=healthy, ids=("00",))
    sf.write(mixed / "odd_id_00.wav", recording(np.random.default_rng(0), hum_hz=90.0, faulty=True), RATE)
    table = detector.score(mixed)
    called = [path.name for path, p in zip(table.path, table.p_value, strict=True) if p <= 0.1]
    assert "odd_id_00.wav" in called
    with pytest.warns(
        OffkeyWarning, match=rf"not learned: {len(called)} of 7 recordings \(.*odd_id_00.*force=True"
    ):
        newer = detector.update(mixed)
    assert newer.history[-1].clips == {"00": 7 - len(called)}
    assert detector.update(mixed, force=True).history[-1].clips == {"00": 7}
    with pytest.raises(DatasetError, match="nothing to learn from: called anomalous"):
        detector.update(mixed / "odd_id_00.wav")


def test_recordings_that_were_learned_already_are_passed_over(detector, newer, data, june):
    with pytest.raises(DatasetError, match="nothing to learn from: learned already"):
        detector.update(data, force=True)
    with pytest.warns(OffkeyWarning, match=r"learned already, and passed over: 20 of 28 recordings"):
        third = newer.update([june, *data.test.where(label=0).paths], force=True)
    assert third.history[-1].clips == {"00": 4, "02": 4}
    assert len(third.history) == 3


def test_broken_and_unreadable_recordings_are_left_out(detector, tmp_path):
    folder = write(tmp_path / "some", 4, seed=6, make=healthy, ids=("00",))
    sf.write(folder / "silent_id_00.wav", np.zeros(RATE), RATE)
    (folder / "bad_id_00.wav").write_bytes(b"RIFF")
    with pytest.warns(OffkeyWarning) as warned:
        newer = detector.update(folder, force=True)
    texts = "\n".join(str(warning.message) for warning in warned)
    assert "silent: 1 training clip (silent_id_00.wav)" in texts
    assert "bad_id_00.wav" in texts
    assert newer.history[-1].clips == {"00": 4}
    assert len(newer.unread) == 2


def test_long_recordings_are_cut_as_in_training(data, tmp_path):
    recipe = SPECTRAL.replace(training__clip_seconds=0.45)
    detector = offkey.Detector(recipe).fit(data, num_threads=1)
    sound = recording(np.random.default_rng(8), hum_hz=90.0, seconds=4.5)
    sf.write(tmp_path / "x_id_00.wav", sound, RATE)
    newer = detector.update(tmp_path, force=True)
    assert newer.history[-1].clips == {"00": 10}


def test_confirmed_thresholds_keep_their_rate(detector, june):
    table = detector.score(june)
    row = int(np.argsort(table.anomaly_score)[-3])
    anomaly = offkey.ScoreTable.from_rows([list(table.rows())[row]])
    sharper = detector.confirm(anomaly, max_false_alarm_rate=0.5)
    name = table.machine_id[row]
    newer = sharper.update(june, force=True)
    assert newer.confirmed[name].false_alarm_rate == sharper.confirmed[name].false_alarm_rate
    assert newer.thresholds[name] == newer.thresholds_at(sharper.confirmed[name].false_alarm_rate)[name]
    assert [event.kind for event in newer.history] == ["fit", "confirm", "update"]


def test_the_number_of_statistics_stays_within_what_was_asked_for(data, june):
    few = offkey.Detector(SPECTRAL).fit(data, num_threads=1, keep_statistics=42).update(june, force=True)
    assert few.describe()["clips_with_statistics"] == 84
    none = offkey.Detector(SPECTRAL).fit(data, num_threads=1, keep_statistics=0).update(june, force=True)
    assert none.describe()["clips_with_statistics"] == 0


def test_what_cannot_be_learned_is_refused(detector, data, june, tmp_path):
    stranger = tmp_path / "x_id_99.wav"
    sf.write(stranger, recording(np.random.default_rng(77), hum_hz=90.0), RATE)
    with pytest.raises(
        DatasetError, match=r"x_id_99\.wav: of ID '99', which the detector does not know .* 00, 02"
    ):
        detector.update(stranger)
    assert detector.update(stranger, machine_id="02", force=True).history[-1].clips == {"02": 1}
    nameless = tmp_path / "x.wav"
    nameless.write_bytes(stranger.read_bytes())
    with pytest.raises(DatasetError, match="without a machine ID"):
        detector.update([nameless])
    with pytest.raises(DatasetError, match="labelled anomalous; expected recordings of healthy machines"):
        detector.update(data.test)
    with pytest.raises(DatasetError, match="no recordings to learn from"):
        detector.update(datasets.Clips([]))
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("no sound")
    with pytest.raises(DatasetError, match="empty: no sound file found"):
        detector.update(tmp_path / "empty")
    with pytest.raises(FileNotFoundError):
        detector.update(tmp_path / "nowhere")
    with pytest.raises(ParameterError, match="no file; expected files, folders or patterns"):
        detector.update(stranger.read_bytes(), machine_id="00")
    with pytest.raises(ParameterError, match="not fitted"):
        offkey.Detector().update(june)


def test_log_mels_are_learned_by_a_detector_of_log_mels():
    rng = np.random.default_rng(0)

    def arrays(count):
        logmels = -40 + rng.standard_normal((2 * count, 32, 30)) + 3 * rng.standard_normal((2 * count, 1, 1))
        return LogMelArrays(logmels=logmels.astype(np.float32), machine_ids=("a",) * count + ("b",) * count)

    detector = offkey.Detector(SPECTRAL).fit(arrays(20))
    newer = detector.update(arrays(5), force=True)
    assert newer.history[-1].clips == {"a": 5, "b": 5}
    other = LogMelArrays(logmels=np.zeros((1, 32, 30), np.float32), machine_ids=("c",))
    with pytest.raises(DatasetError, match="of ID 'c', which the detector does not know"):
        detector.update(other)


def test_a_model_without_a_way_to_learn_more_says_so(distance, data, june):
    recipe = Recipe(name="distance", distance=distance.Distance())
    with pytest.raises(ParameterError, match="scores a_distance takes no further clips: fit again"):
        offkey.Detector(recipe).fit(data).update(june, force=True)


def test_files_without_a_record_of_the_training_are_refused(detector, june, tmp_path):
    detector.save(tmp_path / "new")
    arrays, metadata = detector_file.read(tmp_path / "new")
    arrays = {name: array for name, array in arrays.items() if not name.startswith("training.")}
    detector_file.write(tmp_path / "old", arrays, metadata | {"training": None})
    with pytest.raises(ParameterError, match="kept no record of the training: fit again"):
        offkey.load(tmp_path / "old").update(june)


def test_files_whose_record_is_of_other_clips_are_refused(detector, tmp_path):
    detector.save(tmp_path / "new")
    arrays, metadata = detector_file.read(tmp_path / "new")
    for ids in (["02"] * 40 + ["00"] * 40, ["00"] * 80):
        training = metadata["training"] | {"machine_ids": ids}
        detector_file.write(tmp_path / "odd", arrays, metadata | {"training": training})
        with pytest.raises(
            DetectorFileError, match="calibration clips that are not among the 80 training clips"
        ):
            offkey.load(tmp_path / "odd")
