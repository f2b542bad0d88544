import dataclasses
import pickle
import threading

import numpy as np
import pytest
import soundfile
from logmel_reference import machine

import offkey
from offkey.recipe import Features, Recipe


@pytest.fixture(scope="module")
def logmel():
    return offkey.LogMel.paper()


@pytest.fixture(scope="module")
def batch():
    return np.stack([machine(seed, samples=16_000) for seed in range(5)])


@pytest.fixture
def files(tmp_path, batch):
    paths = []
    for index, clip in enumerate(batch):
        paths.append(tmp_path / f"{index}.wav")
        soundfile.write(paths[-1], np.stack([clip, clip[::-1]], axis=1), 16_000, subtype="FLOAT")
    return paths


def test_shape_and_dtype(logmel, batch):
    got = logmel(batch)
    assert got.shape == (5, 128, 32)
    assert got.dtype == np.float32
    assert got.flags.c_contiguous
    assert got.flags.writeable


def test_silence_is_the_floor(logmel):
    assert (logmel(np.zeros((2, 5000), np.float32)) == -100).all()
    adding = offkey.LogMel(floor="add", floor_value=1e-6)
    np.testing.assert_allclose(adding(np.zeros((1, 5000), np.float32)), -60, atol=1e-5)
    magnitude = offkey.LogMel(spectrum="magnitude", floor_value=1e-3)
    np.testing.assert_allclose(magnitude(np.zeros((1, 5000), np.float32)), -60, atol=1e-5)


def test_every_kind_of_batch_is_the_same(logmel, batch):
    expected = logmel(batch)
    wide = np.zeros((10, 32_000), np.float32)
    wide[::2, ::2] = batch
    unaligned = np.frombuffer(b"\0" + batch.tobytes(), np.uint8)[1:].view(np.float32).reshape(batch.shape)
    assert not unaligned.flags.aligned
    readonly = batch.copy()
    readonly.setflags(write=False)
    audio = offkey.AudioBatch(list(batch), sample_rate=16_000, paths=[f"{i}.wav" for i in range(5)])
    for same in (
        list(batch),
        tuple(batch),
        wide[::2, ::2],
        np.asfortranarray(batch),
        unaligned,
        readonly,
        audio,
    ):
        np.testing.assert_array_equal(logmel(same), expected)
    np.testing.assert_array_equal(logmel(batch[::-1])[::-1], expected)


def test_int16_has_full_scale_32768(logmel, batch):
    integers = np.round(batch * 20_000).astype(np.int16)
    np.testing.assert_array_equal(logmel(integers), logmel(integers.astype(np.float32) / 32_768))


def test_input_is_never_written_to(logmel, batch):
    before = batch.copy()
    logmel(batch, masks=np.full((5, 4), 0.5, np.float32))
    logmel.each(batch)
    logmel.statistics(batch)
    np.testing.assert_array_equal(batch, before)


def test_a_clip_does_not_depend_on_its_neighbours(logmel, batch):
    together = logmel(batch)
    for clip, expected in zip(batch, together, strict=True):
        np.testing.assert_array_equal(logmel(clip[None])[0], expected)


def test_each_takes_any_lengths(logmel, batch):
    clips = [clip[: 3000 * (i + 1)] for i, clip in enumerate(batch)]
    got = logmel.each(clips)
    assert [one.shape for one in got] == [(128, logmel.frames(len(clip))) for clip in clips]
    for one, clip in zip(got, clips, strict=True):
        np.testing.assert_array_equal(one, logmel([clip])[0])


def test_no_clips(logmel):
    assert logmel(np.empty((0, 16_000), np.float32)).shape == (0, 128, 32)
    assert logmel.each([]) == []
    assert logmel.statistics([]).mean.shape == (0, 128)
    assert offkey.clip_statistics(np.empty((0, 7, 9), np.float32)).p5.shape == (0, 7)
    assert logmel.each_from_files([]) == []
    statistics, errors = logmel.statistics_from_files([])
    assert statistics.lstd.shape == (0, 128)
    assert errors == {}


def masked(spectrogram, row):
    """The contract of masks, in numpy."""
    out = spectrogram.copy()
    for axis, (start, width) in ((1, row[:2]), (0, row[2:])):
        size = out.shape[axis]
        bins = 0 if width == 0 else max(1, int(float(width) * size))
        first = int(float(start) * (size - bins + 1))
        out.swapaxes(0, axis)[first : first + bins] = spectrogram.min()
    return out


def test_masked_spectrograms_are_the_plain_ones_with_bins_at_their_minimum(logmel, batch):
    rng = np.random.default_rng(0)
    plain = logmel(batch)
    rows = rng.random((5, 4), dtype=np.float32)
    rows[1] = 0
    rows[2] = [0.999, 1e-6, 0.999, 1]
    rows[3, 1] = 0
    got = logmel(batch, masks=rows)
    for one, spectrogram, row in zip(got, plain, rows, strict=True):
        np.testing.assert_array_equal(one, masked(spectrogram, row))
    np.testing.assert_array_equal(got[1], plain[1])
    assert not np.array_equal(got[0], plain[0])
    np.testing.assert_array_equal(logmel(batch, masks=rows.astype(np.float64)), got)


