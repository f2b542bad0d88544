"""What every call of a kernel may be given: `num_threads` and `out`."""

import inspect
import sys
import types

import numpy as np
import pytest
import soundfile
from logmel_reference import machine

import offkey
from offkey._util import threads as calls
from offkey.errors import ArrayError, ParameterError
from offkey.models.spectral.likelihood_ratio import LikelihoodRatio
from offkey.scoring.gaussian import Gaussian
from offkey.signal import statistics
from offkey.signal.augmenter import augment_logmel

LOGMEL = offkey.LogMel.paper()
AUGMENTER = offkey.Augmenter.paper()


@pytest.fixture(scope="module")
def batch():
    return np.stack([machine(seed, samples=16_000) for seed in range(5)])


@pytest.fixture(scope="module")
def files(tmp_path_factory, batch):
    folder = tmp_path_factory.mktemp("clips")
    paths = [folder / f"{index}.wav" for index in range(len(batch))]
    for path, clip in zip(paths, batch, strict=True):
        soundfile.write(path, clip, 16_000, subtype="FLOAT")
    return paths


@pytest.mark.parametrize(
    "call",
    [
        offkey.LogMel.__call__,
        offkey.LogMel.each,
        offkey.LogMel.statistics,
        offkey.LogMel.from_files,
        offkey.LogMel.each_from_files,
        offkey.LogMel.statistics_from_files,
        statistics.clip_statistics,
        offkey.Augmenter.__call__,
        augment_logmel,
        offkey.read_batch,
        Gaussian.fit,
        Gaussian.mahalanobis,
        Gaussian.mahalanobis_to,
        LikelihoodRatio.log_scores,
        LikelihoodRatio.log_scores_to,
    ],
    ids=lambda call: call.__qualname__,
)
def test_every_call_on_a_batch_takes_a_number_of_threads(call):
    parameter = inspect.signature(call).parameters["num_threads"]
    assert parameter.default is None
    assert parameter.kind is parameter.KEYWORD_ONLY


@pytest.mark.parametrize("given", [0, -1, 1025, 1.5, "2"])
def test_numbers_of_threads_that_are_none(given, batch, files):
    for call in (
        lambda: calls.threads(given),
        lambda: offkey.LogMel(num_threads=given),
        lambda: offkey.Augmenter(num_threads=given),
        lambda: LOGMEL(batch, num_threads=given),
        lambda: LOGMEL.from_files(files, num_threads=given),
        lambda: AUGMENTER(batch, seed=0, num_threads=given),
        lambda: offkey.read_batch(files, num_threads=given),
    ):
        with pytest.raises(ParameterError, match=r"num_threads = .*: expected 1 to 1024, or None"):
            call()


def test_one_thread_is_the_default_in_a_worker_alone(monkeypatch):
    assert calls.threads(np.int64(3)) == 3
    data = types.ModuleType("torch.utils.data")
    monkeypatch.setitem(sys.modules, "torch.utils.data", data)
    data.get_worker_info = lambda: None
    assert calls.threads(None) is None
    data.get_worker_info = lambda: "a worker"
    assert calls.threads(None) == 1
    assert calls.threads(3) == 3
    monkeypatch.delitem(sys.modules, "torch.utils.data")
    assert calls.threads(None) is None


