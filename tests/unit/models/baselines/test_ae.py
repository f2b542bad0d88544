"""The auto-encoder: its size, its loss, and what an implementation of scikit-learn makes of the same frames."""

import warnings

import float64_layers as float64
import numpy as np
import pytest
import torch
from baseline_recipe import N_MELS, logmels, recipe_of, training_clips
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor

from offkey import Recipe
from offkey.metrics import auc
from offkey.models import FitOptions
from offkey.models.baselines.ae import AeModel, AeNet
from offkey.models.baselines.mimii_ae import MimiiAeModel
from offkey.models.baselines.windows import windows_of
from offkey.signal.logmel import LogMel


@pytest.mark.parametrize(("batch_norm", "numbers"), [(True, 269_992), (False, 265_864)])
def test_it_has_the_published_size(batch_norm, numbers):
    recipe = Recipe.named("ae").replace(ae__batch_norm=batch_norm)
    net = AeModel.new_net(recipe.ae, n_mels=recipe.features.n_mels, n_ids=7)
    assert net.numbers() == numbers


def test_its_features_are_those_of_the_baseline():
    assert LogMel.from_recipe(Recipe.named("ae").features) == LogMel.dcase_baseline()


def test_its_loss_and_its_error_in_float64():
    torch.manual_seed(0)
    net = AeNet(hidden=(16, 12), bottleneck=3, batch_norm=True, frames=5, n_mels=N_MELS)
    float64.standardise(net)
    windows = float64.windows()
    given = float64.standardised(net, windows).reshape(50, -1)
    expected = np.square(float64.through(net.layers, given, of_batch=True) - given).mean()
    assert float64.losses(net, windows)["total"] == pytest.approx(expected, rel=1e-4)
    expected = np.square(float64.through(net.layers, given) - given).mean(axis=1)
    np.testing.assert_allclose(float64.errors(net, windows), expected, rtol=1e-4)


def faulty(clips):
    """The clips with a hum that is not theirs in a few bins."""
    odd = clips.copy()
    odd[:, 5:7] += 2.5
    return odd


def test_without_batch_norm_it_ranks_as_scikit_learn_s_does():
    clips = training_clips({"00": 40})
    epochs = 15
    recipe = recipe_of("ae").replace(
        ae__batch_norm=False,
        ae__hidden=(32,),
        ae__bottleneck=4,
        ae__epochs=epochs,
        ae__normalisation="standard",
        scoring__holdout_fraction=0.0,
    )
    tests = np.concatenate([logmels(60, seed=5), faulty(logmels(60, seed=6))])
    labels = np.repeat([0, 1], 60)
    ours, theirs = [], []
    frames = np.concatenate([windows_of(clip, 5) for clip in clips.clips])
    mean, deviation = (getattr(np.concatenate(clips.clips, axis=1), n)(axis=1) for n in ("mean", "std"))

    def vectors(windows):
        return ((windows - mean) / deviation).reshape(len(windows), -1)

    for seed in range(3):
        model = AeModel.fit(clips, recipe=recipe, options=FitOptions(seed=seed))
        ours.append(auc(labels, model.scores(tests)["a_ae"][:, 0]))
        mlp = MLPRegressor(
            hidden_layer_sizes=(32, 4, 32), alpha=0.0, batch_size=64, max_iter=epochs, tol=0.0, n_iter_no_change=epochs,
            random_state=seed,
        )  # fmt: skip
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            mlp.fit(vectors(frames), vectors(frames))
        windows = [vectors(windows_of(clip, 5)) for clip in tests]
        theirs.append(auc(labels, [np.square(mlp.predict(w) - w).mean() for w in windows]))
    assert 0.6 < np.mean(theirs) < 0.99  # otherwise they would agree for nothing
    assert abs(np.mean(ours) - np.mean(theirs)) < 0.02


def test_that_of_mimii_s_authors_is_smaller_and_of_each_id():
    recipe = Recipe.named("mimii_ae")
    net = MimiiAeModel.new_net(recipe.mimii_ae, n_mels=recipe.features.n_mels, n_ids=1)
    assert net.numbers() == 50_760
    assert recipe.mimii_ae.network_of == "id"
