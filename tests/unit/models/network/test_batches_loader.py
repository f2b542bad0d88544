import dataclasses
import itertools
from collections import Counter

import numpy as np
import pytest
import torch
from machines import write_tree
from tiny_network import RECIPE, audio_clips

from offkey.errors import OffkeyWarning, ParameterError, RecipeError
from offkey.models.network.batches import AudioSource, BatchLoader
from offkey.models.network.stages import NO_ID, Batch


def same(first, second):
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_is_an_iterable_of_epochs_for_loops_of_ones_own():
    loader = BatchLoader(audio_clips(), RECIPE, seed=1)
    assert len(loader) == 2  # 24 of 30 normals are trained with, 12 a batch
    first = list(loader)
    assert len(first) == 2
    for batch in first:
        assert batch.logmels.shape == (20, 16, 32)
        assert batch.logmels.dtype == torch.float32
        assert (batch.ids[12:] == NO_ID).all()
        assert sorted(batch.ids[:12].tolist()) == [0] * 4 + [1] * 4 + [2] * 4
        assert batch.augmentations.max() < len(loader.augmentations)
    assert all(map(same, first, list(loader)))  # the epoch stays until it is set
    loader.set_epoch(1)
    assert not any(itertools.starmap(same, itertools.product(first, list(loader))))


def test_fewer_normals_beside_pseudo_anomalies_are_more_steps_and_leave_stage_1_alone():
    clips, halved = audio_clips(), RECIPE.replace(training__stage2_normals=6, training__pseudo_anomalies=6)
    joined = BatchLoader(clips, halved, seed=1)
    assert len(joined) == 4  # 21 normals, 6 a batch
    batches = list(joined)
    for batch in batches:
        assert sorted(batch.ids.tolist()) == [NO_ID] * 6 + [0, 0, 1, 1, 2, 2]
        assert (batch.ids[6:] == NO_ID).all()
    alone = [BatchLoader(clips, recipe, seed=1, pseudo_anomalies=False) for recipe in (halved, RECIPE)]
    assert all(itertools.starmap(same, zip(*alone, strict=True)))
    assert len(alone[0]) == 2


def test_an_epoch_goes_once_through_the_normals_of_each_id_in_either_stage():
    recipe = RECIPE.replace(training__stage2_normals=6)
    loader = BatchLoader(audio_clips(), recipe, seed=1)
    for pseudo_anomalies, per_step in ((False, 12), (True, 6)):
        steps = loader.steps(pseudo_anomalies=pseudo_anomalies)
        drawn = np.concatenate([loader._normals[pseudo_anomalies].draw(step) for step in range(steps)])
        assert 0 <= len(drawn) - len(loader.split.train) < per_step
        assert set(drawn) == set(loader.split.train)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_the_batches_do_not_depend_on_the_number_of_threads(threads):
    clips = audio_clips(seconds=0.6)
    loaders = [BatchLoader(clips, RECIPE, seed=4, num_threads=n) for n in (None, threads)]
    assert all(itertools.starmap(same, zip(*loaders, strict=True)))


def test_processes_share_a_batch_evenly(monkeypatch):
    clips = audio_clips()
    whole = list(BatchLoader(clips, RECIPE, seed=2))
    shares = []
    for rank in range(4):
        for name, value in {"RANK": rank, "WORLD_SIZE": 4, "LOCAL_WORLD_SIZE": 4}.items():
            monkeypatch.setenv(name, str(value))
        monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
        shares.append(list(BatchLoader(clips, RECIPE, seed=2)))
    for step, batch in enumerate(whole):
        for rank in range(4):
            assert same(shares[rank][step], Batch(*(column[rank::4] for column in batch)))
            assert (shares[rank][step].ids != NO_ID).sum() == 3


def test_leaving_in_the_middle_stops_its_thread():
    import threading

    for _ in BatchLoader(audio_clips(), RECIPE):
        break
    assert not [t for t in threading.enumerate() if t.name == "offkey-batches"]


def test_pseudo_anomalies_that_are_not_there():
    clips = audio_clips(others=())
    with pytest.raises(ParameterError, match="no clips of other machine types"):
        BatchLoader(clips, RECIPE)
    (batch, *_) = BatchLoader(clips, RECIPE, pseudo_anomalies=False)
    assert batch.logmels.shape == (12, 16, 32)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_pinned_memory():
    for batch in BatchLoader(audio_clips(), RECIPE, pin_memory=True):
        assert all(tensor.is_pinned() for tensor in batch)


def test_a_loader_of_a_dataset(tmp_path):
    import offkey

    data = offkey.datasets.dcase2020(write_tree(tmp_path / "data"), machine="fan")
    recipe = offkey.Recipe.named("small").replace(training__clip_seconds=1.0, training__batch_size=8)
    loader = offkey.batch_loader(data, recipe=recipe, cache=tmp_path / "cache")
    assert loader.machine_ids == ("00", "02")
    assert [batch.logmels.shape for batch in loader] == [(36, 128, 32)] * 3


def test_a_loader_says_what_it_leaves_out_and_what_it_cannot_make(tmp_path):
    import offkey

    tree = write_tree(tmp_path / "data")
    (tree / "fan" / "train" / "normal_id_00_00000001.wav").write_bytes(b"RIFF")
    data = offkey.datasets.dcase2020(tree, machine="fan")
    with pytest.warns(OffkeyWarning, match="left out of training"):
        offkey.batch_loader(data, recipe=offkey.Recipe.named("small"))
    with pytest.raises(RecipeError, match="no network to make batches for"):
        offkey.batch_loader(data, recipe=offkey.Recipe.named("spectral"))
    with pytest.raises(ParameterError, match="seed = -1"):
        offkey.batch_loader(data, seed=-1)


def test_ids_and_foreign_types_of_unequal_size_are_drawn_equally_often(monkeypatch):
    """IDs of 16, 16 and 7 clips of which some are held out; other types of 2, 6 and 16."""
    clips = audio_clips(others=(500.0, 700.0, 1100.0), per_id=16)
    normals = [*range(16), *range(16, 32), *range(32, 39)]
    others = [*range(2), *range(16, 22), *range(32, 48)]
    unequal = dataclasses.replace(
        clips,
        **{name: [getattr(clips, name)[i] for i in normals] for name in ("clips", "machine_ids", "groups")},
        **{
            name: [getattr(clips, name)[i] for i in others]
            for name in ("others", "other_types", "other_groups")
        },
    )
    positions = []
    augmented = AudioSource.augmented

    def recorded(self, indices, *arguments, **options):
        positions.append(indices)
        return augmented(self, indices, *arguments, **options)

    monkeypatch.setattr(AudioSource, "augmented", recorded)
    loader = BatchLoader(unequal, RECIPE.replace(training__pseudo_anomalies=9), seed=0)
    held_out = {unequal.machine_ids[i] for i in loader.split.held_out.tolist()}
    assert held_out == {"00", "02", "04"}
    for epoch in range(4):
        loader.set_epoch(epoch)
        for batch in loader:
            assert np.bincount(batch.ids[:12]).tolist() == [4, 4, 4]
    drawn = np.concatenate(positions)
    assert not set(drawn.tolist()) & set(loader.split.held_out.tolist())
    foreign = [unequal.other_types[i - len(normals)] for i in drawn.tolist() if i >= len(normals)]
    assert len(foreign) == 9 * len(positions)
    assert set(Counter(foreign).values()) == {3 * len(positions)}