def test_the_augmenters_masks_fit(batch):
    augmented = offkey.Augmenter.paper()(batch, seed=0)
    assert offkey.LogMel.paper()(augmented.samples, masks=augmented.masks).shape == (5, 128, 32)


def test_one_object_in_many_threads(logmel, batch):
    expected, got = logmel(batch), [None] * 6

    def work(index):
        got[index] = logmel(batch)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one in got:
        np.testing.assert_array_equal(one, expected)


def test_a_long_call_gives_the_same_as_short_ones(logmel):
    clips = np.tile(machine(7, samples=160_000), (30, 1))
    got = logmel(clips)
    assert (got == logmel(clips[:1])).all()


def test_from_files(logmel, batch, files):
    np.testing.assert_array_equal(logmel.from_files(files), logmel(batch))
    np.testing.assert_array_equal(logmel.from_files(map(str, files)), logmel(batch))
    np.testing.assert_array_equal(logmel.from_files(files, channel=1), logmel(batch[:, ::-1]))
    mean = offkey.read_batch(files, channel="mean")
    np.testing.assert_array_equal(logmel.from_files(files, channel="mean"), logmel(mean))


def test_each_from_files(logmel, batch, files, tmp_path):
    soundfile.write(tmp_path / "short.wav", batch[0][:4000], 16_000, subtype="FLOAT")
    got = logmel.each_from_files([files[0], tmp_path / "short.wav"])
    for one, clip in zip(got, (batch[0], batch[0][:4000]), strict=True):
        np.testing.assert_array_equal(one, logmel([clip])[0])


def test_files_of_another_rate_are_resampled(logmel, tmp_path):
    clip = machine(1, samples=44_100, sample_rate=44_100)
    soundfile.write(tmp_path / "cd.wav", clip, 44_100, subtype="FLOAT")
    expected = logmel(offkey.read_batch([tmp_path / "cd.wav"], sample_rate=16_000))
    assert expected.shape == (1, 128, 32)
    np.testing.assert_array_equal(logmel.from_files([tmp_path / "cd.wav"]), expected)


def test_statistics_from_files(logmel, batch, files):
    statistics, errors = logmel.statistics_from_files(files)
    assert errors == {}
    for one, other in zip(statistics[:4], logmel.statistics(batch)[:4], strict=True):
        np.testing.assert_array_equal(one, other)


def test_statistics_collect_errors(logmel, batch, files, tmp_path):
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"RIFF....")
    paths = [files[0], bad, files[1], tmp_path / "missing.wav"]
    statistics, errors = logmel.statistics_from_files(paths, on_error="collect")
    assert sorted(errors) == [1, 3]
    assert isinstance(errors[1], offkey.errors.AudioError)
    assert isinstance(errors[3], FileNotFoundError)
    for one, other in zip(statistics[:4], logmel.statistics(batch[:2])[:4], strict=True):
        np.testing.assert_array_equal(one[[0, 2]], other)
        assert np.isnan(one[[1, 3]]).all()
    with pytest.raises(offkey.errors.AudioError, match=r"bad\.wav"):
        logmel.statistics_from_files(paths)


def test_a_recipe_gives_its_features():
    assert offkey.LogMel.from_recipe(Recipe.named("paper").features) == offkey.LogMel.paper()
    features = Features(
        sample_rate=8000,
        n_fft=512,
        hop_length=100,
        win_length=400,
        window="hamming",
        n_mels=40,
        f_min_hz=20.0,
        f_max_hz=3000.0,
        mel_scale="htk",
        mel_norm="none",
        pad_mode="none",
        spectrum="magnitude",
        floor="add",
        floor_value=1e-6,
    )
    logmel = offkey.LogMel.from_recipe(features, num_threads=2)
    fields = {field.name for field in dataclasses.fields(logmel)}
    assert fields == {*features.__struct_fields__, "num_threads"} - {"channel"}
    assert all(getattr(logmel, name) == getattr(features, name) for name in fields - {"num_threads"})
    assert logmel.num_threads == 2


def test_pickle_repr_and_equality(batch):
    logmel = offkey.LogMel(n_mels=40, pad_mode="reflect", num_threads=2)
    again = pickle.loads(pickle.dumps(logmel))
    assert again == logmel
    assert hash(again) == hash(logmel)
    assert again != offkey.LogMel(n_mels=41, pad_mode="reflect", num_threads=2)
    np.testing.assert_array_equal(again(batch), logmel(batch))
    assert eval(repr(logmel), {"LogMel": offkey.LogMel}) == logmel
    with pytest.raises(dataclasses.FrozenInstanceError):
        logmel.n_mels = 3


def test_empty_filters_are_named_in_a_warning():
    with pytest.warns(
        UserWarning, match=r"of 128 Mel filters hold no frequency .*\(0, .*larger n_fft than 256"
    ):
        logmel = offkey.LogMel(n_fft=256)
    empty = ~logmel.filters().any(axis=1)
    assert (logmel(np.ones((1, 2000), np.float32))[0, empty] == -100).all()


def test_frames(logmel):
    assert [logmel.frames(n) for n in (1, 511, 512, 160_000)] == [1, 1, 2, 313]
    assert offkey.LogMel(pad_mode="reflect").frames(513) == 2
    unpadded = offkey.LogMel(pad_mode="none")
    assert [unpadded.frames(n) for n in (1024, 1535, 1536)] == [1, 1, 2]
