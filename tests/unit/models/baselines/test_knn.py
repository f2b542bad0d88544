"""Nearest neighbours: what a vector is, calibration without a clip's own recording, updates."""

import numpy as np
import pytest
from baseline_recipe import N_MELS, logmels, recipe_of, training_clips

from offkey import Detector
from offkey.datasets import LogMelArrays
from offkey.errors import ArrayError, DatasetError, RecipeError
from offkey.models import FitOptions, LearnedClips
from offkey.models.baselines.knn import KnnModel
from offkey.signal.statistics import clip_statistics

RECIPE = recipe_of("knn")


def fit(clips=None, **changes):
    recipe = RECIPE.replace(**{f"knn__{key}": value for key, value in changes.items()})
    return KnnModel.fit(training_clips() if clips is None else clips, recipe=recipe, options=FitOptions())


def scores(model, clips):
    return model.scores(clip_statistics(clips))["a_knn"]


def features(clips, pooling):
    """What a clip is compared by, in float64."""
    exact = np.asarray(clips, dtype=np.float64)
    parts = [exact.mean(axis=2), exact.std(axis=2)]
    return np.concatenate(parts[: 1 + (pooling == "mean_deviation")], axis=1)


@pytest.mark.parametrize("pooling", ["mean", "mean_deviation"])
@pytest.mark.parametrize("standardised", [False, True])
@pytest.mark.parametrize("bands", [1, 3])
def test_scores_and_calibration_are_those_of_a_restatement_in_float64(pooling, standardised, bands):
    clips, new = training_clips(), logmels(5, seed=9)
    model = fit(clips, pooling=pooling, standardised=standardised, bands=bands, neighbours=2)
    train, test = features(clips.clips, pooling), features(new, pooling)
    if standardised:
        mean, deviation = train.mean(axis=0), train.std(axis=0)
        train, test = (train - mean) / deviation, (test - mean) / deviation
    split = np.array_split(np.arange(N_MELS), bands)
    columns = [np.concatenate([s, s + N_MELS]) if pooling != "mean" else s for s in split]

    def nearest(clip, others):
        return np.mean([np.sort(np.linalg.norm(others[:, c] - clip[c], axis=1))[:2].mean() for c in columns])

    ids = np.array(clips.machine_ids)
    expected = [[nearest(clip, train[ids == name]) for name in ("00", "02")] for clip in test]
    np.testing.assert_allclose(scores(model, new), expected, rtol=1e-4)
    left_out = [
        nearest(clip, train[(ids == ids[i]) & (np.arange(len(ids)) != i)]) for i, clip in enumerate(train)
    ]
    np.testing.assert_allclose(model.held_out.scores["a_knn"], left_out, rtol=1e-4)
    assert model.held_out.kind == "out_of_fold"
    assert model.held_out.indices.tolist() == list(range(24))


def test_clips_of_one_recording_leave_together():
    clips = training_clips()
    copies = training_clips(groups=[str(i // 2) for i in range(24)])
    copies.clips[1::2] = copies.clips[::2]  # of which each has a copy in its own recording
    assert (fit(copies).held_out.scores["a_knn"] > 0.3 * fit(clips).held_out.scores["a_knn"].min()).all()


def test_the_seed_does_not_matter():
    first, second = (
        KnnModel.fit(training_clips(), recipe=RECIPE, options=FitOptions(seed=seed)).state()
        for seed in (0, 1)
    )
    assert all(np.array_equal(first[0][name], second[0][name]) for name in first[0])


def test_an_id_of_one_recording_or_one_clip_is_said():
    clips = training_clips({"00": 12, "02": 4, "04": 1}, groups=[*map(str, range(12)), *"aaaa", "b"])
    model = fit(clips)
    assert "ID 02: all clips come from one recording" in model.notes[0]
    assert "ID 04: one clip only" in model.notes[1]
    assert set(model.held_out.machine_ids) == {"00", "02"}
    assert np.isfinite(model.held_out.against_all["a_knn"]).all()


def test_what_cannot_be_learned_is_refused():
    copies = training_clips()
    copies.clips[:] = [copies.clips[0]] * 24
    with pytest.raises(DatasetError, match="none differs from the others"):
        fit(copies)
    with pytest.raises(RecipeError, match="bands = 17; expected at most as many as Mel bins, 16"):
        fit(bands=17)
    data = LogMelArrays(logmels=logmels(1), machine_ids=("00",))
    with pytest.raises(DatasetError, match="none differs"):
        Detector(RECIPE).fit(data)


def test_other_clips_are_refused_by_name():
    model = fit()
    with pytest.raises(ArrayError, match="20 values each; expected 16"):
        scores(model, np.zeros((2, 20, 9), np.float32))
    with pytest.raises(ArrayError, match="Mel bin 3 is nan"):
        statistics = clip_statistics(logmels(2))
        statistics.mean[1, 3] = np.nan
        model.scores(statistics)
    with pytest.raises(ArrayError, match="given none"):
        model.scores(clip_statistics(logmels(2)).take([]))


def test_an_update_gives_what_a_fit_to_all_clips_would_have_given():
    first, further = training_clips(), training_clips({"00": 5, "02": 3}, seed=50)
    ids = [*first.machine_ids, *further.machine_ids]
    every = training_clips({"00": 17, "02": 15})
    every.clips[:], every.machine_ids[:] = [*first.clips, *further.clips], ids
    record = LearnedClips(
        machine_ids=tuple(first.machine_ids),
        groups=np.arange(24),
        indices=np.arange(0),
        statistics=first.statistics().take([]),
    )
    updated = fit(first).updated(further, recipe=RECIPE, learned=record)
    whole = fit(every)
    assert np.array_equal(updated.held_out.scores["a_knn"], whole.held_out.scores["a_knn"])
    new = logmels(4, seed=8)
    assert np.array_equal(scores(updated, new), scores(whole, new))
    assert updated.parameters == whole.parameters == 32 * N_MELS


def test_a_detector_is_updated_and_gives_its_vectors():
    clips = training_clips()
    data = LogMelArrays(logmels=np.stack(clips.clips), machine_ids=tuple(clips.machine_ids))
    more = LogMelArrays(logmels=logmels(6, seed=40), machine_ids=("00",) * 6)
    detector = Detector(RECIPE).fit(data)
    updated = detector.update(more, force=True)
    assert updated.describe()["calibration_clips"] == {"00": 18, "02": 12}
    vectors = updated.embeddings(more)
    np.testing.assert_allclose(vectors, more.logmels.mean(axis=2), rtol=1e-5)
