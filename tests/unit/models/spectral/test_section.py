"""What recipe `spectral` asks to be measured."""

import pytest

from offkey.errors import RecipeError
from offkey.models.spectral import MOST_SPECTRA, Spectral, Spectrum
from offkey.recipe import Features, Recipe


def test_the_second_edition_is_the_default():
    plan = Recipe.named("spectral").spectral.statistics_plan(Features())
    assert [(fine.n_mels, fine.n_fft, fine.hop_length) for fine in plan.fine] == [(256, 4096, 1024)]
    assert plan.rhythm
    assert Recipe.from_json('{"name": "own", "spectral": {"tau": 0.02}}').spectral == Spectral(tau=0.02)


def test_finer_spectrograms_are_of_the_features_kind():
    features = Features(
        n_mels=64, n_fft=512, hop_length=256, f_min_hz=50.0, pad_mode="reflect", mel_scale="htk"
    )
    spectra = (Spectrum(n_fft=4, hop_length=2, n_mels=3), Spectrum(n_mels=2))
    fine = Spectral(spectra=spectra).statistics_plan(features).fine
    assert [(one.n_mels, one.n_fft, one.hop_length) for one in fine] == [(192, 2048, 512), (128, 512, 256)]
    for one in fine:
        assert (one.f_min_hz, one.pad_mode, one.mel_scale) == (50.0, "reflect", "htk")
    features = Features(n_mels=64, n_fft=480, win_length=400, window="hamming")
    (one,) = Spectral(spectra=(Spectrum(n_fft=2),)).statistics_plan(features).fine
    assert (one.n_fft, one.win_length, one.window) == (960, 800, "hamming")


def test_the_first_edition_measures_nothing_new():
    plan = Spectral.first_edition().statistics_plan(Features())
    assert plan.fine == ()
    assert not plan.rhythm


def test_with_less_than_a_frame_a_second_there_is_no_rhythm():
    assert not Spectral().statistics_plan(Features(hop_length=16_001)).rhythm
    assert Spectral().statistics_plan(Features(hop_length=16_000)).rhythm


def test_spectra_survive_json():
    recipe = Recipe.named("spectral").replace(spectral__spectra=[{"n_fft": 2, "weight": 0.5}])
    assert Recipe.from_json(recipe.to_json()).spectral.spectra == (Spectrum(n_fft=2, weight=0.5),)


@pytest.mark.parametrize(
    "change",
    [
        {"spectral__spectra": [{"n_fft": 3}]},
        {"spectral__spectra": [{"hop_length": 0}]},
        {"spectral__spectra": [{"n_mels": 1.5}]},
        {"spectral__spectra": [{"weight": 0.0}]},
        {"spectral__spectra": [{"hop": 2}]},
        {"spectral__spectra": [{}] * (MOST_SPECTRA + 1)},
        {"spectral__spectra": {"n_fft": 2}},
        {"spectral__rhythm": 1},
        {"spectral__check_margin": -1.0},
    ],
)
def test_values_outside_their_range_are_refused(change):
    with pytest.raises(RecipeError, match=next(iter(change)).split("__")[1]):
        Recipe.named("spectral").replace(**change)
