"""The public face of offkey.signal.augment."""

import pickle

import numpy as np
import pytest

import offkey
from offkey.errors import ArrayError, ParameterError
from offkey.recipe import Augmentation
from offkey.signal import augment
from offkey.signal.augmenter import Augmenter, augment_logmel, logmel_classes

CLASSES = Augmentation().classes


def clips(count: int, samples: int = 4000) -> np.ndarray:
    rng = np.random.default_rng(count)
    return (0.1 * rng.standard_normal((count, samples))).astype(np.float32)


@pytest.fixture
def clip() -> np.ndarray:
    return clips(1)[0]


def test_one_clip_functions_return_new_float32_and_leave_their_input_alone(clip: np.ndarray) -> None:
    before = clip.copy()
    clip.setflags(write=False)
    outputs = [
        augment.white_noise(clip, snr_db=3.0, seed=1),
        augment.fade(clip, fade_in=100, fade_out=200),
        augment.time_shift(clip, samples=17),
        augment.time_shift(clip, samples=0),
        augment.time_stretch(clip, rate=0.9),
        augment.time_stretch(clip, rate=1.0),
        augment.pitch_shift(clip, semitones=1.0),
        augment.pitch_shift(clip, semitones=0.0),
    ]
    np.testing.assert_array_equal(clip, before)
    for out in outputs:
        assert out.dtype == np.float32
        assert out.flags.c_contiguous
        assert out.flags.writeable
        assert not np.shares_memory(out, clip)


@pytest.mark.parametrize("cast", [np.float64, np.float16])
def test_other_floats_and_strides_are_accepted(clip: np.ndarray, cast: type) -> None:
    expected = augment.time_shift(clip.astype(cast).astype(np.float32)[::2], samples=3)
    np.testing.assert_array_equal(augment.time_shift(clip.astype(cast)[::2], samples=3), expected)


def test_noise_depends_on_the_seed_only(clip: np.ndarray) -> None:
    once = augment.white_noise(clip, snr_db=0.0, seed=5)
    np.testing.assert_array_equal(once, augment.white_noise(clip, snr_db=0.0, seed=5))
    assert not np.array_equal(once, augment.white_noise(clip, snr_db=0.0, seed=6))


def test_augmented_batch_has_the_stated_shapes() -> None:
    done = offkey.Augmenter.paper()(clips(50), seed=0)
    assert done.samples.shape == (50, 4000)
    assert done.samples.dtype == np.float32
    assert done.masks.shape == (50, 4)
    assert done.masks.dtype == np.float32
    assert done.classes.shape == (50,)
    assert done.classes.dtype == np.int64
    assert set(done.classes) == set(range(8))
    assert np.isfinite(done.samples).all()


def test_class_labels_say_what_was_done() -> None:
    batch = clips(100)
    done = offkey.Augmenter.paper()(batch, seed=3)
    names = np.array(CLASSES)[done.classes]
    for before, after, mask, name in zip(batch, done.samples, done.masks, names, strict=True):
        changed = name not in {"none", "time_mask", "frequency_mask"}
        assert np.array_equal(before, after) != changed
        assert (mask[1] > 0) == (name == "time_mask")
        assert (mask[3] > 0) == (name == "frequency_mask")
        if name == "time_shift":
            np.testing.assert_array_equal(np.sort(before), np.sort(after))


def test_labels_are_positions_in_the_recipes_own_list() -> None:
    chosen = Augmentation(classes=("time_shift", "none"))
    augmenter = Augmenter(chosen)
    assert augmenter.classes == ("time_shift", "none")
    batch = clips(40)
    done = augmenter(batch, seed=1)
    same = np.array([np.array_equal(a, b) for a, b in zip(batch, done.samples, strict=True)])
    np.testing.assert_array_equal(same, done.classes == 1)


