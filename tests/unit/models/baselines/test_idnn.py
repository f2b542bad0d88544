import float64_layers as float64
import numpy as np
import pytest
import torch
from baseline_recipe import N_MELS

from offkey import Recipe
from offkey.errors import RecipeError
from offkey.models.baselines.idnn import Idnn, IdnnModel, IdnnNet


def test_it_has_the_size_that_its_file_states():
    recipe = Recipe.named("idnn")
    assert IdnnModel.new_net(recipe.idnn, n_mels=recipe.features.n_mels, n_ids=7).numbers() == 25_872


@pytest.mark.parametrize("variational", [False, True])
def test_its_losses_and_its_errors_in_float64(variational):
    torch.manual_seed(0)
    settings = Idnn(hidden=(16, 12), code=3, variational=variational, divergence_weight=0.7, batch_norm=True)
    net = IdnnNet(settings, n_mels=N_MELS)
    float64.standardise(net)
    windows = float64.windows()
    given = float64.standardised(net, windows)
    outer, middle = given[:, [0, 1, 3, 4]].reshape(50, -1), given[:, 2]

    def parts(*, training):
        code, divergence = float64.through(net.encoder, outer, of_batch=training), np.zeros(50)
        if variational:
            mean, spread = (float64.linear(layer, code) for layer in (net.code.mean, net.code.log_variance))
            divergence = float64.divergence(mean, spread)
            code = mean + np.exp(spread / 2) * float64.draw(mean.shape) if training else mean
        return (
            np.square(float64.through(net.decoder, code, of_batch=training) - middle).mean(axis=1),
            divergence,
        )

    error, divergence = parts(training=True)
    expected = {"total": error.mean(), "error": error.mean()}
    if variational:
        bound = error / 2 + 0.7 * divergence / N_MELS
        expected = {"total": bound.mean(), "error": error.mean(), "divergence": divergence.mean()}
    assert float64.losses(net, windows) == pytest.approx(expected, rel=1e-4)
    np.testing.assert_allclose(float64.errors(net, windows), parts(training=False)[0], rtol=1e-4)


def test_the_middle_frame_alone_counts():
    torch.manual_seed(0)
    net = IdnnNet(Idnn(), n_mels=N_MELS)
    windows = float64.windows()
    usual = float64.errors(net, windows)
    windows[:, 2] += 30
    assert (float64.errors(net, windows) != usual).all()
    with pytest.raises(RecipeError, match="frames = 4: expected an odd number"):
        Idnn(frames=4)
