import numpy as np
import pytest
from near_recipe import N_MELS, RECIPE, logmels

import offkey
from offkey.errors import DatasetError
from offkey.models.near.features import FEATURES, ClipFeatures, set_size, varying_features

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
    together = extract.of(clips, FEATURES)
    for row, clip in enumerate(clips):
        alone = extract.of(clip[None], FEATURES)
        assert all(np.array_equal(together[name][row], alone[name][0]) for name in FEATURES)


def test_the_rhythm_is_that_of_spectral():
    clips = logmels(2)
    expected = offkey.rhythm(clips, frame_rate_hz=RATE_HZ)
    assert np.array_equal(ClipFeatures(RECIPE.features).of(clips, ["T"])["T"], expected)


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_clips_too_short_for_a_rhythm_have_finite_features(frames):
    sets = ClipFeatures(RECIPE.features).of(logmels(2)[:, :, :frames], FEATURES)
    assert all(np.isfinite(values).all() for values in sets.values())


@pytest.mark.parametrize("name", FEATURES)
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