def test_the_number_of_threads_changes_no_byte(batch, files):
    expected = LOGMEL(batch)
    augmented = AUGMENTER(batch, seed=3)
    statistics = LOGMEL.statistics(batch)[:4]
    masks = np.full((len(batch), 4), 0.25, np.float32)
    masked = LOGMEL(batch, masks=masks)
    resampled = list(offkey.read_batch(files, sample_rate=11_025))
    for n in (1, 2, 7):
        np.testing.assert_array_equal(LOGMEL(batch, masks=masks, num_threads=n), masked)
        np.testing.assert_array_equal(
            list(offkey.read_batch(files, sample_rate=11_025, num_threads=n)), resampled
        )
        np.testing.assert_array_equal(LOGMEL(batch, num_threads=n), expected)
        np.testing.assert_array_equal(LOGMEL.each(batch, num_threads=n), expected)
        np.testing.assert_array_equal(LOGMEL.from_files(files, num_threads=n), expected)
        np.testing.assert_array_equal(LOGMEL.each_from_files(files, num_threads=n), expected)
        np.testing.assert_array_equal(LOGMEL.statistics(batch, num_threads=n)[:4], statistics)
        np.testing.assert_array_equal(
            LOGMEL.statistics_from_files(files, num_threads=n).statistics[:4], statistics
        )
        for got, want in zip(AUGMENTER(batch, seed=3, num_threads=n), augmented, strict=True):
            np.testing.assert_array_equal(got, want)


def makers(batch, files):
    return {
        "logmel": (lambda **out: LOGMEL(batch, **out), (5, 128, 32)),
        "int16": (lambda **out: LOGMEL((batch * 9e3).astype(np.int16), **out), (5, 128, 32)),
        "masked": (lambda **out: LOGMEL(batch, masks=np.full((5, 4), 0.3), **out), (5, 128, 32)),
        "files": (lambda **out: LOGMEL.from_files(files, **out), (5, 128, 32)),
        "augmented": (lambda **out: AUGMENTER(batch, seed=1, **out).samples, (5, 16_000)),
    }


@pytest.mark.parametrize("name", ["logmel", "int16", "masked", "files", "augmented"])
def test_calls_on_batches_write_into_a_part_of_a_larger_out(name, batch, files):
    make, shape = makers(batch, files)[name]
    expected, before = make(), batch.copy()
    whole = np.full((7, *shape[1:]), np.nan, np.float32)
    out = whole[1:6]  # a part of a larger array will do
    assert make(out=out) is out
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(batch, before)
    assert np.isnan(whole[[0, 6]]).all()


@pytest.mark.parametrize("name", ["logmel", "files", "augmented"])
def test_calls_on_batches_say_why_an_out_does_not_fit(name, batch, files):
    make, shape = makers(batch, files)[name]
    readonly = np.zeros(shape, np.float32)
    readonly.setflags(write=False)
    unaligned = np.zeros(4 * np.prod(shape) + 1, np.uint8)[1:].view(np.float32).reshape(shape)
    for bad, message in (
        (np.zeros(shape), "dtype float64"),
        (np.zeros(shape[1:], np.float32), r"shape \("),
        (np.zeros((4, *shape[1:]), np.float32), r"shape \(4, "),
        (np.zeros((*shape[:-1], shape[-1] + 1), np.float32), rf"shape \(5, .*{shape[-1]}\)"),
        (np.zeros((*shape[:-1], 2 * shape[-1]), np.float32)[..., ::2], r"strides \("),
        (readonly, "writeable False"),
        (unaligned, "aligned False"),
        (list(readonly), "list"),
    ):
        with pytest.raises(ArrayError, match=f"^out: .*{message}"):
            make(out=bad)


def test_an_out_that_shares_memory_with_the_batch_is_refused():
    memory = np.zeros(5 * 128 * 32 + 5 * 16_000, np.float32)
    batch, spectrograms = memory[: 5 * 16_000].reshape(5, -1), memory[100 : 100 + 5 * 128 * 32]
    with pytest.raises(ArrayError, match=r"^out: "):
        LOGMEL(batch, out=spectrograms.reshape(5, 128, 32))
    with pytest.raises(ArrayError, match=r"^out: shares memory"):
        AUGMENTER(batch, seed=0, out=batch)


def test_no_clips_into_an_empty_out():
    out = np.empty((0, 128, 32), np.float32)
    assert LOGMEL(np.empty((0, 16_000), np.float32), out=out) is out
    samples = np.empty((0, 16_000), np.float32)
    assert AUGMENTER(np.empty((0, 16_000), np.float32), seed=0, out=samples).samples is samples
