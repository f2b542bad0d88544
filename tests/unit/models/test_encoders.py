"""Encoders by name, what is said where one fails, and ONNX files."""

import os
import pickle
import sys

import numpy as np
import onnx
import onnx_models
import pytest

from offkey.errors import ArrayError, MissingExtraError, ParameterError
from offkey.models import encoders, register_encoder
from offkey.models.encoders import ENCODERS_FOLDER, Encoder, find_encoder


@pytest.fixture(autouse=True)
def none_registered(monkeypatch):
    monkeypatch.setattr(encoders, "_REGISTERED", {})


@pytest.fixture
def file(tmp_path):
    return onnx_models.write(tmp_path / "filters.onnx")


def noise(samples, *, seed=0):
    return np.random.default_rng(seed).normal(0, 0.1, samples).astype(np.float32)


def vectors(encoder, arrays, **options):
    return encoder.vectors(
        arrays, names=[f"clip {i}" for i in range(len(arrays))], **({"num_threads": 1} | options)
    )


def test_a_function_is_found_by_its_name():
    register_encoder("half", lambda samples: samples[::2], sample_rate=8_000)
    encoder = find_encoder("half")
    assert (encoder.sample_rate, encoder.sha256) == (8_000, None)
    (made,) = vectors(encoder, [np.arange(6, dtype=np.float32)])
    assert made.dtype == np.float64
    assert made.tolist() == [0, 2, 4]


def test_an_installed_one_is_found_by_its_entry_point(monkeypatch):
    class Point:
        name = "installed"

        def load(self):
            register_encoder("installed", np.cumsum)

    monkeypatch.setattr(encoders, "_installed", lambda: (Point(),))
    assert find_encoder("installed").encode is np.cumsum
    with pytest.raises(ParameterError, match=r"no encoder 'other'.*registered are installed"):
        find_encoder("other")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("", np.cumsum), "expected a name"),
        (("a", 3), "given int; expected a function or the path"),
        (("a", "lost.onnx"), "there is no file lost.onnx; put it there.*OFFKEY_ENCODERS"),
    ],
)
def test_what_is_no_encoder_is_refused(given, message):
    with pytest.raises(ParameterError, match=message):
        register_encoder(*given)
    with pytest.raises(ParameterError, match="sample_rate = 0"):
        register_encoder("a", np.cumsum, sample_rate=0)


def broken(samples):
    if len(samples) == 50:
        raise RuntimeError("two\nlines")
    return samples


@pytest.mark.parametrize(
    ("encode", "message"),
    [
        (broken, "clip 1: encoder 'bad' fails on an array of shape .50,.: RuntimeError: two lines"),
        (lambda samples: samples * np.float32(np.nan), "clip 0.*not finite"),
        (lambda samples: samples.astype(float) * 1e300, "clip 0.*not finite"),  # beyond float32
        (lambda samples: samples.astype(np.int16), "clip 0.*gives int16 of shape .40,.; expected floats"),
        (lambda samples: samples[:0], "clip 0.*gives float32 of shape .0,."),
        (lambda samples: samples.reshape(1, 1, 1, -1), "clip 0.*gives float32 of shape .1, 1, 1, 40."),
        (lambda samples: samples[0], r"clip 0.*gives float32 of shape \(\)"),
        (lambda samples: [[1.0], [1.0, 2.0]], "clip 0.*ValueError"),
        (lambda samples: "text", "clip 0.*gives <U4"),
        (lambda samples: None, "clip 0.*gives object"),
    ],
)
def test_an_encoder_that_fails_is_named_with_the_clip(encode, message):
    with pytest.raises(ArrayError, match=message):
        vectors(Encoder(name="bad", encode=encode), [noise(40), noise(50)])


def test_an_interruption_is_no_failure():
    def stopped(samples):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        vectors(Encoder(name="slow", encode=stopped), [noise(40)])