def test_a_clip_is_augmented_alike_in_any_batch() -> None:
    batch, augmenter = clips(30), offkey.Augmenter.paper()
    numbers, occurrences = np.arange(100, 130), np.arange(30) % 3
    whole = augmenter(batch, seed=2, clips=numbers, occurrences=occurrences)
    order = np.random.default_rng(0).permutation(30)[:11]
    part = augmenter(list(batch[order]), seed=2, clips=numbers[order], occurrences=occurrences[order])
    for a, b in zip(part, whole, strict=True):
        np.testing.assert_array_equal(a, b[order])


def test_seed_epoch_clip_and_occurrence_all_matter() -> None:
    batch = np.repeat(clips(1), 30, axis=0)
    augmenter = Augmenter(Augmentation(classes=("white_noise",)))
    base = augmenter(batch, seed=0).samples
    assert len(np.unique(base, axis=0)) == 30
    for other in (
        augmenter(batch, seed=1),
        augmenter(batch, seed=0, epoch=1),
        augmenter(batch, seed=0, clips=np.arange(30, 60)),
        augmenter(batch, seed=0, occurrences=np.ones(30, int)),
    ):
        assert not (other.samples == base).all(axis=1).any()


def test_an_empty_batch_comes_back_empty() -> None:
    for shape in [(0, 100), (3, 0), (0, 0)]:
        done = offkey.Augmenter.paper()(np.empty(shape, np.float32), seed=0)
        assert done.samples.shape == shape
        assert done.masks.shape == (shape[0], 4)
        assert done.classes.shape == shape[:1]
    assert offkey.Augmenter.paper()([], seed=0).samples.shape == (0, 0)


def test_logmels_get_the_classes_that_need_no_samples() -> None:
    assert logmel_classes() == ("none", "time_mask", "frequency_mask")
    logmels = np.random.default_rng(0).standard_normal((60, 32, 50)).astype(np.float32)
    before = logmels.copy()
    masked, classes = augment_logmel(logmels, seed=1, num_threads=2)
    np.testing.assert_array_equal(logmels, before)
    assert set(classes) == {0, 1, 2}
    for clip, out, label in zip(logmels, masked, classes, strict=True):
        changed = clip != out
        assert (out[changed] == clip.min()).all()
        rows, columns = changed.any(axis=1).sum(), changed.any(axis=0).sum()
        if label == 0:
            assert not changed.any()
        elif label == 1:
            assert rows == 32
            assert 1 <= columns <= 5
        else:
            assert 1 <= rows <= 3
            assert columns == 50
    again = augment_logmel(logmels, seed=1, num_threads=1)
    assert again.logmels.tobytes() == masked.tobytes()


def test_errors_name_parameter_value_and_range(clip: np.ndarray) -> None:
    with pytest.raises(ParameterError, match=r"rate = 9: expected a number from 0\.25 to 4"):
        augment.time_stretch(clip, rate=9.0)
    with pytest.raises(ParameterError, match="semitones = -30: expected a number from -24 to 24"):
        augment.pitch_shift(clip, semitones=-30.0)
    with pytest.raises(ParameterError, match="fade_in = 4001: expected at most the clip's 4000 samples"):
        augment.fade(clip, fade_in=4001, fade_out=0)
    with pytest.raises(ArrayError, match=r"batch\[1\]: 3 samples, but batch\[0\] has 4000"):
        offkey.Augmenter.paper()([clip, clip[:3]], seed=0)
    with pytest.raises(ParameterError, match="at least one of none, time_mask"):
        augment_logmel(np.zeros((1, 2, 3)), Augmentation(classes=("fade",)), seed=0)


def test_an_augmenter_can_be_sent_to_a_spawned_worker() -> None:
    augmenter = offkey.Augmenter(Augmentation(snr_db=(0.0, 1.0)), sample_rate=8000, num_threads=1)
    copy = pickle.loads(pickle.dumps(augmenter))
    batch = clips(16)
    assert copy(batch, seed=3).samples.tobytes() == augmenter(batch, seed=3).samples.tobytes()
