import numpy as np
import pytest
from near_recipe import FRAMES, N_MELS, RECIPE, logmels

import offkey
from offkey.errors import DatasetError
from offkey.models.near.features import FEATURE_SETS, ClipFeatures, rhythm_of, set_size, varying_features

RATE_HZ = 62.5


def test_feature_sets_are_the_statistics_side_by_side():
    clips = logmels(3)
    statistics = offkey.clip_statistics(clips)
    sets = ClipFeatures(RECIPE.features).of(list(clips), ["A", "P"])
    assert list(sets) == ["A", "P"]
    assert np.array_equal(sets["A"], np.concatenate([statistics.mean, statistics.ldstd], axis=1))
    assert np.array_equal(sets["P"], statistics.p5)


def test_clips_of_several_lengths_have_the_features_that_each_has_alone():
    clips = [logmels(1)[0], logmels(1, seed=1)[0][:, :20]]
    extract = ClipFeatures(RECIPE.features)
    together = extract.of(clips, tuple(FEATURE_SETS))
    for row, clip in enumerate(clips):
        alone = extract.of(clip[None], tuple(FEATURE_SETS))
        assert all(np.array_equal(together[name][row], alone[name][0]) for name in FEATURE_SETS)


def test_the_rhythm_is_the_mean_power_of_changes_between_two_rates():
    clip = logmels(1)[0]
    band = clip[4:8].astype(np.float64).mean(axis=0)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FRAMES) / (FRAMES - 1))
    lines = np.arange(FRAMES // 2 + 1)
    waves = np.exp(-2j * np.pi * lines[:, None] * np.arange(FRAMES) / FRAMES)
    power = np.abs(waves @ ((band - band.mean()) * window)) ** 2 / FRAMES
    hz = lines * RATE_HZ / FRAMES
    edges = 0.4 * (RATE_HZ / 2 / 0.4) ** (np.arange(5) / 4)
    highest = power[(hz >= edges[3]) & (hz < edges[4])].mean()
    rhythm = rhythm_of(clip[None], frame_rate_hz=RATE_HZ)
    assert rhythm.shape == (1, set_size("T", n_mels=N_MELS)) == (1, N_MELS)
    assert rhythm[0, 3 * (N_MELS // 4) + 1] == pytest.approx(np.log(highest + 1e-6), abs=1e-5)


def test_a_band_that_rises_and_falls_stands_out_at_its_rate():
    still, moving = (rhythm_of(logmels(20, hz=hz), frame_rate_hz=RATE_HZ).mean(axis=0) for hz in (None, 6.0))
    gained = (moving - still).reshape(4, N_MELS // 4)
    assert gained[:, N_MELS // 8 :].max() > 2
    assert np.unravel_index(gained.argmax(), gained.shape)[0] == 2  # between 3.5 and 10.5 Hz
    assert abs(gained[:, : N_MELS // 8]).max() < 0.5


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_clips_too_short_for_a_rhythm_have_finite_features(frames):
    sets = ClipFeatures(RECIPE.features).of(logmels(2)[:, :, :frames], tuple(FEATURE_SETS))
    assert all(np.isfinite(values).all() for values in sets.values())


@pytest.mark.parametrize("name", FEATURE_SETS)
def test_a_set_has_the_size_that_it_states(name):
    assert ClipFeatures(RECIPE.features).of(logmels(2), [name])[name].shape[1] == set_size(
        name, n_mels=N_MELS
    )


def test_features_that_vary_in_no_clip_are_refused():
    features = np.ones((5, 3))
    with pytest.raises(DatasetError, match="P \\(p5\\): no Mel bin varies over the 5 training clips"):
        varying_features(features, feature_set="P")
    features[0, 1] = 2
    assert varying_features(features, feature_set="P").tolist() == [False, True, False]
