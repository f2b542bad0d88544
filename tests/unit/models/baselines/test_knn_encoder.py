"""Nearest neighbours among what an encoder makes of clips: fitted, saved, found again, refused where it is another."""

import numpy as np
import onnx_models
import pytest
import soundfile as sf
from baseline_recipe import logmels, recipe_of

from offkey import Detector
from offkey.datasets import LogMelArrays, folder
from offkey.errors import ArrayError, DetectorFileError, OffkeyWarning, ParameterError, RecipeError
from offkey.models import FitOptions, encoders, register_encoder
from offkey.models.baselines.knn import KnnModel

RATE = 8_000


@pytest.fixture(autouse=True)
def none_registered(monkeypatch):
    monkeypatch.setattr(encoders, "_REGISTERED", {})


def recipe_with(encoder, **changes):
    return recipe_of("knn").replace(
        knn__encoder=encoder, **{f"knn__{key}": value for key, value in changes.items()}
    )


def samples(seed, *, hz=200.0, seconds=1.0, odd=False):
    random = np.random.default_rng(seed)
    times = np.arange(int(seconds * RATE)) / RATE
    hum = 0.1 * np.sin(2 * np.pi * hz * times + random.uniform(0, 6))
    whine = 0.1 * np.sin(2 * np.pi * 2_900 * times) if odd else 0
    return (hum + whine + random.normal(0, 0.01, len(times))).astype(np.float32)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Ten healthy recordings of each of two IDs, and of the first four new and four faulty ones."""
    place = tmp_path_factory.mktemp("knn")
    (place / "train").mkdir()
    for number in range(20):
        own = number % 2
        sf.write(
            place / "train" / f"normal_id_0{own}_{number:03d}.wav", samples(number, hz=200 + 150 * own), RATE
        )
    (place / "new").mkdir()
    for number in range(8):
        sf.write(place / "new" / f"id_00_{number}.wav", samples(100 + number, odd=number > 3), RATE)
    return place


def data_of(recordings):
    return folder(recordings / "train", machine="hum")


@pytest.fixture
def file(tmp_path):
    return onnx_models.write(tmp_path / "filters.onnx", bands=True)


def test_a_detector_with_an_onnx_file_is_saved_loaded_and_updated(recordings, file, tmp_path):
    detector = Detector(recipe_with(file, bands=onnx_models.BANDS)).fit(data_of(recordings))
    table = detector.score(recordings / "new")
    assert table.anomaly_score[4:].min() > table.anomaly_score[:4].max()
    assert np.isfinite(table.p_value).all()
    detector.save(tmp_path / "a.offkey")
    again = Detector.load(tmp_path / "a.offkey")
    assert again.score(recordings / "new") == table
    assert len(again.describe()["provenance"]["knn"]["sha256"]) == 64
    updated = again.update(sorted((recordings / "new").iterdir())[:4], force=True)
    assert updated.describe()["calibration_clips"]["00"] == 14
    vectors = again.embeddings(sorted((recordings / "new").iterdir())[:1])
    heard = sf.read(recordings / "new" / "id_00_0.wav", dtype="float32")[0]
    np.testing.assert_allclose(vectors[0], onnx_models.restated(heard).mean(axis=0), rtol=1e-4)


def test_another_file_is_refused_and_the_same_one_found_elsewhere(recordings, file, tmp_path, monkeypatch):
    detector = Detector(recipe_with(file)).fit(data_of(recordings))
    detector.save(tmp_path / "a.offkey")
    (tmp_path / "moved").mkdir()
    (tmp_path / "filters.onnx").rename(tmp_path / "moved" / "filters.onnx")
    with pytest.raises(DetectorFileError, match=r"a\.offkey: encoder .*filters\.onnx': there is no file"):
        Detector.load(tmp_path / "a.offkey")
    monkeypatch.setenv(encoders.ENCODERS_FOLDER, str(tmp_path / "moved"))
    assert Detector.load(tmp_path / "a.offkey").machine_ids == ("00", "01")
    onnx_models.write(file, bands=True, seed=1)
    with pytest.raises(
        DetectorFileError, match=r"another one .*: a file of SHA-256 \w+; expected a file of SHA-256"
    ):
        Detector.load(tmp_path / "a.offkey")


def test_a_function_of_that_name_is_asked_whether_it_is_the_same(recordings, tmp_path):
    register_encoder("filters", onnx_models.restated)
    detector = Detector(recipe_with("filters", pooling="mean_deviation")).fit(data_of(recordings))
    table = detector.score(recordings / "new")
    assert table.anomaly_score[4:].min() > table.anomaly_score[:4].max()
    detector.save(tmp_path / "a.offkey")
    assert Detector.load(tmp_path / "a.offkey").score(recordings / "new") == table
    register_encoder("filters", lambda heard: onnx_models.restated(heard) * (1 + 1e-6))
    Detector.load(tmp_path / "a.offkey")
    for other in (
        lambda heard: onnx_models.restated(heard, seed=1),
        lambda heard: onnx_models.restated(heard)[:, :4],
    ):
        register_encoder("filters", other)
        with pytest.raises(DetectorFileError, match="gives another vector of the same noise"):
            Detector.load(tmp_path / "a.offkey")
    register_encoder("filters", onnx_models.write(tmp_path / "filters.onnx"))
    with pytest.raises(DetectorFileError, match=r"a file of SHA-256.*; expected a function"):
        Detector.load(tmp_path / "a.offkey")
    encoders._REGISTERED.clear()
    with pytest.raises(DetectorFileError, match="there is no encoder 'filters'; register it"):
        Detector.load(tmp_path / "a.offkey")


def test_scores_are_those_of_a_restatement_in_float64(recordings, file):
    detector = Detector(recipe_with(file, bands=2, distance="cosine")).fit(data_of(recordings))

    def vector(path):
        heard = sf.read(path, dtype="float32")[0]
        return onnx_models.restated(heard).mean(axis=0).reshape(2, 3)

    def nearest(clip, others):  # a neighbour for each band
        cosines = [
            [a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in zip(clip, other, strict=True)]
            for other in others
        ]
        return (1 - np.max(cosines, axis=0)).mean()

    bank = [vector(path) for path in sorted((recordings / "train").glob("normal_id_00_*.wav"))]
    new = sorted((recordings / "new").iterdir())
    expected = [nearest(vector(path), bank) for path in new]
    np.testing.assert_allclose(detector.score(new).scores("a_knn"), expected, rtol=1e-3)
    left_out = [nearest(clip, [other for other in bank if other is not clip]) for clip in bank]
    own = detector._fitted().models["knn"].held_out
    made = own.scores["a_knn"][np.array(own.machine_ids) == "00"]
    np.testing.assert_allclose(made, left_out, rtol=1e-3)


def test_an_encoder_may_hear_log_mels():
    register_encoder("means", lambda logmel: logmel.T)
    recipe = recipe_with("means", encoder_input="logmels")
    data = LogMelArrays(logmels=logmels(12), machine_ids=("00",) * 12)
    new = LogMelArrays(logmels=logmels(3, seed=5), machine_ids=("00",) * 3)
    scores = Detector(recipe).fit(data).score(new).scores("a_knn")
    plain = Detector(recipe_of("knn")).fit(data).score(new).scores("a_knn")
    np.testing.assert_allclose(scores, plain, rtol=1e-4)


def test_log_mels_of_recordings_are_made_for_it(recordings):
    register_encoder("means", lambda logmel: logmel.T)
    recipe = recipe_with("means", encoder_input="logmels")
    scores = Detector(recipe).fit(data_of(recordings)).score(recordings / "new").scores("a_knn")
    plain = Detector(recipe_of("knn")).fit(data_of(recordings)).score(recordings / "new").scores("a_knn")
    np.testing.assert_allclose(scores, plain, rtol=1e-3)


def test_what_cannot_work_is_refused_before_recordings_are_read(file):
    for recipe, error, message in (
        (recipe_with("nobody"), ParameterError, "there is no encoder 'nobody'"),
        (recipe_with("lost.onnx"), ParameterError, "there is no file lost.onnx"),
        (
            recipe_with("at 32 kHz"),
            RecipeError,
            "hears 32000 Hz, but features.sample_rate is 8000: set it to 32000",
        ),
    ):
        register_encoder("at 32 kHz", np.cumsum, sample_rate=32_000)
        with pytest.raises(error, match=message):
            KnnModel.check(recipe, FitOptions())
    data = LogMelArrays(logmels=logmels(12), machine_ids=("00",) * 12)
    with pytest.raises(ParameterError, match="log-Mels, but the model 'knn' needs the samples"):
        Detector(recipe_with(file)).fit(data)


def changing(heard, *, calls=[]):  # noqa: B006
    calls.append(1)
    return np.ones(3 + len(calls) // 8)


def test_a_training_that_its_encoder_fails_is_refused_by_the_recording(recordings):
    data = data_of(recordings)

    def fit(encode, **changes):
        register_encoder("bad", encode)
        return Detector(recipe_with("bad", **changes)).fit(data)

    with pytest.raises(
        ArrayError, match=r"normal_id_0._0\d\d\.wav: encoder 'bad' gives values that are not finite"
    ):
        fit(lambda heard: heard[:3] * (np.nan if len(heard) == RATE else 1))
    with pytest.raises(ArrayError, match=r"\.wav: encoder 'bad' gives 4 values; expected 3, as of normal"):
        fit(changing)
    with pytest.raises(ArrayError, match=r"bands = 4, but encoder 'bad' gives an array of shape \(3,\)"):
        fit(lambda heard: heard[:3], bands=4)
    random = np.random.default_rng(0)
    with pytest.raises(ParameterError, match="other vectors when it is given the same clip again"):
        fit(lambda heard: random.normal(0, 1, 3))


def test_a_recording_that_the_encoder_fails_has_no_score_and_the_others_have(recordings):
    def choosy(heard):
        if len(heard) < RATE // 2:
            raise ValueError("too short")
        return onnx_models.restated(heard)

    register_encoder("choosy", choosy)
    detector = Detector(recipe_with("choosy")).fit(data_of(recordings))
    table = detector.score(
        [samples(1), samples(2, seconds=0.2), samples(3)], sample_rate=RATE, machine_id="00"
    )
    assert np.isfinite(table.anomaly_score).tolist() == [True, False, True]
    assert "encoder 'choosy' fails on an array of shape (1600,): ValueError: too short" in table.error[1]


def test_an_encoder_that_others_have_trained_hears_clicks(recordings):
    pytest.importorskip("pyopen_wakeword")
    import wakeword_encoder

    register_encoder("wakeword", wakeword_encoder.encode, sample_rate=wakeword_encoder.RATE)
    recipe = recipe_with("wakeword").replace(features__sample_rate=wakeword_encoder.RATE)
    detector = Detector(recipe).fit(data_of(recordings))
    clicks = 0.5 * (np.arange(RATE) % 800 < 20)
    clips = [samples(100 + number) + (number > 3) * clicks for number in range(8)]
    with pytest.warns(OffkeyWarning, match="resampled"):
        table = detector.score(clips, sample_rate=RATE, machine_id="00")
    assert detector.embeddings(samples(1), sample_rate=RATE).shape == (1, 96)
    assert table.anomaly_score[4:].min() > table.anomaly_score[:4].max()


def test_an_encoder_that_changes_once_it_is_fitted_scores_nothing(recordings):
    dim = [6]
    register_encoder("shrinking", lambda heard: onnx_models.restated(heard)[:, : dim[0]])
    detector = Detector(recipe_with("shrinking")).fit(data_of(recordings))
    dim[0] = 4
    table = detector.score(recordings / "new")
    assert np.isnan(table.anomaly_score).all()
    assert {"encoder 'shrinking' gives 4 values each; expected 6" in error for error in table.error} == {True}
