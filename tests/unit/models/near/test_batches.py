import numpy as np
import pytest
from near_recipe import FRAMES, N_MELS, RECIPE, training_clips

from offkey.errors import ArrayError, DatasetError
from offkey.models.near import Near
from offkey.models.near.batches import Batches, deviation_sets
from offkey.models.near.clips import NormalClips
from offkey.models.near.gate import plan

SETTINGS = Near(batch_size=8, gate="rich")


def normal_clips(clips=None, **options):
    options = {"seed": 0, "num_threads": 1} | options
    return NormalClips(training_clips() if clips is None else clips, RECIPE, **options)


def plan_of(clips, settings=SETTINGS):
    return plan(settings, clips.features["T"], clips.ids, clips.weights)


def batches_of(clips, rows=None, settings=SETTINGS, **options):
    options = {"seed": 0, "number": 0, "num_threads": 1} | options
    trained = np.isin(np.arange(len(clips)), np.arange(len(clips)) if rows is None else rows)
    return Batches(clips, trained, plan_of(clips, settings), settings, **options)


def test_a_step_has_normal_clips_and_a_near_anomaly_of_each():
    clips = normal_clips()
    batches = batches_of(clips)
    batch = batches.step(0)
    assert batch.deviations.shape == (16, sum(batches.final.sizes))
    assert batch.dynamics.shape[:2] == (16, N_MELS)
    assert 0.6 * FRAMES <= batch.dynamics.shape[2] <= FRAMES
    assert batch.ids.shape == batch.kinds.shape == (8,)
    assert set(batch.kinds) <= set(range(len(plan_of(clips).kinds)))
    assert not np.isclose(batch.deviations[:8], batch.deviations[8:]).all(axis=1).any()


def test_the_same_step_has_the_same_bytes_whatever_the_threads_and_the_steps_before():
    clips, again = normal_clips(), normal_clips(num_threads=3)
    first, second = batches_of(clips), batches_of(again, num_threads=3)
    for step in (0, 1):
        first.step(step)
    for one, other in zip(first.step(2), second.step(2), strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("change", [{"seed": 1}, {"number": 1}])
def test_seeds_and_networks_have_steps_of_their_own(change):
    clips = normal_clips()
    assert not np.array_equal(batches_of(clips).step(0).ids, batches_of(clips, **change).step(0).ids)


def test_only_the_clips_of_the_network_are_drawn(monkeypatch):
    clips = normal_clips()
    drawn = set()
    monkeypatch.setattr(
        clips, "logmels", lambda rows, real=clips.logmels: drawn.update(rows.tolist()) or real(rows)
    )
    batches = batches_of(clips, np.arange(3, 20))
    for step in range(20):
        batches.step(step)
    assert drawn == set(range(3, 20))


def test_a_clip_is_measured_by_a_fit_without_it():
    clips = normal_clips()
    whole = Near(batch_size=16, crop=(1.0, 1.0), gate="static")
    batches = batches_of(clips, settings=whole)
    lengths = np.square(np.concatenate([batches.step(i).deviations[:16] for i in range(4)])).sum(axis=1)
    seen = deviation_sets(clips, np.arange(len(clips)), plan_of(clips, whole), whole)
    assert np.median(lengths) > 2 * np.median(np.square(seen.own(clips.features, clips.ids)).sum(axis=1))


def test_log_mels_that_do_not_fit_into_memory_are_made_again(monkeypatch):
    everything = batches_of(normal_clips()).step(0)
    monkeypatch.setattr("offkey.models.network.batches._KEPT_BYTES", 5000)
    clips = normal_clips()
    assert np.array_equal(batches_of(clips).step(0).deviations, everything.deviations)


def test_too_few_clips_are_refused_with_how_many_it_takes():
    with pytest.raises(DatasetError, match=r"9 normal training clips of 2 machine ID.*expected at least 10"):
        normal_clips(training_clips({"00": 5, "02": 4}))


def test_a_clip_with_a_value_that_is_not_finite_is_named():
    clips = training_clips()
    clips.clips[3][0, 0] = np.nan
    with pytest.raises(ArrayError, match="clip 3"):
        normal_clips(clips)
