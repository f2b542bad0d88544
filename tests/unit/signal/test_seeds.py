"""A seed stands for the same augmentations for ever: saved recipes and checkpoints name their data by it.

Classes and masks are the same on every processor, as is noise; stretched clips within the rounding of float32.
"""

import hashlib

import numpy as np

import offkey
from offkey.signal.near_anomalies import near_anomalies

CLASSES = [0, 2, 1, 1, 2, 7, 6, 1, 4, 5, 2, 2, 1, 6, 6, 1]
NEXT_EPOCH = [2, 4, 3, 3, 0, 0, 0, 4, 1, 2, 7, 6, 0, 2, 4, 4]
SAMPLES = {
    "white_noise": (2, [0.6345092058181763, -0.4633062481880188, 1.5284610986709595]),
    "fade": (1, [-0.04311278834939003, 0.0, 0.09011777490377426]),
    "pitch_shift": (9, [-0.1729561984539032, -0.38400691747665405, 0.05674891173839569]),
    "time_stretch": (8, [0.4780447483062744, -0.42316776514053345, 0.290569543838501]),
}


def batch():
    time = np.arange(16_000) / 16_000
    clip = 0.4 * np.sin(2 * np.pi * 200 * time) + 0.1 * np.sin(2 * np.pi * 3100 * time)
    return np.tile(clip.astype(np.float32), (16, 1))


def test_a_seed_stands_for_the_same_classes_and_samples():
    augmenter = offkey.Augmenter.paper()
    augmented = augmenter(batch(), seed=7)
    assert augmented.classes.tolist() == CLASSES
    assert augmenter(batch(), seed=7, epoch=1).classes.tolist() == NEXT_EPOCH
    for row, expected in SAMPLES.values():
        np.testing.assert_allclose(augmented.samples[row, [1000, 8000, 15_000]], expected, atol=1e-4)


def test_a_seed_stands_for_the_same_masks():
    masks = offkey.Augmenter.paper()(batch(), seed=7).masks
    expected = np.zeros((16, 4), np.float32)
    expected[5, 2:] = 0.151755690574646, 0.0006834066589362919
    expected[6, :2] = 0.9430770874023438, 0.00912994984537363
    expected[13, :2] = 0.4703977704048157, 0.06963314861059189
    expected[14, :2] = 0.19504523277282715, 0.01748763769865036
    np.testing.assert_array_equal(masks, expected)


def test_a_seed_stands_for_the_same_near_anomalies_to_the_byte():
    logmel = (np.arange(64 * 99).reshape(64, 99) * 37 % 101) / 8 - 40  # exact in float32
    logmels = np.tile(logmel.astype(np.float32), (40, 1, 1))  # all kinds are among the 40
    changed, kinds = near_anomalies(logmels, deviation_db=np.full(64, 1.5), seeds=range(40))
    assert kinds[:16].tolist() == [3, 1, 5, 8, 3, 2, 3, 3, 6, 4, 4, 5, 5, 2, 8, 4]
    assert np.unique(kinds).tolist() == list(range(10))
    assert hashlib.sha256(changed.tobytes()).hexdigest().startswith("cfdd16ce7483a68b")
