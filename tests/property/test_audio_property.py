"""Whatever samples are written come back; whatever bytes are read give a clip or an `AudioError`."""

import struct

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import offkey
from offkey.errors import AudioError

SHAPES = st.tuples(st.integers(1, 300), st.integers(1, 8))
RATES = st.integers(1, 384_000)


def check(path, samples, rate):
    expected = soundfile.read(path, dtype="float32", always_2d=True)[0]
    audio = offkey.read(path)
    assert audio.sample_rate == rate
    assert audio.samples.shape == samples.shape[::-1]
    np.testing.assert_array_equal(audio.samples, expected.T)


@settings(max_examples=60)
@given(data=st.data(), kind=st.sampled_from(["WAV", "WAVEX", "RF64", "AIFF"]), rate=RATES)
def test_16_bit_samples_come_back(tmp_path, data, kind, rate):
    samples = data.draw(arrays.arrays(np.int16, SHAPES))
    path = tmp_path / "clip"
    soundfile.write(path, samples, rate, format=kind, subtype="PCM_16")
    check(path, samples, rate)
    np.testing.assert_array_equal(offkey.read(path).samples * 32_768, samples.T)


@settings(max_examples=60)
@given(data=st.data(), kind=st.sampled_from(["WAV", "AIFF"]), wide=st.booleans())
def test_any_finite_float_comes_back(tmp_path, data, kind, wide):
    width = 64 if wide else 32
    finite = st.floats(width=32, allow_nan=False, allow_infinity=False)
    samples = data.draw(arrays.arrays(f"f{width // 8}", SHAPES, elements=finite))
    path = tmp_path / "clip"
    soundfile.write(path, samples, 8000, format=kind, subtype="DOUBLE" if wide else "FLOAT")
    check(path, samples, 8000)
    np.testing.assert_array_equal(offkey.read(path).samples, samples.T)


@settings(max_examples=40)
@given(data=st.data(), subtype=st.sampled_from(["PCM_S8", "PCM_16", "PCM_24"]), rate=st.integers(1, 655_350))
def test_flac_comes_back(tmp_path, data, subtype, rate):
    samples = data.draw(arrays.arrays(np.int32, SHAPES))
    path = tmp_path / "clip"
    try:
        soundfile.write(path, samples, rate, format="FLAC", subtype=subtype)
    except soundfile.LibsndfileError:
        return  # a rate that FLAC cannot write down
    check(path, samples, rate)


def good_files():
    x = (np.random.default_rng(0).uniform(-1, 1, (600, 2)) * 20_000).astype(np.int16)
    yield from (("WAV", x), ("WAVEX", x), ("RF64", x), ("AIFF", x), ("FLAC", x), ("OGG", x), ("MP3", x))


@pytest.fixture(scope="module")
def contents(tmp_path_factory):
    folder = tmp_path_factory.mktemp("good")
    for kind, samples in good_files():
        soundfile.write(folder / kind, samples, 16_000, format=kind)
    return [(folder / kind).read_bytes() for kind, _ in good_files()]


def outcome(call, path):
    """Return what the call gives, or its `AudioError`; anything else is a fault."""
    try:
        return call(path)
    except AudioError as error:
        return error


def assert_clip_or_error(path):
    """Both calls give a clip that is one, or an error that names the file."""
    audio, info = outcome(offkey.read, path), outcome(offkey.info, path)
    if isinstance(audio, AudioError):
        assert str(path) in str(audio)
    else:
        assert audio.samples.dtype == np.float32
        assert audio.samples.ndim == 2
        assert audio.samples.size > 0
        assert np.isfinite(audio.samples).all()
        assert (info.channels, info.sample_rate) == (audio.channels, audio.sample_rate)
    if isinstance(info, AudioError):
        assert str(path) in str(info)
    else:
        assert info.channels >= 1
        assert info.sample_rate >= 1
    batch = offkey.read_batch([path], channel="mean", on_error="collect")
    assert (batch[0].size == 0) == (0 in batch.errors)


MUTATION = st.one_of(
    st.tuples(st.just("set"), st.integers(0, 120), st.binary(min_size=1, max_size=8)),
    st.tuples(st.just("set"), st.integers(0, 4000), st.binary(min_size=1, max_size=8)),
    st.tuples(st.just("cut"), st.integers(0, 4000), st.just(b"")),
    st.tuples(st.just("add"), st.integers(0, 120), st.binary(max_size=40)),
    st.tuples(st.just("drop"), st.integers(0, 120), st.binary(max_size=40)),
)


@settings(max_examples=300)
@given(index=st.integers(0, 6), mutations=st.lists(MUTATION, min_size=1, max_size=4))
def test_changed_files(tmp_path, contents, index, mutations):
    content = bytearray(contents[index])
    for action, at, replacement in mutations:
        if action == "set":
            content[at : at + len(replacement)] = replacement
        elif action == "cut":
            del content[at:]
        elif action == "add":
            content[at:at] = replacement
        else:
            del content[at : at + len(replacement)]
    path = tmp_path / "clip.wav"
    path.write_bytes(content)
    assert_clip_or_error(path)


HEADS = [
    b"",
    b"RIFF\0\0\0\0WAVE",
    b"RF64\xff\xff\xff\xffWAVE",
    b"FORM\0\0\0\0AIFC",
    b"fLaC",
    b"OggS",
    b"ID3\4",
    b"\xff\xfb",
]


@settings(max_examples=200)
@given(head=st.sampled_from(HEADS), body=st.binary(max_size=300))
def test_random_bytes(tmp_path, head, body):
    path = tmp_path / "clip.wav"
    path.write_bytes(head + body)
    assert_clip_or_error(path)


@settings(max_examples=200)
@given(
    tag=st.sampled_from([1, 1, 3, 6, 7, 0xFFFE, 2]),
    channels=st.integers(0, 2000),
    rate=st.integers(0, 2**32 - 1),
    block=st.integers(0, 65_535),
    bits=st.integers(0, 80),
    stated=st.one_of(st.integers(0, 400), st.integers(0, 2**32 - 1)),
    consistent=st.booleans(),
)
def test_headers_of_wav(tmp_path, tag, channels, rate, block, bits, stated, consistent):
    """Every field at random; also with the block size that fits the others, so that samples are reached."""
    if consistent:
        channels, block = channels % 9, channels % 9 * -(-bits // 8)
    fields = struct.pack("<HHIIHH", tag, channels, rate, 0, block % 65_536, bits)
    content = b"RIFF\0\0\0\0WAVEfmt " + struct.pack("<I", 16) + fields + b"data" + struct.pack("<I", stated)
    path = tmp_path / "clip.wav"
    path.write_bytes(content + bytes(range(200)))
    assert_clip_or_error(path)


@settings(max_examples=60)
@given(
    samples=arrays.arrays(np.float32, st.integers(1, 400), elements=st.floats(-1, 1, width=32)),
    from_rate=RATES,
    to_rate=RATES,
)
def test_resampled_clips_are_finite_and_as_long_as_promised(samples, from_rate, to_rate):
    if len(samples) * to_rate > 2_000_000 * from_rate:
        samples = samples[:4]
    y = offkey.resample(samples, from_rate=from_rate, to_rate=to_rate)
    assert y.shape == (-(-len(samples) * to_rate // from_rate),)
    assert np.isfinite(y).all()
    # No low-pass of linear phase with these edges overshoots more.
    assert np.abs(y).max() <= 4 * np.abs(samples).max() + 1e-6
