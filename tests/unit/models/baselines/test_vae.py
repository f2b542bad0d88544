import float64_layers as float64
import numpy as np
import pytest
import torch
from baseline_recipe import N_MELS

from offkey import Recipe
from offkey.models.baselines.vae import Vae, VaeModel, VaeNet


def test_it_has_the_size_that_its_file_states():
    assert VaeModel.new_net(Recipe.named("vae").vae, n_mels=128, n_ids=7).numbers() == 270_992


@pytest.mark.parametrize("score", ["error", "bound"])
def test_its_losses_and_its_errors_in_float64(score):
    torch.manual_seed(0)
    net = VaeNet(Vae(hidden=(16, 12), code=3, divergence_weight=0.7, score=score), n_mels=N_MELS)
    float64.standardise(net)
    windows = float64.windows()
    given = float64.standardised(net, windows).reshape(50, -1)

    def parts(*, training):
        hidden = float64.through(net.encoder, given, of_batch=training)
        mean, log_variance = (
            float64.linear(layer, hidden) for layer in (net.code.mean, net.code.log_variance)
        )
        code = mean + np.exp(log_variance / 2) * float64.draw(mean.shape) if training else mean
        error = np.square(float64.through(net.decoder, code, of_batch=training) - given).mean(axis=1)
        return error, float64.divergence(mean, log_variance)

    error, divergence = parts(training=True)
    expected = {
        "total": (error / 2 + 0.7 * divergence / 80).mean(),
        "error": error.mean(),
        "divergence": divergence.mean(),
    }
    assert float64.losses(net, windows) == pytest.approx(expected, rel=1e-4)
    error, divergence = parts(training=False)
    expected = error if score == "error" else error / 2 + 0.7 * divergence / 80
    np.testing.assert_allclose(float64.errors(net, windows), expected, rtol=1e-4)
