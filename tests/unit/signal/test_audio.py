"""The interface of `offkey.signal.audio`: shapes, parameters, batches, errors collected or raised."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

import offkey
from offkey.errors import ArrayError, AudioError, ParameterError


@pytest.fixture
def stereo(tmp_path):
    samples = np.random.default_rng(0).uniform(-1, 1, (500, 2)).astype(np.float32)
    path = tmp_path / "stereo.wav"
    soundfile.write(path, samples, 8000, subtype="FLOAT")
    return path, samples


@pytest.fixture
def ragged(tmp_path):
    rng = np.random.default_rng(1)
    clips = [rng.uniform(-1, 1, n).astype(np.float32) for n in (1, 700, 33, 20_000, 5, 128, 64_001)]
    paths = [tmp_path / f"{i}.wav" for i in range(len(clips))]
    for path, clip in zip(paths, clips, strict=True):
        soundfile.write(path, clip, 16_000, subtype="FLOAT")
    return paths, clips


def test_read_gives_all_channels(stereo):
    path, samples = stereo
    audio = offkey.read(path)
    assert audio.samples.dtype == np.float32
    assert audio.samples.flags.c_contiguous
    assert audio.samples.flags.writeable
    np.testing.assert_array_equal(audio.samples, samples.T)
    assert (audio.channels, audio.frames, audio.sample_rate, audio.path) == (2, 500, 8000, path)
    assert audio.duration_s == 500 / 8000


def test_read_resamples_each_channel(stereo):
    path, samples = stereo
    audio = offkey.read(str(path), sample_rate=6000)
    assert audio.sample_rate == 6000
    expected = [offkey.resample(channel, from_rate=8000, to_rate=6000) for channel in samples.T]
    np.testing.assert_array_equal(audio.samples, expected)


def test_info_reads_the_header(stereo):
    info = offkey.info(stereo[0])
    assert (info.sample_rate, info.channels, info.frames) == (8000, 2, 500)
    assert (info.format, info.subtype, info.duration_s) == ("WAV", "FLOAT", 500 / 8000)


@pytest.mark.parametrize("num_threads", [1, 2, 5, None])
def test_batch_keeps_order_and_lengths(ragged, num_threads):
    paths, clips = ragged
    batch = offkey.read_batch(paths, num_threads=num_threads)
    assert len(batch) == len(clips)
    assert batch.paths == paths
    assert batch.sample_rate == 16_000
    assert batch.lengths.dtype == np.int64
    assert batch.lengths.tolist() == [clip.size for clip in clips]
    for got, expected in zip(batch, clips, strict=True):
        assert got.dtype == np.float32
        assert got.flags.c_contiguous
        np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(batch[-1], clips[-1])
    assert repr(batch) == "AudioBatch(7 clips at 16000 Hz)"


@pytest.mark.parametrize("num_threads", [1, 3])
def test_clips_of_a_batch_lie_in_one_block_each_at_the_same_alignment(ragged, num_threads):
    batch = offkey.read_batch(ragged[0], num_threads=num_threads)
    assert len({id(clip.base) for clip in batch}) == 1
    assert {clip.ctypes.data % 64 for clip in batch} == {0}
    kept = batch[2].copy()
    clip = batch[2]
    del batch
    clip += 0  # it can be written to, and outlives the others
    np.testing.assert_array_equal(clip, kept)


@pytest.mark.parametrize("num_threads", [1, 3])
@pytest.mark.parametrize(
    "options", [{}, {"sample_rate": 12_000, "channel": "mean"}], ids=["as it is", "mean"]
)
def test_a_batch_is_written_into_a_given_array(tmp_path, num_threads, options):
    paths = [tmp_path / f"{i}.wav" for i in range(5)]
    for i, path in enumerate(paths):
        soundfile.write(path, np.random.default_rng(i).uniform(-1, 1, (700, 2)), 8000)
    expected = np.stack(list(offkey.read_batch(paths, **options)))
    out = np.full_like(expected, 9)
    for _ in range(2):
        batch = offkey.read_batch(paths, out=out, num_threads=num_threads, **options)
        np.testing.assert_array_equal(out, expected)
        assert all(np.shares_memory(clip, row) for clip, row in zip(batch, out, strict=True))
    assert batch.lengths.tolist() == [expected.shape[1]] * 5
    alone = offkey.read_batch(paths[:1], out=out[:1], **options)
    np.testing.assert_array_equal(alone[0], expected[0])


def test_clips_that_do_not_fit_the_given_array_are_named(ragged, tmp_path):
    paths, clips = ragged
    out = np.zeros((len(paths), clips[0].size), np.float32)
    other = next(i for i, clip in enumerate(clips) if clip.size != clips[0].size)
    words = f"{paths[other].stem}[.]wav: {clips[other].size} samples at 16000 Hz; expected {clips[0].size} as a row"
    with pytest.raises(AudioError, match=words):
        offkey.read_batch(paths, out=out)
    batch = offkey.read_batch(paths, out=out, on_error="collect")
    assert sorted(batch.errors) == [i for i, clip in enumerate(clips) if clip.size != clips[0].size]
    np.testing.assert_array_equal(batch[0], clips[0])
    for wrong in (out[1:], out.astype(np.float64), out.T, out[0], [[0.0]], out[:, :0]):
        with pytest.raises(ArrayError, match=r"out: .*expected"):
            offkey.read_batch(paths, out=wrong)


def test_a_resampled_batch_is_each_clip_resampled(ragged):
    paths, clips = ragged
    batch = offkey.read_batch(paths, sample_rate=11_025)
    assert batch.sample_rate == 11_025
    for got, clip in zip(batch, clips, strict=True):
        expected = offkey.resample(clip, from_rate=16_000, to_rate=11_025)
        assert got.tobytes() == expected.tobytes()


def test_channel_and_mean(stereo):
    path, samples = stereo
    np.testing.assert_array_equal(offkey.read_batch([path])[0], samples[:, 0])
    np.testing.assert_array_equal(offkey.read_batch([path], channel=1)[0], samples[:, 1])
    mean = samples.astype(np.float64).mean(axis=1).astype(np.float32)
    np.testing.assert_array_equal(offkey.read_batch([path], channel="mean")[0], mean)


def test_missing_channel_names_the_file(stereo):
    with pytest.raises(AudioError, match=r"stereo\.wav: channel 2 was asked for, .* has 2 channels"):
        offkey.read_batch([stereo[0]], channel=2)


def test_rates_that_differ_name_two_files(ragged, stereo):
    with pytest.raises(AudioError, match=r"stereo\.wav: 8000 Hz, but .*0\.wav has 16000 Hz.*sample_rate"):
        offkey.read_batch([*ragged[0], stereo[0]])
    assert offkey.read_batch([*ragged[0], stereo[0]], sample_rate=16_000).lengths[-1] == 1000


def test_collected_errors_stand_at_their_place(ragged, tmp_path):
    paths, clips = ragged
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"RIFF")
    missing = tmp_path / "missing.wav"
    batch = offkey.read_batch([paths[1], bad, paths[2], missing], on_error="collect")
    assert sorted(batch.errors) == [1, 3]
    assert isinstance(batch.errors[1], AudioError)
    assert str(bad) in str(batch.errors[1])
    assert isinstance(batch.errors[3], FileNotFoundError)
    assert batch.errors[3].filename == str(missing)
    assert batch.lengths.tolist() == [clips[1].size, 0, clips[2].size, 0]
    assert batch.sample_rate == 16_000
    assert repr(batch) == "AudioBatch(4 clips at 16000 Hz, 2 not readable)"


def test_the_first_bad_file_in_order_is_raised(ragged, tmp_path):
    first, second = tmp_path / "first.wav", tmp_path / "second.wav"
    second.write_bytes(b"RIFF")
    for _ in range(5):
        with pytest.raises(FileNotFoundError, match="first"):
            offkey.read_batch([*ragged[0], first, second], num_threads=3)


def test_batches_without_a_clip(tmp_path):
    assert len(offkey.read_batch([])) == 0
    assert offkey.read_batch([], sample_rate=16_000).sample_rate == 16_000
    batch = offkey.read_batch([tmp_path / "no"], on_error="collect")
    assert (len(batch), batch.sample_rate, list(batch.errors)) == (1, 0, [0])


@pytest.mark.parametrize(
    "options",
    [
        {"sample_rate": 0},
        {"sample_rate": -1},
        {"sample_rate": 384_001},
        {"channel": -1},
        {"channel": 5000},
        {"channel": "left"},
        {"num_threads": 0},
        {"num_threads": -2},
        {"on_error": "ignore"},
    ],
)
def test_parameters_outside_their_range(stereo, options):
    with pytest.raises(ParameterError, match=next(iter(options))):
        offkey.read_batch([stereo[0]], **options)


def test_one_path_is_not_a_list(stereo):
    for path in (stereo[0], str(stereo[0])):
        with pytest.raises(ParameterError, match=r"expected a list of paths; for one file give \[path\]"):
            offkey.read_batch(path)


def test_paths_may_come_from_a_generator(ragged):
    assert len(offkey.read_batch(path for path in ragged[0])) == 7


def test_batch_checks_its_own_parts():
    with pytest.raises(ArrayError, match="1 arrays for 2 paths"):
        offkey.AudioBatch([np.zeros(3, np.float32)], sample_rate=1, paths=[Path("a"), Path("b")])


def test_resample_shapes_and_types():
    x = np.random.default_rng(2).uniform(-1, 1, (3, 1000))
    y = offkey.resample(x, from_rate=44_100, to_rate=16_000)
    assert y.dtype == np.float32
    assert y.shape == (3, 363)
    np.testing.assert_array_equal(y[1], offkey.resample(x[1], from_rate=44_100, to_rate=16_000))
    np.testing.assert_array_equal(
        y[:, :], offkey.resample(np.asfortranarray(x), from_rate=44_100, to_rate=16_000)
    )


def test_equal_rates_copy():
    x = np.arange(5, dtype=np.float32)
    y = offkey.resample(x, from_rate=100, to_rate=100)
    np.testing.assert_array_equal(x, y)
    assert not np.shares_memory(x, y)


def test_resample_of_nothing_is_nothing():
    assert offkey.resample(np.zeros(0, np.float32), from_rate=1, to_rate=3).shape == (0,)
    assert offkey.resample(np.zeros((2, 0), np.float32), from_rate=1, to_rate=3).shape == (2, 0)
    assert offkey.resample(np.zeros((0, 7), np.float32), from_rate=1, to_rate=3).shape == (0, 21)


@pytest.mark.parametrize(
    "samples",
    [np.zeros(3, np.int16), np.float32(1), np.zeros((1, 2, 3)), np.array([0.0, np.nan]), np.array([np.inf])],
)
def test_resample_refuses_other_arrays(samples):
    with pytest.raises(ArrayError, match="samples"):
        offkey.resample(samples, from_rate=2, to_rate=1)


@pytest.mark.parametrize(("from_rate", "to_rate", "name"), [(0, 1, "from_rate"), (1, 400_000, "to_rate")])
def test_resample_refuses_other_rates(from_rate, to_rate, name):
    with pytest.raises(ParameterError, match=name):
        offkey.resample(np.zeros(3), from_rate=from_rate, to_rate=to_rate)


def test_a_batch_knows_the_rates_of_its_files(ragged, stereo, tmp_path):
    (tmp_path / "none.wav").write_bytes(b"")
    paths = [ragged[0][1], stereo[0], tmp_path / "none.wav"]
    batch = offkey.read_batch(paths, sample_rate=16_000, on_error="collect")
    assert batch.source_rates.tolist() == [16_000, 8000, 0]
    assert offkey.read_batch(paths[1:2]).source_rates.tolist() == [8000]
    made = offkey.AudioBatch([np.zeros(3, np.float32)], sample_rate=8000, paths=[Path("a")])
    assert made.source_rates.tolist() == [8000]
    with pytest.raises(ArrayError, match="source_rates: 2 for 1 paths"):
        offkey.AudioBatch([np.zeros(3, np.float32)], sample_rate=8000, paths=[Path("a")], source_rates=[1, 2])


# ------------------------------------------------------------- blocks

KINDS = [
    ("WAV", "PCM_16"),
    ("WAV", "PCM_24"),
    ("WAV", "DOUBLE"),
    ("RF64", "ULAW"),
    ("AIFF", "PCM_16"),
    ("FLAC", "PCM_16"),
    ("OGG", "VORBIS"),
    ("MP3", "MPEG_LAYER_III"),
]


@pytest.fixture(scope="module", params=KINDS, ids="-".join)
def recording(request, tmp_path_factory):
    """Three channels (two of MP3) longer than what a decoder or the resampler does at once."""
    kind, subtype = request.param
    rng = np.random.default_rng(2)
    samples = 0.3 * np.sin(np.arange(150_001)[:, None] * [0.01, 0.1, 0.2]) + 0.1 * rng.standard_normal(
        (150_001, 3)
    )
    path = tmp_path_factory.mktemp("blocks") / "clip"
    samples = samples[:, :2] if kind == "MP3" else samples
    soundfile.write(path, samples.clip(-1, 1), 44_100, format=kind, subtype=subtype)
    return path


@pytest.mark.parametrize("channel", [0, 1, "mean"])
@pytest.mark.parametrize("sample_rate", [None, 16_000, 44_100, 48_000, 44_101])
def test_blocks_are_the_clip_to_the_bit(recording, sample_rate, channel):
    options = {"sample_rate": sample_rate, "channel": channel}
    batch = offkey.read_batch([recording], **options)
    for seconds in (0.0713, 1.0, 3600.0):
        blocks = offkey.read_blocks(recording, seconds=seconds, **options)
        assert (blocks.sample_rate, blocks.source_rate) == (batch.sample_rate, 44_100)
        parts = list(blocks)
        assert [part.dtype for part in parts] == [np.float32] * len(parts)
        assert {part.size for part in parts[:-1]} <= {round(seconds * batch.sample_rate)}
        assert 0 < parts[-1].size <= round(seconds * batch.sample_rate)
        np.testing.assert_array_equal(np.concatenate(parts), batch[0])
        assert list(blocks) == []


def test_blocks_of_one_sample(stereo):
    path, samples = stereo
    parts = list(offkey.read_blocks(path, seconds=1e-9, channel=1))
    assert [part.size for part in parts] == [1] * 500
    np.testing.assert_array_equal(np.concatenate(parts), samples[:, 1])


def test_damage_is_told_of_when_blocks_reach_it(tmp_path):
    path = tmp_path / "clip.flac"
    soundfile.write(path, np.random.default_rng(0).uniform(-1, 1, 100_000), 16_000)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    blocks = offkey.read_blocks(path, seconds=0.1)
    whole = []
    with pytest.raises(AudioError, match=r"clip\.flac: damaged after \d+ samples"):
        whole.extend(blocks)
    assert 10 < len(whole) < 60
    assert list(blocks) == []


def test_blocks_refuse_what_they_cannot_give(stereo, tmp_path):
    path, _ = stereo
    with pytest.raises(AudioError, match="channel 2 was asked for"):
        offkey.read_blocks(path, channel=2)
    with pytest.raises(FileNotFoundError):
        offkey.read_blocks(tmp_path / "no.wav")
    for options in (
        {"seconds": 0},
        {"seconds": float("nan")},
        {"seconds": 1e6},
        {"seconds": "1"},
        {"sample_rate": 0},
    ):
        with pytest.raises(ParameterError, match=next(iter(options))):
            offkey.read_blocks(path, **options)
    assert "blocks of 80 samples at 8000 Hz" in repr(offkey.read_blocks(path, seconds=0.01))
