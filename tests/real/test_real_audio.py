"""Every real recording, sample by sample as soundfile reads it."""

import numpy as np
import pytest
import soundfile

import offkey

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def files(real_dir):
    found = sorted(real_dir.rglob("*.wav"))
    assert len(found) > 100
    return found


def test_every_file_equals_soundfile_in_all_channels(files):
    kinds = set()
    for path in files:
        expected, rate = soundfile.read(path, dtype="float32", always_2d=True)
        audio = offkey.read(path)
        assert audio.sample_rate == rate
        np.testing.assert_array_equal(audio.samples, expected.T, err_msg=str(path))
        kinds.add((audio.channels, rate))
    assert kinds == {(1, 16_000), (2, 44_100), (8, 16_000)}


def test_headers_equal_soundfile(files):
    for path in files:
        expected, info = soundfile.info(path), offkey.info(path)
        assert (info.sample_rate, info.channels, info.frames) == (
            expected.samplerate,
            expected.channels,
            expected.frames,
        )
        assert (info.format, info.subtype) == (expected.format.removesuffix("EX"), expected.subtype)


@pytest.mark.parametrize("channel", [0, 3, 7, "mean"])
def test_one_channel_of_eight_or_their_mean(real_dir, channel):
    files = sorted((real_dir / "mimii").glob("*.wav"))
    batch = offkey.read_batch(files, channel=channel)
    for path, clip in zip(files, batch, strict=True):
        samples, _ = soundfile.read(path, dtype="float64")
        expected = samples.mean(axis=1) if channel == "mean" else samples[:, channel]
        np.testing.assert_array_equal(clip, expected.astype(np.float32))


def test_all_files_at_one_rate(files):
    batch = offkey.read_batch(files, sample_rate=16_000)
    assert batch.errors == {}
    assert batch.sample_rate == 16_000
    rates = [soundfile.info(path) for path in files]
    assert batch.lengths.tolist() == [-(-i.frames * 16_000 // i.samplerate) for i in rates]
