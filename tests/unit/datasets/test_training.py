"""What models are fitted to: the target's clips read once, those of other types when they are drawn."""

import itertools
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from machines import recording, write_tree
from tiny_recipe import SPECTRAL

import offkey
from offkey.datasets import Clips, Dataset, dcase2020, file_clips
from offkey.datasets import source as source_module
from offkey.datasets.training import TrainingClips, read_training_clips
from offkey.errors import AudioError, DatasetError, OffkeyWarning, ParameterError, UnsupportedAudioError
from offkey.recipe import Features, Recipe
from offkey.signal.statistics import FrameMoments

FEATURES = Features()


@pytest.fixture
def tree(tmp_path):
    return write_tree(tmp_path / "data", machines=("fan", "pump", "valve"), train=5, test=1, seconds=0.3)


def fans(tree):
    return dcase2020(tree, machine="fan")


def files(tree, machine):
    return [clip.path for clip in dcase2020(tree, machine=machine).train]


def others_of(clips, machine_type):
    return len(clips.clips) + np.flatnonzero([kind == machine_type for kind in clips.other_types])


def test_the_target_is_read_once_and_other_types_not_at_all(tree, monkeypatch):
    read = []

    def counting(paths, **options):
        read.extend(paths)
        return offkey.read_batch(paths, **options)

    monkeypatch.setattr(source_module, "read_batch", counting)
    monkeypatch.setattr(file_clips, "read_batch", counting)
    clips = read_training_clips(fans(tree), features=FEATURES, statistics=True, moments=True)
    assert read == files(tree, "fan")
    assert len(clips.others) == 20
    assert len(clips.statistics().mean) == 10
    assert read == files(tree, "fan")
    clips.gather(np.array([0, 10]))
    assert read[10:] == [files(tree, "fan")[0], fans(tree).others.paths[0]]


def test_statistics_that_were_not_asked_for_are_computed_when_they_are(tree):
    first = read_training_clips(fans(tree), features=FEATURES, statistics=True)
    later = read_training_clips(fans(tree), features=FEATURES, statistics=False, moments=True)
    for column, other in zip(first.statistics()[:4], later.statistics()[:4], strict=True):
        np.testing.assert_array_equal(column, other)


def test_moments_are_those_of_all_frames(tree):
    for path, seconds in zip(files(tree, "fan"), (0.3, 1.2), strict=False):
        sf.write(path, 0.1 * np.random.default_rng(0).standard_normal(round(seconds * 16_000)), 16_000)
    clips = read_training_clips(fans(tree), features=FEATURES, moments=True)
    chosen = np.array([1, 0, 7])
    mean, deviation = clips.moments.take(chosen).pooled()
    logmels = offkey.LogMel.from_recipe(FEATURES).each(clips.gather(chosen))
    frames = np.concatenate(logmels, axis=1).astype(np.float64)
    np.testing.assert_allclose(mean, frames.mean(axis=1), rtol=1e-12)
    np.testing.assert_allclose(deviation, frames.std(axis=1), rtol=1e-10)
    parts = FrameMoments.joined([FrameMoments.of(logmels[:1]), FrameMoments.of(logmels[1:])])
    np.testing.assert_array_equal(parts.mean, clips.moments.take(chosen).mean)


def test_a_clip_of_another_type_that_cannot_be_read_is_replaced_by_the_next_of_its_type(tree):
    broken = files(tree, "pump")[4]
    broken.write_bytes(b"RIFF")
    clips = read_training_clips(fans(tree), features=FEATURES)
    assert clips.unread == ()
    pumps = others_of(clips, "pump")
    positions = np.array([pumps[4], 2, pumps[0], pumps[4]])
    taken = clips.gather(positions)
    expected = clips.gather(np.array([pumps[5], 2, pumps[0], pumps[5]]))
    for clip, other in zip(taken, expected, strict=True):
        np.testing.assert_array_equal(clip, other)
    assert len(clips.unread) == 1
    assert str(broken) in clips.unread[0]
    assert clips.notes == (f"left out of training: {clips.unread[0]}",)


def test_the_last_of_a_pool_is_replaced_by_the_first_and_pools_do_not_mix(tree):
    pumps = files(tree, "pump")
    pumps[2].write_bytes(b"RIFF")
    pumps[9].write_bytes(b"")
    clips = read_training_clips(fans(tree), features=FEATURES)
    places = others_of(clips, "pump")
    trained, held_out = places[[0, 1, 2, 8, 9]], places[[3, 4, 5, 6, 7]]
    first, third = clips.gather(places[[9, 2]], pools=(held_out, trained))
    np.testing.assert_array_equal(first, clips.others[int(places[0]) - 10])
    np.testing.assert_array_equal(third, clips.others[int(places[8]) - 10])
    assert len(clips.unread) == 2


