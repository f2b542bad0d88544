import numpy as np
import pytest
from tiny_network import RECIPE, audio_clips, logmels_of

from offkey.datasets.training import TrainingClips
from offkey.errors import ArrayError, DatasetError
from offkey.models.network.batches import crop, source_of

CLIPS = np.array([0, 3, 3, 35])  # 35 is of another type
OCCURRENCES = np.array([0, 0, 1, 0])


def as_logmels(clips):
    joined = TrainingClips(
        inputs="audio",
        clips=[*clips.clips, *clips.others],
        machine_ids=[*clips.machine_ids, *clips.other_types],
        groups=[*clips.groups, *clips.other_groups],
    )
    made = logmels_of(joined)
    own = len(clips.clips)
    return TrainingClips(
        inputs="logmel",
        clips=made[:own],
        machine_ids=clips.machine_ids,
        groups=clips.groups,
        others=made[own:],
        other_types=clips.other_types,
        other_groups=clips.other_groups,
    )


@pytest.mark.parametrize("inputs", ["audio", "logmel"])
def test_a_clip_is_a_function_of_seed_epoch_clip_and_occurrence_alone(inputs):
    clips = audio_clips(seconds=0.7)
    clips = clips if inputs == "audio" else as_logmels(clips)
    source = source_of(clips, RECIPE, seed=5, num_threads=2)
    together, classes = source.augmented(CLIPS, OCCURRENCES, epoch=2)
    frames = 0.5 * 8000 // 128 + 1
    assert together.shape == (4, 16, frames)
    assert together.dtype == np.float32
    other = source_of(clips, RECIPE, seed=5, num_threads=1)
    for i in range(4):
        alone, label = other.augmented(CLIPS[i : i + 1], OCCURRENCES[i : i + 1], epoch=2)
        np.testing.assert_array_equal(alone[0], together[i])
        assert label == classes[i]
    assert not np.array_equal(together[1], together[2])
    assert not np.array_equal(source.augmented(CLIPS, OCCURRENCES, epoch=3)[0], together)
    assert not np.array_equal(
        source_of(clips, RECIPE, seed=6).augmented(CLIPS, OCCURRENCES, epoch=2)[0], together
    )


def test_classes_of_audio_and_of_logmels():
    clips = audio_clips()
    assert source_of(clips, RECIPE, seed=0).classes == RECIPE.training.augmentation.classes
    assert source_of(as_logmels(clips), RECIPE, seed=0).classes == ("none", "time_mask", "frequency_mask")


def test_labels_say_what_was_done():
    recipe = RECIPE.replace(training__augmentation__classes=["none", "time_mask"])
    clips = audio_clips()
    source = source_of(clips, recipe, seed=0)
    indices = np.arange(30)
    made, classes = source.augmented(indices, np.zeros(30, np.int64), epoch=0)
    for logmel, plain, label in zip(made, source.clean(indices), classes, strict=True):
        masked_frames = (logmel == logmel.min()).all(axis=0).sum()
        assert (masked_frames > 0) == (label == 1)
        assert (label == 1) != np.array_equal(logmel, plain)


def test_clean_clips_are_whole():
    clips = audio_clips(seconds=0.7)
    made = source_of(clips, RECIPE, seed=0).clean(np.array([1, 31]))
    assert [m.shape for m in made] == [(16, 44), (16, 44)]


def test_crops_stay_inside_and_reach_both_ends():
    array = np.arange(50.0)
    starts = set()
    for seed in range(400):
        made = crop(array, 45, seed=seed)
        np.testing.assert_array_equal(np.diff(made), 1)
        starts.add(int(made[0]))
    assert starts == set(range(6))


def test_short_clips_are_repeated():
    np.testing.assert_array_equal(crop(np.array([[1, 2, 3]]), 7, seed=0), [[1, 2, 3, 1, 2, 3, 1]])
    assert crop(np.arange(7), 7, seed=0).tolist() == list(range(7))


def test_a_lazy_sequence_is_read_item_by_item():
    clips, read = audio_clips(), []

    class Lazy(list):
        def __getitem__(self, index):
            read.append(index)
            return super().__getitem__(index)

    lazy = TrainingClips(
        inputs="audio", clips=Lazy(clips.clips), machine_ids=clips.machine_ids, groups=clips.groups
    )
    source_of(lazy, RECIPE, seed=0).augmented(np.array([4, 9]), np.zeros(2, np.int64), epoch=0)
    assert read == [4, 9]


@pytest.mark.parametrize(
    ("clip", "message"),
    [
        (np.zeros(0, np.float32), r"clips\[1\]: given shape \(0,\); expected \(samples,\)"),
        (np.zeros((2, 9), np.float32), r"clips\[1\]: given shape \(2, 9\)"),
    ],
)
def test_a_clip_of_the_wrong_shape_is_named(clip, message):
    clips = TrainingClips(inputs="audio", clips=[np.ones(9), clip], machine_ids=["0", "0"], groups=["a", "b"])
    with pytest.raises(ArrayError, match=message):
        source_of(clips, RECIPE, seed=0).clean(np.array([1]))


def test_logmels_with_other_bins_or_not_finite_are_named():
    good = np.random.default_rng(0).normal(size=(16, 30)).astype(np.float32)
    bad = good.copy()
    bad[2, 3] = np.nan
    clips = TrainingClips(
        inputs="logmel", clips=[good, good[:12], bad], machine_ids=["0"] * 3, groups=["a", "b", "c"]
    )
    source = source_of(clips, RECIPE, seed=0)
    with pytest.raises(ArrayError, match=r"clip 1: given shape \(12, 30\)"):
        source.clean(np.array([1]))
    with pytest.raises(ArrayError, match="clip 2: its log-Mel has values that are not finite"):
        source.clean(np.array([2]))


def test_columns_must_match_the_clips():
    with pytest.raises(DatasetError, match="given none"):
        TrainingClips(inputs="audio", clips=[], machine_ids=[], groups=[])
    with pytest.raises(DatasetError, match="1 clips, but 1 and 2 labels and groups"):
        TrainingClips(inputs="audio", clips=[np.ones(9)], machine_ids=["0"], groups=["a", "b"])
    with pytest.raises(DatasetError, match="1 others, but 0 and 0"):
        TrainingClips(
            inputs="audio", clips=[np.ones(9)], machine_ids=["0"], groups=["a"], others=[np.ones(9)]
        )
