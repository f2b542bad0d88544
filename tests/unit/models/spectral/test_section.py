"""What recipe `spectral` asks to be measured."""

import pytest

from offkey.errors import RecipeError
from offkey.models.spectral import Spectral
from offkey.recipe import Features, Recipe


def test_the_second_edition_is_the_default():
    plan = Recipe.named("spectral").spectral.statistics_plan(Features())
    assert (plan.fine.n_mels, plan.fine.n_fft, plan.fine.hop_length) == (256, 2048, 512)
    assert plan.rhythm
    assert Recipe.from_json('{"name": "own", "spectral": {"tau": 0.02}}').spectral == Spectral(tau=0.02)


def test_the_finer_spectrogram_is_of_the_features_kind():
    features = Features(
        n_mels=64, n_fft=512, hop_length=256, f_min_hz=50.0, pad_mode="reflect", mel_scale="htk"
    )
    fine = Spectral(fine_resolution=4, fine_hop_length=300).statistics_plan(features).fine
    assert (fine.n_mels, fine.n_fft, fine.hop_length) == (256, 2048, 300)
    assert (fine.f_min_hz, fine.pad_mode, fine.mel_scale) == (50.0, "reflect", "htk")


def test_the_first_edition_measures_nothing_new():
    plan = Spectral.first_edition().statistics_plan(Features())
    assert plan.fine is None
    assert not plan.rhythm


def test_with_less_than_a_frame_a_second_there_is_no_rhythm():
    assert not Spectral().statistics_plan(Features(hop_length=16_001)).rhythm
    assert Spectral().statistics_plan(Features(hop_length=16_000)).rhythm


@pytest.mark.parametrize(
    "change",
    [
        {"spectral__fine_resolution": 3},
        {"spectral__fine_resolution": 0},
        {"spectral__fine_hop_length": 0},
        {"spectral__rhythm": 1},
        {"spectral__check_margin": -1.0},
    ],
)
def test_values_outside_their_range_are_refused(change):
    with pytest.raises(RecipeError, match=next(iter(change)).split("__")[1]):
        Recipe.named("spectral").replace(**change)