def test_what_stands_in_does_not_depend_on_what_was_read_before(tree):
    for i in (3, 4):
        files(tree, "pump")[i].write_bytes(b"")
    once, twice = (read_training_clips(fans(tree), features=FEATURES) for _ in range(2))
    places = others_of(once, "pump")
    for place in places[::-1]:
        twice.gather(np.array([place]))
    for clip, other in zip(once.gather(places), twice.gather(places), strict=True):
        np.testing.assert_array_equal(clip, other)


def test_more_than_half_of_another_type_unread_is_an_error(tree):
    for path in files(tree, "pump")[:6]:
        path.write_bytes(b"")
    clips = read_training_clips(fans(tree), features=FEATURES)
    with pytest.raises(
        DatasetError, match=r"'pump': only 4 of its 10 normal training clips can be read: .*empty"
    ):
        clips.gather(others_of(clips, "pump"))


@pytest.mark.parametrize(("broken", "text"), [(6, "only 4 of its 10"), (10, "none of its 10")])
@pytest.mark.parametrize("cached", [False, True])
def test_more_than_half_of_the_target_unread_is_an_error(tree, tmp_path, broken, text, cached):
    for path in files(tree, "fan")[:broken]:
        path.write_bytes(b"")
    with pytest.raises(DatasetError, match=text):
        read_training_clips(fans(tree), features=FEATURES, cache=tmp_path / "cache" if cached else None)


def test_half_of_the_target_unread_is_a_warning_for_each_kind_of_error(tree):
    paths = files(tree, "fan")
    for path in paths[:3]:
        path.write_bytes(b"")
    paths[3].write_bytes(b"OggS" + bytes(100))
    paths[4].unlink()
    data = Dataset(machine="fan", clips=Clips([*fans(tree).clips]))
    clips = read_training_clips(dcase_with_missing(data, paths[4]), features=FEATURES)
    with pytest.warns(OffkeyWarning) as caught:
        clips.warn(stacklevel=1)
    texts = [str(warning.message).partition(", the first")[0] for warning in caught]
    assert sorted(texts) == [
        "left out of training: 1 recording that cannot be read (AudioError)",
        "left out of training: 1 recording that cannot be read (FileNotFoundError)",
        "left out of training: 3 recordings that cannot be read (AudioError)",
    ]
    clips.warn(stacklevel=1)  # not again: warnings are errors here


def test_a_kind_of_error_is_its_reason_without_names_and_numbers():
    errors = [
        AudioError("/a/b: c/1.wav: the data chunk says 800 bytes, but 12 follow"),
        AudioError("2.flac: the data chunk says 90 bytes, but 3 follow"),
        AudioError("3.wav: a RIFF file of kind 'soun', not WAVE"),
        AudioError("no ending: a RIFF file of kind 'none', not WAVE"),
        UnsupportedAudioError("4.wav: a RIFF file of kind 'soun', not WAVE"),
        PermissionError(13, "Permission denied", "5.wav"),
        PermissionError(13, "Permission denied", "6.wav"),
    ]
    clips = TrainingClips(
        inputs="audio", clips=[np.ones(9, np.float32)], machine_ids=["00"], groups=["a"], errors=errors
    )
    with pytest.warns(OffkeyWarning) as caught:
        clips.warn(stacklevel=1)
    texts = [str(warning.message) for warning in caught]
    assert [text.split()[4] for text in texts] == ["2", "2", "2", "1"]
    assert "the first: /a/b: c/1.wav" in texts[1]


def test_files_that_are_damaged_in_many_ways_give_few_warnings():
    words = ["".join(letters) for letters in itertools.product("abcdefgh", repeat=3)][:499]
    errors = [AudioError(f"{i}.wav: damaged in the way {word}") for i, word in enumerate(words)]
    errors += [AudioError("last.wav: damaged in the way hhg")] * 2
    clips = TrainingClips(
        inputs="audio", clips=[np.ones(9, np.float32)], machine_ids=["00"], groups=["a"], errors=errors
    )
    with pytest.warns(OffkeyWarning) as caught:
        clips.warn(stacklevel=1)
    texts = [str(warning.message) for warning in caught]
    assert len(texts) == 11
    assert "2 recordings" in texts[0]  # the most frequent kind first
    assert "and 490 more" in texts[-1]
    assert len(clips.left_out) == 501
    clips.warn(stacklevel=1)  # not again: warnings are errors here


def test_each_kind_of_clip_that_is_left_out_is_warned_of_once(tmp_path):
    tree = write_tree(tmp_path / "data", train=12, test=1)
    paths = files(tree, "fan")
    for path in paths[:3]:
        path.write_bytes(b"RIFF, but no sound")
    for path in paths[3:5]:
        path.write_bytes(b"fLaC" + bytes(40))
    rate = sf.info(paths[5]).samplerate
    sf.write(paths[5], np.zeros(rate), rate)
    sf.write(paths[6], np.full(rate, 0.25), rate)
    detector = offkey.Detector(SPECTRAL)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        detector.fit(fans(tree))
    texts = [str(warning.message) for warning in caught if "left out of training" in str(warning.message)]
    assert len(texts) == 4
    for start in ("silent: 1 ", "constant: 1 ", "3 recordings", "2 recordings"):
        assert sum(start in text for text in texts) == 1, texts
    assert {Path(warning.filename).name for warning in caught} == {"test_training.py"}


