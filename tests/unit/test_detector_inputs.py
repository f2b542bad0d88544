"""Scores and embeddings of whatever a user hands over: row i is recording i."""

import dataclasses
import io

import numpy as np
import pytest
import soundfile as sf
from machines import write_tree
from tiny_network import RECIPE, tone

import offkey
from offkey import datasets
from offkey.datasets import Clip, Clips, Dataset, portions
from offkey.datasets.source import Source
from offkey.errors import ArrayError, OffkeyError, OffkeyWarning, ParameterError

RATE = RECIPE.features.sample_rate
SPECTRAL = offkey.Recipe.named("spectral").replace(
    features__sample_rate=RATE, features__n_fft=256, features__hop_length=128, features__n_mels=16
)
BOTH = RECIPE.replace(
    name="both", spectral=SPECTRAL.spectral, training__stage1_epochs=1, training__stage2_epochs=1
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    tree = write_tree(tmp_path_factory.mktemp("inputs") / "dev_data", train=8, test=3, seconds=0.5)
    return datasets.dcase2020(tree, machine="fan")


@pytest.fixture(scope="module")
def detector(data):
    return offkey.Detector(BOTH).fit(data, device="cpu")


@pytest.fixture(scope="module", autouse=True)
def _resampled_without_a_word():
    """The recordings have 16 kHz, the recipe 8."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("offkey.datasets.source_rates.SourceRates.notes", lambda *_, **__: ())
        yield


@pytest.fixture(scope="module")
def recordings(data):
    """In no order, one of them twice."""
    paths = data.test.paths
    return [paths[i] for i in (5, 0, 9, 5, 2)]


@pytest.fixture(scope="module")
def one_by_one(detector, recordings):
    return np.array([detector.score(path).anomaly_score[0] for path in recordings])


def handed_over(paths, data):
    by_path = {clip.path: clip for clip in data.test}
    clips = Clips([by_path[path] for path in paths])
    sounds = [sf.read(path, dtype="float32")[0] for path in paths]
    yield "list", paths, {}
    yield "texts", list(map(str, paths)), {}
    yield "generator", (path for path in paths), {}
    yield "Clips", clips, {}
    yield "slice of Clips", (clips + clips)[: len(paths)], {}
    yield "Dataset", Dataset(machine="fan", clips=clips), {}
    yield "AudioBatch", offkey.read_batch(paths), {}
    yield "Audio", [offkey.read(path) for path in paths], {}
    yield "bytes", [path.read_bytes() for path in paths], {"machine_id": "00"}
    yield "uploads", [io.BytesIO(path.read_bytes()) for path in paths], {"machine_id": "00"}
    yield "arrays", sounds, {"sample_rate": 16_000, "machine_id": "00"}
    yield "array", np.stack(sounds), {"sample_rate": 16_000, "machine_id": "00"}


def test_scores_are_those_of_each_recording_alone_in_the_order_given(detector, data, recordings, one_by_one):
    as_00 = np.array([detector.score(path, machine_id="00").anomaly_score[0] for path in recordings])
    for kind, given, options in handed_over(recordings, data):
        table = detector.score(given, **options)
        expected = as_00 if "machine_id" in options else one_by_one
        np.testing.assert_allclose(table.anomaly_score, expected, rtol=1e-3, atol=1e-4, err_msg=kind)
        assert table.error == [None] * 5, kind
        if not options:
            assert table.path == recordings, kind
            assert table.machine_id == [path.name.split("_")[2] for path in recordings], kind


def test_embeddings_are_in_the_order_given(detector, data, recordings):
    one_by_one = np.concatenate([detector.embeddings(path) for path in recordings])
    for kind, given, options in handed_over(recordings, data):
        options.pop("machine_id", None)
        np.testing.assert_allclose(
            detector.embeddings(given, **options), one_by_one, rtol=1e-3, atol=1e-4, err_msg=kind
        )


def test_the_embedding_of_a_long_recording_is_the_mean_over_its_windows(detector, tmp_path):
    clip = round(detector.recipe.training.clip_seconds * RATE)
    windows = 0.1 * np.random.default_rng(3).standard_normal((5, clip)).astype(np.float32)
    sf.write(tmp_path / "long.wav", windows.ravel(), RATE, "FLOAT")
    sf.write(tmp_path / "short.wav", windows[0], RATE, "FLOAT")
    of_windows = detector.embeddings(windows, sample_rate=RATE)
    shown = detector.embeddings(
        [tmp_path / "short.wav", tmp_path / "long.wav", windows.ravel()], sample_rate=RATE
    )
    expected = np.stack([of_windows[0], of_windows.mean(axis=0), of_windows.mean(axis=0)])
    np.testing.assert_allclose(shown, expected, rtol=1e-3, atol=1e-4)


def test_embeddings_of_a_long_recording_are_made_chunk_by_chunk(detector, tmp_path, monkeypatch):
    clip = round(detector.recipe.training.clip_seconds * RATE)
    sf.write(tmp_path / "long.wav", np.random.default_rng(4).uniform(-0.1, 0.1, 40 * clip), RATE)
    whole = detector.embeddings(tmp_path / "long.wav")
    monkeypatch.setattr(portions, "PORTION_BYTES", 4 * 8 * clip)
    sizes = []
    chunks = Source.chunks

    def watched(self, **options):
        for chunk in chunks(self, **options):
            sizes.append(len(chunk))
            yield chunk

    monkeypatch.setattr(Source, "chunks", watched)
    np.testing.assert_allclose(detector.embeddings(tmp_path / "long.wav"), whole, rtol=1e-3, atol=1e-4)
    assert len(sizes) > 1
    assert sum(sizes) == 40


def test_a_folder_a_pattern_and_a_file_beside_each_other(detector, data):
    folder = data.test.paths[0].parent
    table = detector.score([folder, folder / "anomaly_*.wav", folder / data.test.paths[0].name])
    names = sorted(path.name for path in folder.iterdir())
    faults = [name for name in names if name.startswith("anomaly")]
    assert [path.name for path in table.path] == [*names, *faults, data.test.paths[0].name]
    np.testing.assert_allclose(
        table.anomaly_score[-1], table.anomaly_score[names.index(table.path[-1].name)], rtol=1e-3
    )


def test_errors_are_rows_in_a_stream_too(detector, recordings, tmp_path):
    (tmp_path / "bad.wav").write_bytes(b"RIFF")
    stream = iter([recordings[0], tmp_path / "bad.wav", tmp_path / "gone.wav", recordings[1]])
    table = detector.score(stream)
    assert [bool(text) for text in table.error] == [False, True, True, False]
    assert np.isnan(table.anomaly_score).tolist() == [False, True, True, False]


def test_a_clip_that_a_model_refuses_is_an_error_of_its_row(detector, recordings):
    good = sf.read(recordings[0], dtype="float32")[0]
    loud = np.full(8_000, 1e30, np.float32)
    table = detector.score([good, loud, good], sample_rate=16_000)
    assert table.error[1].startswith("clip 1: ")
    assert table.anomaly_score[0] == table.anomaly_score[2]
    with pytest.raises(ArrayError, match="clip 1: "):
        detector.embeddings([good, loud], sample_rate=16_000)


@pytest.mark.parametrize("call", ["score", "embeddings"])
def test_wrong_use_is_answered_in_offkeys_words(detector, recordings, call):
    function = getattr(detector, call)
    for given in (tone(200, np.random.default_rng(0)), 3, None, io.StringIO("x"), [0.1], {"a": 1}):
        with pytest.raises(OffkeyError, match=r"recordings|sound file"):
            function(given)
    with pytest.raises(ParameterError, match="sample_rate = -1"):
        function([np.zeros(9, np.float32)], sample_rate=-1)


def test_clips_without_an_id_are_of_the_id_that_such_clips_were_trained_as(tmp_path):
    """The ID `?` has a threshold of its own, which decides on them."""
    tree = write_tree(tmp_path, machines=("fan",), train=24, test=6, seconds=0.3)
    clips = datasets.dcase2020(tree, machine="fan").clips
    unnamed = Clips(
        [dataclasses.replace(c, machine_id="00" if c.machine_id == "00" else None) for c in clips]
    )
    detector = offkey.Detector(SPECTRAL).fit(Dataset(machine="fan", clips=unnamed))
    assert detector.machine_ids == ("00", "?")
    tests = unnamed.where(machine_type="fan", split="test")
    table = detector.score(tests)
    assert table.machine_id == tests.machine_ids
    assert table.scored_as == [machine_id or "?" for machine_id in tests.machine_ids]
    limit = detector.describe()["thresholds"]
    assert limit["00"] != limit["?"]
    expected = [
        int(score > limit[name]) for score, name in zip(table.anomaly_score, table.scored_as, strict=True)
    ]
    assert table.decision.tolist() == expected
    same = detector.score(tests, machine_id="?")
    rows = [i for i, machine_id in enumerate(tests.machine_ids) if machine_id is None]
    np.testing.assert_array_equal(same.anomaly_score[rows], table.anomaly_score[rows])
    np.testing.assert_array_equal(same.decision[rows], table.decision[rows])


def test_a_recording_of_twenty_minutes_goes_through_a_network(detector, data, tmp_path):
    """Its worst window says about the same as that of half a minute, which is the same sound."""
    second = sf.read(data.test.paths[0], dtype="int16")[0]
    path, short = tmp_path / "long_id_00.wav", tmp_path / "short_id_00.wav"
    with sf.SoundFile(path, "w", samplerate=16_000, channels=1, subtype="PCM_16") as file:
        minute = np.tile(second, 60 * 16_000 // len(second))
        for _ in range(20):
            file.write(minute)
    sf.write(short, minute[: 30 * 16_000], 16_000, "PCM_16")
    with pytest.warns(OffkeyWarning, match="an exponential tail of the scores"):
        long, half_minute = detector.score([path, data.test.paths[1]]), detector.score(short)
    assert long.error == [None, None]
    for name in long.score_names:
        np.testing.assert_allclose(long.scores(name)[0], half_minute.scores(name)[0], rtol=0.2, atol=0.2)
    assert detector.embeddings(path).shape == (1, RECIPE.network.embedding_dim)


def test_a_labelled_clip_keeps_its_label(detector, data):
    one = data.test[0]
    assert isinstance(one, Clip)
    table = detector.score([one, data.test[-1]])
    assert table.label.tolist() == [one.label, data.test[-1].label]


def test_lengths_and_windows_of_frames_are_saved_with_the_detector(data, tmp_path):
    recipe = SPECTRAL.replace(features__n_fft=240, features__win_length=200, features__window="hamming")
    detector = offkey.Detector(recipe).fit(data)
    detector.save(tmp_path / "fan.offkey")
    again = offkey.load(tmp_path / "fan.offkey")
    assert again.recipe.features == recipe.features
    scores = detector.score(data.test.paths).anomaly_score
    np.testing.assert_array_equal(again.score(data.test.paths).anomaly_score, scores)
    other = offkey.Detector(recipe.replace(features__window="hann")).fit(data)
    assert np.abs(other.score(data.test.paths).anomaly_score - scores).max() > 1e-3
