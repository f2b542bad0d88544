"""Recipes: plain data that cannot hold nonsense, whichever way it comes in."""

import copy
import pickle

import pytest

from offkey.errors import RecipeError
from offkey.models.network import Network
from offkey.models.spectral import Spectral
from offkey.recipe import Augmentation, Features, Recipe, Training, recipe_names

MODELS = "ae, forest, gmm, idcae, idnn, knn, lof, mimii_ae, near, network, pca, spectral, svm, vae"


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_comes_back_from_json(name):
    assert Recipe.from_json(Recipe.named(name).to_json()) == Recipe.named(name)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Training(batch_size=-3), "batch_size = -3"),
        (lambda: Training(learning_rate=0), "learning_rate = 0"),
        (lambda: Training(stage2_normals=0), "stage2_normals = 0"),
        (
            lambda: Training(batch_norm_others="separate", stage2_normals=1),
            "1 normal clips and 28 pseudo-anomalies",
        ),
        (lambda: Training(batch_norm_others="separate", pseudo_anomalies=1), "expected 2 or more of each"),
        (lambda: Training(keep="mean", mean_epochs=0), "mean_epochs = 0"),
        (lambda: Features(n_fft=1001), r"Features.n_fft = 1001: .*nearest: 1000, 1024$"),
        (lambda: Features(n_fft=131_072), r"Features.n_fft = 131072: .*nearest: 65536$"),
        (lambda: Features(win_length=1025), r"Features.win_length = 1025: expected at most n_fft = 1024"),
        (lambda: Features(win_length=0), r"Features.win_length = 0"),
        (lambda: Features(window="hanning"), r"Features.window = 'hanning'"),
        (lambda: Features(f_min_hz=9000), "f_min_hz = 9000"),
        (lambda: Features(f_max_hz=9000), "at most half of sample_rate"),
        (lambda: Features(mel_scale="mel"), "mel_scale = 'mel'"),
        (lambda: Network(kernel_size=4), "kernel_size = 4: expected an odd number"),
        (lambda: Network(dim=30), "multiple of heads"),
        (lambda: Network(arcface_margin_rad=3), "arcface_margin_rad = 3"),
        (lambda: Augmentation(mask_fraction=5), "mask_fraction = 5"),
        (lambda: Augmentation(stretch_rate=(2, 0.5)), "two ascending numbers"),
        (lambda: Augmentation(classes=("none", "none")), "each once"),
        (lambda: Spectral(ridge=0), "ridge = 0"),
        (
            lambda: Recipe(name="empty"),
            f"expected at least one model, given none; the models are {MODELS}",
        ),
        (
            lambda: Recipe.named("nameless"),
            "nameless.*expected one of paper, small, near, ensemble, spectral",
        ),
        (lambda: Recipe.named("small").replace(training__stage1_epochs=-1), "stage1_epochs"),
        (lambda: Recipe.named("small").replace(training__epochs=1), "unknown field `epochs`"),
        (lambda: Recipe.named("small").replace(training_stage__x=1), "no section 'training_stage'"),
        (lambda: Recipe.named("small").replace(scoring__combine="a_spectral"), "its models give only"),
        (lambda: Recipe.from_json("{"), "not valid JSON"),
        (
            lambda: Recipe.from_json('{"name": "x", "spectrl": {}}'),
            f"unknown field `spectrl`.*model: {MODELS}",
        ),
        (lambda: Recipe(name="x", spectrl=Spectral()), "unknown field `spectrl`"),
        (lambda: Recipe(name="x", spectral=Network()), r"spectral = Network\(.*; expected Spectral"),
        (lambda: Recipe.from_json("[1]"), "expected an object"),
        (lambda: Recipe.from_json('{"spectral": {}}'), "missing required field `name`"),
        (lambda: Recipe.from_json('{"name": "x", "spectral": {"tau": -1}}'), r"\$\.spectral\.tau"),
    ],
)
def test_nonsense_is_refused_by_name(make, words):
    with pytest.raises(RecipeError, match=words):
        make()


def test_replace_changes_what_is_named_and_nothing_else():
    changed = Recipe.named("paper").replace(name="mine", training__augmentation__snr_db=(0, 3))
    assert changed.training.augmentation.snr_db == (0.0, 3.0)
    back = changed.replace(name="paper", training__augmentation=Augmentation())
    assert back == Recipe.named("paper")


def test_what_decides_on_a_network_is_told_from_what_does_not():
    small = Recipe.named("small")
    same = small.replace(
        name="x", scoring__a_arc="prob", scoring__false_alarm_rate=0.5, scoring__covariance="oas"
    )
    assert same.of_training() == small.of_training()
    for change in (
        {"scoring__holdout_fraction": 0.3},
        {"scoring__combine": "select"},
        {"features__n_mels": 64},
        {"training__stage1_epochs": 1},
        {"network__kernel_size": 31},
    ):
        assert small.replace(**change).of_training() != small.of_training()


def test_a_recipe_is_a_value():
    small = Recipe.named("small")
    for again in (pickle.loads(pickle.dumps(small)), copy.deepcopy(small), small.replace()):
        assert again == small
        assert hash(again) == hash(small)
    assert small != small.replace(training__stage1_epochs=1)
    with pytest.raises(AttributeError, match="replace"):
        small.name = "large"
    with pytest.raises(AttributeError, match=f"no 'netwrk'; the models are {MODELS}"):
        _ = small.netwrk
    assert small.spectral is None
    assert small.replace(network=None, spectral={}).network is None


def test_models_that_a_file_leaves_empty_are_left_out():
    text = '{"name": "old", "network": null, "spectral": {}, "training": {}, "scoring": {"combine": "a_spectral"}}'
    assert Recipe.from_json(text) == Recipe.named("spectral").replace(name="old")