def dcase_with_missing(data, path):
    """The dataset with a clip whose file is gone: as if it had been removed since it was listed."""
    like = data.train[0]
    gone = type(like)(path=path, machine_type="fan", machine_id="00", split="train", label=0, group=str(path))
    return Dataset(machine="fan", clips=data.clips + Clips([gone]))


def test_a_clip_of_the_target_that_vanishes_later_is_an_error(tree):
    clips = read_training_clips(fans(tree), features=FEATURES)
    files(tree, "fan")[1].write_bytes(b"")
    with pytest.raises(AudioError, match="empty"):
        clips.gather(np.array([1]))


def test_names_and_groups_do_not_depend_on_where_the_tree_is(tree, tmp_path, monkeypatch):
    moved = tmp_path / "elsewhere" / "data"
    shutil.copytree(tree, moved)
    monkeypatch.chdir(tmp_path)
    clips = [
        read_training_clips(dcase2020(root, machine="fan"), features=FEATURES)
        for root in (tree, "data", moved)
    ]
    for other in clips[1:]:
        for name in ("paths", "groups", "other_types", "other_groups"):
            assert getattr(other, name) == getattr(clips[0], name)
    assert clips[0].paths[0] == "normal_id_00_00000000.wav"
    assert clips[0].other_groups[0] == "pump/train/normal_id_00_00000000.wav"


def test_rates_of_other_types_are_noted_once_they_are_drawn(tree):
    path = files(tree, "valve")[0]
    sf.write(path, np.zeros(4_000), 8_000)
    clips = read_training_clips(fans(tree), features=FEATURES)
    assert clips.notes == ()
    for _ in range(2):
        clips.gather(others_of(clips, "valve"))
    assert clips.notes[0].startswith(
        f"resampled from 8000 to 16000 Hz: 1 clip of other types, the first of them {path}"
    )


def test_a_network_trains_past_a_broken_clip_of_another_type(tree):
    from tiny_network import RECIPE

    broken = files(tree, "pump")[3]
    broken.write_bytes(b"RIFF")
    recipe = RECIPE.replace(
        features__sample_rate=16_000, training__stage1_epochs=1, training__stage2_epochs=2
    )
    with pytest.warns(
        OffkeyWarning, match=r"1 recording that cannot be read \(AudioError\), the first: .*pump"
    ):
        detector = offkey.Detector(recipe).fit(fans(tree), device="cpu")
    assert len(detector.unread) == 1
    assert f"left out of training: {detector.unread[0]}" in detector.notes
    assert not np.isnan(detector.score(fans(tree).test).anomaly_score).any()


def test_batches_go_on_past_a_broken_clip_and_warn_at_the_end_of_the_epoch(tree):
    files(tree, "pump")[3].write_bytes(b"RIFF")
    recipe = Recipe.named("small").replace(training__clip_seconds=0.3, training__pseudo_anomalies=40)
    loader = offkey.batch_loader(fans(tree), recipe=recipe)
    with pytest.warns(OffkeyWarning, match="1 recording that cannot be read"):
        batches = list(loader)
    assert all(len(batch.logmels) == recipe.training.batch_size + 40 for batch in batches)
    list(loader)  # once is enough


def test_clips_in_memory_need_no_features():
    clips = TrainingClips(inputs="audio", clips=[np.ones(9)], machine_ids=["0"], groups=["a"])
    assert clips.notes == clips.unread == ()
    np.testing.assert_array_equal(clips.gather(np.array([0, 0]))[1], np.ones(9, np.float32))


@pytest.mark.parametrize("cached", [False, True])
def test_recordings_that_are_too_long_are_left_out_of_the_target_and_of_other_types(tree, tmp_path, cached):
    fan, pump = files(tree, "fan")[3], files(tree, "pump")[4]
    for path in (fan, pump):
        sf.write(path, recording(np.random.default_rng(0), hum_hz=90, seconds=2.0), 16_000)
    options = {"features": FEATURES, "cache": tmp_path / "cache" if cached else None}
    whole = read_training_clips(fans(tree), **options)
    clips = read_training_clips(fans(tree), max_seconds=1.5, **options)
    assert (len(whole.clips), len(clips.clips)) == (10, 9)
    clips.gather(others_of(clips, "pump"))
    assert len(clips.unread) == 2
    for path, text in zip((fan, pump), clips.unread, strict=True):
        assert f"{path}: longer than 1.5 s" in text
    again = read_training_clips(fans(tree), **options)  # a cache for another bound does not answer
    again.gather(others_of(again, "pump"))
    assert again.unread == ()
    with pytest.raises(ParameterError, match="max_seconds"):
        read_training_clips(fans(tree), max_seconds=0, **options)
