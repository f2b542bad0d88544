"""The strongest bands and stretches."""

import numpy as np
import pytest

from offkey.explain.places import strongest_bands, strongest_stretches


def test_bands_are_named_by_strength():
    added = np.full(100, -0.01)
    added[20:24], added[60:70], added[80:90] = 1.0, 2.0, 0.15
    bands = strongest_bands(added)
    assert [run for run, _ in bands] == [(60, 69), (20, 23)]
    assert sum(share for _, share in bands) == pytest.approx(0.94, abs=0.01)


@pytest.mark.parametrize("added", [np.zeros(9), -np.ones(9)])
def test_where_nothing_is_added_there_is_no_band_and_no_stretch(added):
    assert strongest_bands(added) == []
    assert strongest_stretches(added, frame_s=0.03) == []


def test_one_band_is_named_however_many_there_are():
    assert len(strongest_bands(np.tile([1.0, 0, 0, 0, 0], 30))) == 1


@pytest.mark.parametrize("frames", [1, 2, 3, 50])
def test_an_even_series_is_one_stretch(frames):
    noise = 1 + 0.2 * np.random.default_rng(0).random(frames)
    assert strongest_stretches(noise, frame_s=0.032) == [((0, frames - 1), 1.0)]


def test_peaks_above_an_even_base_are_stretches():
    """The base is more than half of the sum, but the peaks are four times as strong."""
    added = np.ones(300)
    added[::60] = added[1::60] = added[2::60] = 5.0
    assert len(strongest_stretches(added, frame_s=0.032)) == 5


def test_stretches_are_in_the_order_of_time():
    added = np.full(300, 0.01)
    added[50:70], added[200:210] = 2.0, 3.0
    (first, _), (second, _) = strongest_stretches(added, frame_s=0.032)
    assert np.abs(np.subtract(first, (50, 69))).max() <= 2
    assert np.abs(np.subtract(second, (200, 209))).max() <= 2


def test_a_click_in_the_last_frame_is_found():
    added = np.zeros(100)
    added[99] = 1.0
    ((first, last), share) = strongest_stretches(added, frame_s=0.032)[0]
    assert first >= 97
    assert last == 99
    assert share == pytest.approx(1)
