import numpy as np
import pytest

from offkey.models.baselines import windows as module
from offkey.models.baselines.windows import TrainingWindows, windows_of
from offkey.models.network.batches import KeptLogMels

LENGTHS = np.array([7, 3, 12, 5, 9])


class Source:
    """Clips whose values say which cell of which clip they are."""

    def clean(self, indices):
        return [self.clip(i) for i in indices.tolist()]

    @staticmethod
    def clip(i):
        return (1000 * i + 10 * np.arange(LENGTHS[i]) + np.arange(4)[:, None]).astype(np.float32)


def training_windows(**changes):
    given = {"ids": np.arange(5) % 2, "lengths": LENGTHS, "frames": 5, "batch_size": 4, "seed": 0} | changes
    return TrainingWindows(KeptLogMels(Source()), np.arange(5), **given)


def test_windows_of_a_clip_are_its_frames_in_order():
    windows = windows_of(Source.clip(2), 5)
    assert windows.shape == (8, 5, 4)
    for start in range(8):
        assert np.array_equal(windows[start].T, Source.clip(2)[:, start : start + 5])
    assert np.array_equal(windows_of(Source.clip(1), 5)[0].T, Source.clip(1)[:, [0, 1, 2, 0, 1]])


@pytest.mark.parametrize("block_frames", [1 << 18, 15])
def test_an_epoch_has_every_window_once_with_its_id(block_frames, monkeypatch):
    monkeypatch.setattr(module, "_BLOCK_FRAMES", block_frames)
    made = training_windows()
    expected = np.concatenate([windows_of(Source.clip(i), 5) for i in range(5)])
    for epoch in range(3):
        batches = list(made.epoch(epoch))
        assert len(batches) == made.steps(epoch)
        assert min(len(windows) for windows, _ in batches) >= 2
        windows, ids = (np.concatenate(column) for column in zip(*batches, strict=True))
        assert len(windows) == len(made) == len(expected)
        order = np.lexsort(windows.reshape(len(windows), -1).T)
        usual = np.lexsort(expected.reshape(len(expected), -1).T)
        assert np.array_equal(windows[order], expected[usual])
        assert np.array_equal(ids, windows[:, 0, 0] // 1000 % 2)


def test_the_order_is_a_function_of_seed_and_epoch():
    def first(seed, epoch):
        return next(training_windows(seed=seed).epoch(epoch))[0]

    assert np.array_equal(first(0, 0), first(0, 0))
    assert not np.array_equal(first(0, 0), first(0, 1))
    assert not np.array_equal(first(0, 0), first(1, 0))
