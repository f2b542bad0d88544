"""`ClipStatistics`: arrays that not every clip has."""

import numpy as np
import pytest

from offkey.errors import ArrayError
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
