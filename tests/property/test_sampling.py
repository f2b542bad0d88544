import collections
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offkey.errors import ArrayError
from offkey.models.network.sampling import BalancedSampler, by_label, derived_seed, epoch_steps, holdout

sizes = st.lists(st.integers(1, 9), min_size=1, max_size=9)


def sampler(class_sizes, per_step=28, seed=0):
    bounds = np.cumsum([0, *class_sizes])
    classes = {str(i): np.arange(bounds[i], bounds[i + 1]) for i in range(len(class_sizes))}
    return BalancedSampler(classes, per_step=per_step, seed=seed), classes


@settings(deadline=None)
@given(sizes, st.integers(1, 40), st.integers(0, 1000), st.integers(1, 30))
def test_any_run_of_steps_is_balanced_over_classes(class_sizes, per_step, first, steps):
    drawer, classes = sampler(class_sizes, per_step)
    counts = dict.fromkeys(classes, 0)
    for step in range(first, first + steps):
        drawn = drawer.draw(step)
        assert drawn.shape == (per_step,)
        inside = {name: int(np.isin(drawn, clips).sum()) for name, clips in classes.items()}
        assert max(inside.values()) - min(inside.values()) <= 1
        assert sum(inside.values()) == per_step
        counts = {name: counts[name] + inside[name] for name in counts}
    assert max(counts.values()) - min(counts.values()) <= 1


@settings(deadline=None)
@given(sizes, st.integers(1, 40), st.integers(1, 30), st.integers(0, 2**63))
def test_each_class_cycles_through_all_its_clips_before_any_comes_again(class_sizes, per_step, steps, seed):
    drawer, classes = sampler(class_sizes, per_step, seed)
    drawn = np.concatenate([drawer.draw(step) for step in range(steps)])
    for clips in classes.values():
        own = drawn[np.isin(drawn, clips)]
        for start in range(0, len(own) - len(clips) + 1, len(clips)):
            assert sorted(own[start : start + len(clips)].tolist()) == clips.tolist()


@settings(deadline=None)
@given(sizes, st.integers(1, 40), st.lists(st.integers(0, 200), min_size=1, max_size=8), st.integers(0, 99))
def test_a_step_does_not_depend_on_what_was_drawn_before(class_sizes, per_step, steps, seed):
    used, _ = sampler(class_sizes, per_step, seed)
    for step in steps:
        fresh, _ = sampler(class_sizes, per_step, seed)
        np.testing.assert_array_equal(used.draw(step), fresh.draw(step))


def test_the_papers_batch_has_four_or_seven_ids_equally_often():
    for ids in (4, 7):
        drawer, classes = sampler([100] * ids)
        for step in range(5):
            assert {int(np.isin(drawer.draw(step), clips).sum()) for clips in classes.values()} == {28 // ids}


def test_another_seed_draws_otherwise():
    assert not np.array_equal(sampler([50, 50])[0].draw(0), sampler([50, 50], seed=1)[0].draw(0))


def test_refuses_to_draw_from_nothing():
    with pytest.raises(ArrayError, match="none of"):
        BalancedSampler({"a": np.arange(3), "b": np.arange(0)}, per_step=4, seed=0)
    with pytest.raises(ArrayError, match="none of"):
        BalancedSampler({}, per_step=4, seed=0)


@settings(deadline=None)
@given(sizes, sizes, st.integers(0, 20))
def test_occurrences_count_within_an_epoch(own, foreign, epoch):
    normals, _ = sampler(own)
    others, _ = sampler(foreign)
    steps = math.ceil(sum(own) / 28)
    made = list(epoch_steps(normals, others, epoch=epoch, steps=steps))
    assert len(made) == steps
    assert all(len(step.clips) == 56 for step in made)
    seen = collections.Counter()
    for step in made:
        for clip, occurrence in zip(step.clips.tolist(), step.occurrences.tolist(), strict=True):
            assert occurrence == seen[clip]
            seen[clip] += 1


recordings = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("rstuv")), min_size=1, max_size=60)


@settings(deadline=None)
@given(recordings, st.floats(0.01, 0.99), st.integers(0, 30), st.integers(0, 2**32))
def test_holdout_splits_no_recording_and_leaves_something_of_every_label(clips, fraction, least, seed):
    labels, groups = [c[0] for c in clips], [c[0] + c[1] for c in clips]
    train, held_out = holdout(labels, groups, fraction=fraction, least=least, seed=seed)
    assert sorted([*train.tolist(), *held_out.tolist()]) == list(range(len(clips)))
    assert not {groups[i] for i in train} & {groups[i] for i in held_out}
    for label in set(labels):
        own = [i for i in range(len(clips)) if labels[i] == label]
        out = set(own) & set(held_out.tolist())
        assert len(out) < len(own)
        smallest = min(collections.Counter(groups[i] for i in own).values())
        if len({groups[i] for i in own}) > 1:
            wanted = max(1, math.floor(fraction * len(own) + 0.5), min(least, len(own) // 3))
            assert 1 <= len(out) <= max(smallest, wanted)
        else:
            assert not out


@settings(deadline=None)
@given(recordings, st.floats(0.01, 0.99), st.integers(0, 30), st.integers(0, 2**32))
def test_a_recording_of_several_labels_is_held_out_of_all_of_them(clips, fraction, least, seed):
    labels, groups = zip(*clips, strict=True)  # a recording of the same name under each label
    train, held_out = holdout(labels, groups, fraction=fraction, least=least, seed=seed)
    assert sorted([*train.tolist(), *held_out.tolist()]) == list(range(len(clips)))
    assert not {groups[i] for i in train} & {groups[i] for i in held_out}
    assert {labels[i] for i in train} == set(labels)


@pytest.mark.parametrize(("fraction", "expected"), [(0.0, 0), (0.1, 6), (0.2, 12)])
def test_holdout_keeps_the_wanted_part_where_each_clip_is_a_recording(fraction, expected):
    labels = ["00"] * 60 + ["02"] * 60
    _, held_out = holdout(labels, [str(i) for i in range(120)], fraction=fraction, seed=3)
    assert [int((held_out < 60).sum()), int((held_out >= 60).sum())] == [expected, expected]


@pytest.mark.parametrize(("clips", "expected"), [(12, 4), (60, 20), (200, 20), (600, 60)])
def test_holdout_keeps_enough_to_calibrate_on_but_no_more_than_a_third(clips, expected):
    groups = [str(i) for i in range(clips)]
    assert len(holdout(["00"] * clips, groups, fraction=0.1, least=20, seed=3)[1]) == expected
    assert not len(holdout(["00"] * clips, groups, fraction=0.0, least=20, seed=3)[1])


@settings(deadline=None)
@given(st.integers(0, 2**63), st.lists(st.integers(0, 2**40), max_size=4))
def test_derived_seeds_are_repeatable_and_fit_torch(seed, key):
    assert derived_seed(seed, *key) == derived_seed(seed, *key)
    assert 0 <= derived_seed(seed, *key) < 2**63
    assert derived_seed(seed, *key, 1) != derived_seed(seed, *key, 2)


def test_by_label_sorts_labels_and_keeps_the_order_of_clips():
    made = by_label(["b", "a", "b", "a"], np.array([3, 2, 0]))
    assert {name: clips.tolist() for name, clips in made.items()} == {"a": [3], "b": [2, 0]}
    assert list(made) == ["a", "b"]
