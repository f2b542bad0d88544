"""Where the cells of a spectrogram lie."""

import numpy as np
import pytest

import offkey
from offkey.signal.cells import Cells


@pytest.mark.parametrize("pad_mode", ["constant", "none"])
def test_cells_reach_half_the_way_to_their_neighbours(pad_mode):
    logmel = offkey.LogMel(sample_rate=8000, n_fft=256, hop_length=128, n_mels=16, pad_mode=pad_mode)
    cells = Cells.of(logmel, 4000)
    assert cells.shape == logmel(np.zeros((1, 4000), np.float32))[0].shape
    assert cells.edges_hz[[0, -1]].tolist() == [0, 4000]
    assert cells.edges_s[[0, -1]].tolist() == [0, 0.5]
    assert (np.diff(cells.edges_hz) > 0).all()
    assert (np.diff(cells.edges_s) > 0).all()
    inside = (cells.edges_hz[:-1] < logmel.peaks_hz()) & (logmel.peaks_hz() < cells.edges_hz[1:])
    assert inside.all()
    frame = 7  # its middle is where the transform's is
    middle = (128 * frame + (128 if pad_mode == "none" else 0)) / 8000
    assert np.isclose((cells.edges_s[frame] + cells.edges_s[frame + 1]) / 2, middle)


def test_amounts_keep_their_sum_and_their_place_on_another_grid():
    coarse = Cells.of(offkey.LogMel(), 32_000)
    fine = Cells.of(offkey.LogMel(n_fft=4096, hop_length=1024, n_mels=256), 32_000)
    amounts = np.random.default_rng(0).normal(size=fine.shape)
    assert np.isclose(fine.spread(amounts, coarse).sum(), amounts.sum())
    one = np.zeros(fine.shape)
    one[200, 10] = 1.0
    spread = fine.spread(one, coarse)
    bins, frames = np.nonzero(spread)
    assert coarse.edges_hz[bins.min()] <= fine.edges_hz[200]
    assert fine.edges_hz[201] <= coarse.edges_hz[bins.max() + 1]
    assert coarse.edges_s[frames.min()] <= fine.edges_s[10]
    assert fine.edges_s[11] <= coarse.edges_s[frames.max() + 1]
    assert (spread >= 0).all()
    np.testing.assert_allclose(coarse.spread(np.ones(coarse.shape), coarse), 1.0)


def test_a_cell_outside_the_other_grid_belongs_to_the_nearest():
    low = Cells(edges_hz=np.array([0.0, 10.0, 20.0]), edges_s=np.array([0.0, 1.0]))
    high = Cells(edges_hz=np.array([15.0, 20.0, 40.0]), edges_s=np.array([0.0, 1.0]))
    np.testing.assert_array_equal(low.spread(np.array([[3.0], [5.0]]), high), [[8.0], [0.0]])
