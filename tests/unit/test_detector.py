"""The detector as a user meets it: fit, score, save, load, on recordings and on log-Mel arrays."""

import subprocess
import sys

import numpy as np
import pytest
import soundfile as sf
from machines import recording, write_tree
from tiny_recipe import BOTH as SMALLEST_BOTH
from tiny_recipe import SPECTRAL
from tiny_recipe import TINY as SMALLEST

import offkey
from offkey import datasets
from offkey.datasets import LogMelArrays
from offkey.errors import ArrayError, DatasetError, OffkeyWarning, ParameterError
from offkey.models.spectral import Spectral

TINY = SMALLEST.replace(training__stage1_epochs=2, training__clip_seconds=1.0)
BOTH = SMALLEST_BOTH.replace(training__clip_seconds=1.0)


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return write_tree(tmp_path_factory.mktemp("tree") / "dev_data")


@pytest.fixture(scope="module")
def data(tree):
    return datasets.dcase2020(tree, machine="fan")


@pytest.fixture(scope="module")
def spectral(data):
    """The recipe of most users as it is."""
    return offkey.Detector().fit(data)


@pytest.fixture(scope="module", params=["spectral", "tiny", "both"])
def detector(request, data):
    if request.param == "spectral":
        return request.getfixturevalue("spectral")
    return offkey.Detector({"tiny": TINY, "both": BOTH}[request.param]).fit(data, device="cpu")


def test_every_recipe_scores_every_clip(detector, data):
    table = detector.score(data.test)
    assert len(table) == len(data.test)
    assert set(table.score_names) == {*detector.recipe.score_names, "anomaly_score"}
    assert not np.isnan(table.anomaly_score).any()
    assert table.machine_id == data.test.machine_ids == table.scored_as
    assert set(table.decision.tolist()) <= {0, 1}
    assert table.label.tolist() == data.test.labels.tolist()
    assert all(text is None for text in table.error)


def test_a_saved_detector_gives_the_same_scores(detector, data, tmp_path):
    detector.save(tmp_path / "fan.offkey")
    again = offkey.load(tmp_path / "fan.offkey")
    assert again.score(data.test) == detector.score(data.test)
    assert again.describe() == detector.describe()


def test_scores_do_not_depend_on_threads_or_company(detector, data):
    whole = detector.score(data.test, device="cpu", num_threads=2)
    alone = detector.score([data.test.paths[3]], device="cpu", num_threads=1)
    for name in alone.score_names:
        np.testing.assert_allclose(alone.scores(name)[0], whole.scores(name)[3], rtol=1e-4, atol=1e-5)
    assert alone.machine_id == [whole.machine_id[3]]


def test_spectral_finds_the_faults_and_few_healthy_clips_are_called_faulty(spectral, data):
    table = spectral.score(data.test)
    labels = data.test.labels
    assert table.decision[labels == 1].all()
    assert {row.score: row.auc for row in offkey.evaluate(table).overall}["anomaly_score"] == 1.0


