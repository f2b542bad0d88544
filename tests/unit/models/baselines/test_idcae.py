import float64_layers as float64
import numpy as np
import pytest
import torch
from baseline_recipe import N_MELS, logmels, recipe_of, training_clips

from offkey import Recipe
from offkey.models import FitOptions
from offkey.models.baselines.idcae import Idcae, IdcaeModel, IdcaeNet

SETTINGS = Idcae(frames=5, encoder=(16, 12), code=3, decoder=(14,), alpha=0.6, constant=2.0)


def test_it_has_the_size_that_its_file_states():
    assert IdcaeModel.new_net(Recipe.named("idcae").idcae, n_mels=128, n_ids=7).numbers() == 377_808


def decoded(net, code, ids, *, training=False):
    scale = 1 / (1 + np.exp(-float64.values(net.scale.weight)[ids]))
    conditioned = scale * code + float64.values(net.shift.weight)[ids]
    return float64.through(net.decoder, conditioned, of_batch=training)


@pytest.mark.parametrize("n_ids", [1, 3])
def test_its_losses_and_its_errors_in_float64(n_ids):
    torch.manual_seed(0)
    net = IdcaeNet(SETTINGS, n_mels=N_MELS, n_ids=n_ids)
    float64.standardise(net)
    windows, ids = float64.windows(), np.arange(50) % n_ids
    given = float64.standardised(net, windows).reshape(50, -1)
    code = float64.through(net.encoder, given, of_batch=True)
    if n_ids == 1:
        own = np.abs(decoded(net, code, ids, training=True) - given).mean()
        expected = {"total": own, "own": own}
    else:
        torch.manual_seed(3)
        others = (ids + torch.randint_like(torch.from_numpy(ids), 1, n_ids).numpy()) % n_ids
        assert (others != ids).all()
        both = decoded(net, np.tile(code, (2, 1)), np.concatenate([ids, others]), training=True)
        own, other = np.abs(both[:50] - given).mean(), np.abs(both[50:] - 2.0).mean()
        expected = {"total": 0.6 * own + 0.4 * other, "own": own, "other": other}
    assert float64.losses(net, windows, ids) == pytest.approx(expected, rel=1e-4)
    code = float64.through(net.encoder, given)
    errors = [np.abs(decoded(net, code, np.full(50, i)) - given).mean(axis=1) for i in range(n_ids)]
    np.testing.assert_allclose(float64.errors(net, windows), np.stack(errors, axis=1), rtol=1e-4)


def test_a_clip_is_given_back_best_under_its_own_id():
    recipe = recipe_of("idcae").replace(idcae__epochs=20)
    model = IdcaeModel.fit(training_clips(), recipe=recipe, options=FitOptions())
    for own, other in ((0, 1), (1, 0)):
        scores = model.scores(logmels(8, seed=20 + own, level=own))["a_idcae"]
        assert (scores[:, own] < scores[:, other]).all()
