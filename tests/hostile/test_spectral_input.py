"""Training sets that nobody would wish for: each gives a model and a note, or an error that says what to do."""

import numpy as np
import pytest
from spectral_clips import machine_clips, normal_statistics, take

from offkey.errors import ArrayError, DatasetError
from offkey.models.spectral.model import SpectralModel
from offkey.recipe import Recipe
from offkey.signal.logmel import LogMel
from offkey.signal.statistics import ClipStatistics

RECIPE = Recipe.named("spectral").replace(spectral__check_draws=2)


def fit(statistics, ids, groups, recipe=RECIPE):
    return SpectralModel.of_statistics(statistics, ids, groups, recipe=recipe, seed=0)


def finite(model, n_mels=24):
    clips = normal_statistics(np.random.default_rng(0), 3, n_mels=n_mels)
    return np.isfinite(model.scores(clips)["a_spectral"]).all()


@pytest.mark.parametrize("counts", [[0], [1], [3], [4], [1, 1, 1], [2, 1, 1]])
def test_too_few_clips_are_refused_with_the_number_needed(counts):
    statistics, ids, groups = machine_clips(0, counts)
    with pytest.raises(DatasetError, match=r"expected (at least \d+|some dozens)"):
        fit(statistics, ids, groups)


@pytest.mark.parametrize("counts", [[5], [6, 1], [4, 3], [2, 2, 2, 2, 2], [30, 1, 1, 1], [9, 9, 9]])
def test_few_clips_give_a_model(counts):
    statistics, ids, groups = machine_clips(0, counts, clips_in_group=1)
    model = fit(statistics, ids, groups)
    assert finite(model)
    assert np.isfinite(model.held_out.scores["a_spectral"]).all()
    assert set(model.held_out.machine_ids) <= set(ids)


def test_one_recording_only():
    statistics, ids, _ = machine_clips(0, [12, 12])
    model = fit(statistics, ids, ["the only one"] * 24)
    assert finite(model)
    assert any("00, 01: all clips come from one recording" in note for note in model.notes)


def test_copies_of_one_clip():
    statistics, ids, groups = machine_clips(0, [10])
    with pytest.raises(DatasetError, match="silent, or copies of one clip"):
        fit(take(statistics, np.zeros(10, dtype=int)), ids, groups)
    statistics, ids, groups = machine_clips(0, [10, 10])
    with pytest.raises(DatasetError, match="differ between machine IDs only"):
        fit(take(statistics, np.repeat([0, 10], 10)), ids, groups)


def test_silence_only():
    silent = LogMel(n_mels=32).statistics(np.zeros((10, 16_000), dtype=np.float32))
    with pytest.raises(DatasetError, match=r"no Mel bin varies .* are they all silent"):
        fit(silent, ["00"] * 10, [str(k) for k in range(10)])


def test_a_silent_clip_among_sounding_ones():
    clips = np.random.default_rng(0).standard_normal((20, 16_000)).astype(np.float32) * 0.1
    clips[7] = 0
    statistics = LogMel(n_mels=32).statistics(clips)
    model = fit(statistics, ["00"] * 20, [str(k) for k in range(20)])
    assert finite(model, n_mels=32)
    assert np.argmax(model.held_out.scores["a_spectral"]) == 7


def test_a_band_that_was_not_recorded_is_named():
    statistics, ids, groups = machine_clips(0, [20])
    statistics.mean[:, :3] = statistics.p5[:, :3] = -100
    statistics.lstd[:, :3] = statistics.ldstd[:, :3] = np.log(1e-3)
    model = fit(statistics, ids, groups)
    for name in ("mean", "p5", "ldstd"):
        assert any(f"Mel bins 0-2 of `{name}`" in note for note in model.notes)
    assert finite(model)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_refused_in_training_and_scoring(bad):
    statistics, ids, groups = machine_clips(0, [20])
    model = fit(statistics, ids, groups)
    statistics.p5[3, 9] = bad
    with pytest.raises(ArrayError, match=r"p5: clip 3, Mel bin 9"):
        fit(statistics, ids, groups)
    with pytest.raises(ArrayError, match=r"p5: clip 3, Mel bin 9"):
        model.scores(statistics)


def test_one_mel_bin():
    statistics, ids, groups = machine_clips(0, [20], n_mels=1)
    assert finite(fit(statistics, ids, groups), n_mels=1)


def test_an_outlier_in_training_is_seen_as_one():
    statistics, ids, groups = machine_clips(0, [40])
    statistics.mean[11] += np.linspace(0, 30, 24, dtype=np.float32)
    model = fit(statistics, ids, groups)
    assert np.argmax(model.held_out.scores["a_spectral"]) == 11


def test_values_near_the_end_of_float32():
    statistics, ids, groups = machine_clips(0, [20])
    huge = ClipStatistics(*(np.full((2, 24), 3e38, dtype=np.float32) for _ in range(4)))
    scores = fit(statistics, ids, groups).scores(huge)["a_spectral"]
    assert np.isfinite(scores).all()
    assert (scores > 100).all()


@pytest.mark.parametrize("ids", [["a\n"] * 20, ["é"] * 20, ["02", "10", "9", "00"] * 5])
def test_ids_are_any_strings(ids):
    statistics, _, groups = machine_clips(0, [20])
    model = fit(statistics, ids, groups)
    assert model.machine_ids == tuple(sorted(set(ids)))