def test_the_same_seed_gives_the_same_file_and_another_seed_another(data, tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        offkey.Detector(TINY).fit(data, seed=seed, device="cpu", num_threads=1 + seed).save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a").read_bytes() != (tmp_path / "c").read_bytes()


def test_an_unknown_id_is_scored_as_the_nearest_one(detector, data):
    known = detector.score(data.test)
    with pytest.warns(OffkeyWarning, match=r"ID '99' is not known .* 00, 02: 16 recordings"):
        unknown = detector.score(data.test, machine_id="99")
    assert unknown.machine_id == ["99"] * len(data.test)
    assert set(unknown.scored_as) <= set(detector.machine_ids)
    assert (unknown.anomaly_score <= known.anomaly_score + 1e-9).all()


def test_recordings_without_an_id_in_their_name_are_unknown(detector, data, tmp_path):
    target = tmp_path / "monday.wav"
    target.write_bytes(data.test.paths[0].read_bytes())
    table = detector.score(tmp_path)
    assert (table.machine_id, table.path) == ([None], [target])
    assert table.scored_as[0] in detector.machine_ids


def arrays_of(clips):
    logmel = offkey.LogMel.from_recipe(SPECTRAL.features)
    return LogMelArrays(
        logmels=logmel.from_files(clips.paths), machine_ids=clips.machine_ids, groups=clips.groups
    )


def test_log_mel_arrays_take_the_place_of_recordings(data):
    recipe = SPECTRAL.replace(spectral=Spectral.first_edition())
    own = offkey.Detector(recipe).fit(arrays_of(data.train))
    expected = offkey.Detector(recipe).fit(data).score(data.test)
    table = own.score(arrays_of(data.test))
    np.testing.assert_allclose(table.anomaly_score, expected.anomaly_score, rtol=1e-3, atol=1e-3)


def test_a_detector_of_log_mels_has_no_finer_spectrograms_and_one_that_has_takes_no_log_mels(data, tmp_path):
    own = offkey.Detector(SPECTRAL).fit(arrays_of(data.train))
    assert any("M at their own 32 bins in place of F1" in note for note in own.notes)
    own.save(tmp_path / "own.offkey")
    table = offkey.load(tmp_path / "own.offkey").score(arrays_of(data.test))
    np.testing.assert_allclose(table.anomaly_score, own.score(data.test).anomaly_score, rtol=1e-3, atol=1e-3)
    detector = offkey.Detector(SPECTRAL).fit(data)
    for use in (detector.score, detector.update):
        with pytest.raises(ArrayError, match=r"learned finer spectrograms.*give it recordings"):
            use(arrays_of(data.train))
    more = own.update(arrays_of(data.test), force=True)
    assert more.describe()["training_clips"] > own.describe()["training_clips"]


def test_one_machine_without_other_types_leaves_tasks_out_and_says_so(tmp_path):
    root = write_tree(tmp_path / "fan_only", machines=("fan",), ids=("00",))
    detector = offkey.Detector(TINY).fit(datasets.dcase2020(root, machine="fan"), device="cpu")
    table = detector.score(root / "fan" / "test")
    assert "a_maha" in table.score_names
    assert not {"a_out", "a_arc"} & set(table.score_names)
    assert len(detector.notes) >= 2


def test_a_broken_training_file_is_named_and_left_out(tmp_path):
    root = write_tree(tmp_path / "dev_data", machines=("fan",))
    broken = sorted((root / "fan" / "train").iterdir())[5]
    broken.write_bytes(broken.read_bytes()[:1000])
    with pytest.warns(OffkeyWarning, match="1 recording that cannot be read"):
        detector = offkey.Detector(SPECTRAL).fit(datasets.dcase2020(root, machine="fan"))
    assert any(str(broken) in note for note in detector.notes)


def test_a_recording_that_is_too_long_is_left_out_of_a_fit_and_gets_no_score(tmp_path):
    root = write_tree(tmp_path / "dev_data", machines=("fan",))
    long = sorted((root / "fan" / "train").iterdir())[5]
    sf.write(long, recording(np.random.default_rng(0), hum_hz=90, seconds=3), 16_000)
    data = datasets.dcase2020(root, machine="fan")
    with pytest.warns(OffkeyWarning, match="1 recording that cannot be read"):
        detector = offkey.Detector(SPECTRAL).fit(data, max_seconds=2)
    assert [str(long) in text for text in detector.unread] == [True]
    table = detector.score([long, data.test.paths[0]], max_seconds=2)
    assert "longer than 2 s" in table.error[0]
    assert np.isnan(table.anomaly_score).tolist() == [True, False]
    assert not np.isnan(detector.score(long).anomaly_score).any()
    with pytest.raises(DatasetError, match=r"longer than 0\.5 s"):
        detector.score_oracle(data.test, max_seconds=0.5)
    for use in (detector.score, detector.fit):
        with pytest.raises(ParameterError, match="max_seconds = 0: expected seconds above 0"):
            use(data, max_seconds=0)


def test_nothing_readable_is_an_error_that_names_the_files(tmp_path):
    root = write_tree(tmp_path / "dev_data", machines=("fan",), train=3)
    for path in (root / "fan" / "train").iterdir():
        path.write_bytes(b"not a sound")
    with pytest.raises(
        DatasetError, match=r"none of its 6 normal training clips.*normal_id_00_00000000\.wav"
    ):
        offkey.Detector().fit(datasets.dcase2020(root, machine="fan"))


def test_broken_files_in_a_scored_folder_do_not_stop_the_rest(detector, data, tmp_path):
    good = data.test.paths[0].read_bytes()
    (tmp_path / "a_id_00.wav").write_bytes(good)
    (tmp_path / "b_id_00.wav").write_bytes(good[:5000])
    (tmp_path / "c_id_00.wav").write_bytes(b"")
    (tmp_path / "d_id_00.wav").write_bytes(good)
    table = detector.score(tmp_path)
    assert [bool(text) for text in table.error] == [False, True, True, False]
    assert "b_id_00.wav" in table.error[1]
    assert np.isnan(table.anomaly_score[1])
    assert table.decision.tolist()[1] == -1
    assert table.anomaly_score[0] == pytest.approx(table.anomaly_score[3], rel=1e-4)


def test_clips_of_any_length_and_rate_are_scored(detector, tmp_path):
    rng = np.random.default_rng(1)
    sf.write(tmp_path / "long_id_00.wav", recording(rng, hum_hz=90, seconds=1.9), 16_000)
    sf.write(tmp_path / "cd_id_00.wav", recording(rng, hum_hz=90, seconds=2), 44_100)
    with pytest.warns(OffkeyWarning, match=r"from 44100 to 16000 Hz: 1 recording, .*cd_id_00\.wav$"):
        table = detector.score(tmp_path)
    assert not np.isnan(table.anomaly_score).any()


def test_what_is_not_fitted_cannot_score_or_be_saved(tmp_path):
    for use in (lambda d: d.score(tmp_path), lambda d: d.save(tmp_path / "x"), lambda d: d.describe()):
        with pytest.raises(ParameterError, match="not fitted"):
            use(offkey.Detector())
    assert repr(offkey.Detector()) == "Detector(recipe 'spectral', not fitted)"


def test_what_is_read_ahead_for_a_gpu_has_the_same_scores(detector, data, tmp_path, monkeypatch):
    bad, short = tmp_path / "bad.wav", tmp_path / "short.wav"
    bad.write_bytes(b"no sound")
    sf.write(short, np.ones(3) / 2, 16_000)
    recordings = [*data.test.paths[:3], bad, short, *data.test.paths[3:]]
    monkeypatch.setattr(offkey.datasets.portions, "PORTION_ITEMS", 2)
    expected = detector.score(recordings, device="cpu")
    kinds = {type(model) for model in detector._fitted().models.values()}
    for kind in kinds:
        monkeypatch.setattr(kind, "compute_on", lambda self, *_: setattr(self, "on_gpu", True))
    assert detector.score(recordings) == expected
    assert sum(error is not None for error in expected.error) == 2
    for model in detector._fitted().models.values():
        del model.on_gpu


def test_spectral_has_no_embeddings_and_says_so(spectral, data):
    with pytest.raises(ParameterError, match="no network"):
        spectral.embeddings(data.test)


def test_an_unknown_device_for_embeddings_is_refused(data):
    detector = offkey.Detector(TINY).fit(data, device="cpu")
    with pytest.raises(ParameterError, match="device = 'tpu'"):
        detector.embeddings(data.test, device="tpu")


def test_numbers_that_nothing_scores_with_are_refused(spectral, data):
    with pytest.raises(ParameterError, match="precision = 'bfloat16': expected float32 or float16"):
        spectral.score(data.test, precision="bfloat16")
    np.testing.assert_array_equal(
        spectral.score(data.test, precision="float16").anomaly_score, spectral.score(data.test).anomaly_score
    )  # it has no network


def test_a_network_without_torch_names_the_extra():
    code = """
import sys
sys.modules["torch"] = None
import numpy as np, offkey
arrays = offkey.datasets.LogMelArrays(logmels=np.zeros((3, 128, 10)), machine_ids=["00"] * 3)
try:
    offkey.Detector(offkey.Recipe.named("small")).fit(arrays)
except offkey.errors.MissingExtraError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "pip install 'offkey[train]'" in done.stdout


def test_log_mels_of_another_size_are_refused_with_the_remedy():
    arrays = LogMelArrays(logmels=np.zeros((3, 64, 10), np.float32), machine_ids=["00"] * 3)
    with pytest.raises(ValueError, match="features__n_mels=64"):
        offkey.Detector().fit(arrays)
