"""Clip statistics: arrays that not every clip has, and how they are asked for."""

import numpy as np
import pytest
import soundfile

import offkey
from offkey.errors import ArrayError
from offkey.signal.logmel import LogMel
from offkey.signal.statistics import ClipStatistics


def statistics(clips, *, first=0.0, **optional):
    base = first + np.arange(clips, dtype=np.float32)[:, None] + np.zeros((1, 3), np.float32)
    return ClipStatistics(base, base + 10, base + 20, base + 30, **optional)


def test_what_was_not_asked_for_is_none_and_no_array():
    plain = statistics(2)
    assert plain.fine_mean is None
    assert plain.rhythm is None
    assert list(plain.arrays()) == ["mean", "lstd", "ldstd", "p5"]
    assert list(statistics(2, rhythm=np.zeros((2, 128))).arrays()) == [
        "mean",
        "lstd",
        "ldstd",
        "p5",
        "rhythm",
    ]


@pytest.mark.parametrize("rows", [[2, 0], np.array([True, False, True])])
def test_some_of_the_clips(rows):
    taken = statistics(3, fine_mean=np.arange(12.0).reshape(3, 4)).take(rows)
    expected = np.arange(3)[rows]
    assert np.array_equal(taken.ldstd[:, 0], 20 + expected)
    assert np.array_equal(taken.fine_mean[:, 0], 4 * expected)
    assert taken.rhythm is None


def test_parts_are_joined_in_order():
    parts = [statistics(2, rhythm=np.zeros((2, 5))), statistics(1, first=7.0, rhythm=np.ones((1, 5)))]
    joined = ClipStatistics.joined(parts)
    assert np.array_equal(joined.mean[:, 0], [0, 1, 7])
    assert np.array_equal(joined.rhythm[:, 0], [0, 0, 1])
    assert joined.fine_mean is None


def test_parts_with_different_arrays_do_not_join():
    with pytest.raises(ArrayError, match="only some of the parts have rhythm"):
        ClipStatistics.joined([statistics(2, rhythm=np.zeros((2, 5))), statistics(1)])


FINE = LogMel(n_fft=2048, n_mels=256)
CLIPS = [np.random.default_rng(i).normal(0, 0.1, 20_000 + 999 * i).astype(np.float32) for i in range(3)]


def test_what_is_asked_for_beside_changes_nothing_else():
    logmel = LogMel.paper()
    plain = logmel.statistics(CLIPS)
    whole = logmel.statistics(CLIPS, fine=FINE, rhythm=True)
    assert plain.fine_mean is plain.rhythm is None
    assert whole.fine_mean.shape == (3, 256)
    assert whole.rhythm.shape == (3, 128)
    for one, other in zip(plain[:4], whole[:4], strict=True):
        np.testing.assert_array_equal(one, other)
    for name, alone in (("fine_mean", {"fine": FINE}), ("rhythm", {"rhythm": True})):
        some = logmel.statistics(CLIPS, **alone)
        assert list(some.arrays())[4:] == [name]
        np.testing.assert_array_equal(getattr(some, name), getattr(whole, name))
    of_arrays = [offkey.rhythm(each[None], frame_rate_hz=31.25)[0] for each in logmel.each(CLIPS)]
    np.testing.assert_allclose(whole.rhythm, of_arrays, rtol=0, atol=1e-5)


def test_several_finer_spectrograms_stand_side_by_side():
    logmel, coarse = LogMel.paper(), LogMel(n_fft=4096, hop_length=1024, n_mels=40)
    both = logmel.statistics(CLIPS, fine=[FINE, coarse], rhythm=True)
    apart = [logmel.statistics(CLIPS, fine=fine).fine_mean for fine in (FINE, coarse)]
    np.testing.assert_array_equal(both.fine_mean, np.concatenate(apart, axis=1))


@pytest.mark.parametrize("num_threads", [1, 2, 7])
def test_the_number_of_threads_changes_nothing(num_threads):
    logmel = LogMel.paper()
    expected = logmel.statistics(CLIPS, fine=FINE, rhythm=True).arrays()
    got = logmel.statistics(CLIPS, fine=FINE, rhythm=True, num_threads=num_threads).arrays()
    for name, array in expected.items():
        np.testing.assert_array_equal(got[name], array)


def test_no_clips_have_empty_arrays():
    none = LogMel.paper().statistics([], fine=FINE, rhythm=True)
    assert [array.shape for array in none.arrays().values()] == [(0, 128)] * 4 + [(0, 256), (0, 128)]
    assert offkey.rhythm(np.zeros((0, 16, 5), np.float32), frame_rate_hz=31.25).shape == (0, 128)


def test_files_are_as_their_samples_and_missing_ones_nan(tmp_path):
    paths = []
    for i, clip in enumerate(CLIPS):
        paths.append(tmp_path / f"{i}.wav")
        soundfile.write(paths[-1], clip, 16_000, subtype="FLOAT")
    logmel = LogMel.paper()
    expected = logmel.statistics(CLIPS, fine=FINE, rhythm=True)
    statistics, errors = logmel.statistics_from_files(
        [*paths, tmp_path / "missing.wav"], fine=FINE, rhythm=True, on_error="collect"
    )
    assert list(errors) == [3]
    for name, array in expected.arrays().items():
        np.testing.assert_array_equal(getattr(statistics, name)[:3], array)
        assert np.isnan(getattr(statistics, name)[3]).all()
    assert logmel.statistics_from_files(paths).statistics.rhythm is None