def test_clips_are_not_written_to():
    def writes(samples):
        samples[:] = 0
        return samples

    clip = noise(40)
    before = clip.copy()
    clip.flags.writeable = False
    vectors(Encoder(name="writes", encode=writes), [clip])
    assert np.array_equal(clip, before)


def test_an_onnx_file_gives_what_its_arithmetic_says_for_any_number_of_threads(file):
    encoder = find_encoder(file)
    clips = [noise(500 + 70 * seed, seed=seed) for seed in range(6)]
    made = vectors(encoder, clips)
    for clip, output in zip(clips, made, strict=True):
        np.testing.assert_allclose(output, onnx_models.restated(clip), rtol=1e-4, atol=1e-5)
    for first, second in zip(made, vectors(encoder, clips, num_threads=3), strict=True):
        assert np.array_equal(first, second)
    with pytest.raises(ArrayError, match=r"clip 0: encoder .* fails on an array of shape \(9,\)"):
        vectors(encoder, [noise(9)])


def test_a_clip_is_cut_into_windows_of_a_fixed_length(tmp_path):
    encoder = find_encoder(onnx_models.write(tmp_path / "fixed.onnx", length=320))
    clip = noise(800)
    (made,) = vectors(encoder, [clip])
    parts = [onnx_models.restated(clip[start : start + 320]) for start in (0, 320, 480)]
    np.testing.assert_allclose(made, np.concatenate(parts), rtol=1e-4, atol=1e-5)
    (exact,) = vectors(encoder, [clip[:320]])
    np.testing.assert_allclose(exact, parts[0], rtol=1e-4, atol=1e-5)
    (short,) = vectors(encoder, [clip[:200]])
    repeated = onnx_models.restated(np.concatenate([clip[:200], clip[:120]]))
    np.testing.assert_allclose(short, repeated, rtol=1e-4, atol=1e-5)
    with pytest.raises(ArrayError, match="the clip is empty"):
        vectors(encoder, [clip[:0]])


def test_a_file_is_looked_for_in_the_folder_of_the_environment(file, monkeypatch):
    name = "elsewhere/filters.onnx"
    with pytest.raises(ParameterError, match="no file"):
        find_encoder(name)
    monkeypatch.setenv(ENCODERS_FOLDER, os.path.dirname(file))  # noqa: PTH120
    found = find_encoder(name)
    assert found.name == name
    assert found.sha256 == find_encoder(file).sha256
    register_encoder(name, np.cumsum)
    assert find_encoder(name).encode is np.cumsum


def test_a_file_in_use_is_loaded_once(file, tmp_path):
    first, second = find_encoder(file), find_encoder(file)
    assert first.encode is second.encode
    other = find_encoder(onnx_models.write(tmp_path / "other.onnx", seed=1))
    assert other.encode is not first.encode
    assert other.sha256 != first.sha256


def test_another_process_loads_the_same_file(file):
    encoder = find_encoder(file)
    sent = pickle.dumps(encoder)
    assert pickle.loads(sent).encode is encoder.encode
    onnx_models.write(file, seed=1)
    with pytest.raises(ParameterError, match=r"filters\.onnx: a file of SHA-256"):
        pickle.loads(sent)


def test_files_that_are_no_encoder_are_refused(tmp_path, monkeypatch):
    nonsense = tmp_path / "nonsense.onnx"
    nonsense.write_bytes(b"no model")
    two = onnx_models.write(tmp_path / "two.onnx", inputs=2)
    apart = tmp_path / "apart.onnx"
    onnx.save(onnx_models.model(), apart, save_as_external_data=True, location="weights", size_threshold=0)
    monkeypatch.chdir(tmp_path)  # where onnxruntime itself would look
    for path, message in (
        (nonsense, "cannot load it"),
        (two, "inputs samples: tensor.float.*more: .*expected a single one"),
        (apart, "expected one whole ONNX file, weights inside"),
    ):
        with pytest.raises(ParameterError, match=message):
            find_encoder(str(path))


def test_without_onnxruntime_the_extra_is_named(file, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'offkey\[onnx\]'"):
        find_encoder(file)
