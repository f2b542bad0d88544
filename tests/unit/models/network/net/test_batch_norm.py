import pytest
import torch
from torch import nn

from offkey.models.network import Network
from offkey.models.network.net.batch_norm import BatchNorm, estimate_anew, separate
from offkey.models.network.net.multitask import Model

SHAPES = [(9, 6), (9, 6, 11)]


def moments(x):
    """Mean and variance without bias of each channel."""
    axes = (0,) if x.ndim == 2 else (0, 2)
    return x.mean(axes), x.var(axes, unbiased=True)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_whole_batch_is_normalised_as_torch_does(shape):
    ours, theirs, x = BatchNorm(6), nn.BatchNorm1d(6), 3 + 2 * torch.randn(shape)
    assert torch.equal(ours(x), theirs(x))
    assert all(torch.equal(ours.state_dict()[name], value) for name, value in theirs.state_dict().items())


@pytest.mark.parametrize("shape", SHAPES)
def test_apart_each_kind_has_its_own_statistics_and_normals_those_that_stay(shape):
    norm, x = BatchNorm(6), torch.randn(shape)
    x[5:] = 40 + 7 * x[5:]  # the others are louder
    separate(norm, 5)
    y = norm(x)
    for part in (y[:5], y[5:]):
        mean, variance = moments(part)
        torch.testing.assert_close(mean, torch.zeros(6), atol=1e-5, rtol=0)
        size = part.numel() / 6
        torch.testing.assert_close(variance * (size - 1) / size, torch.ones(6), atol=1e-3, rtol=0)
    mean, variance = moments(x[:5])
    torch.testing.assert_close(norm.running_mean, 0.1 * mean)
    torch.testing.assert_close(norm.running_var, 0.9 + 0.1 * variance)
    assert norm.num_batches_tracked == 1
    separate(norm, None)
    assert moments(norm(x)[:5])[0].abs().max() > 0.5


def test_scoring_knows_no_parts():
    norm, x = BatchNorm(6), torch.randn(9, 6)
    expected = norm.eval()(x)
    separate(norm, 5)
    assert torch.equal(norm(x), expected)


def tiny_model():
    torch.manual_seed(2)
    network = Network(
        subsampling="linear", blocks=1, dim=16, heads=2, ffn_dim=16, embedding_dim=8, dropout=0.5
    )
    return Model(network, n_mels=8, machine_ids=2, type_task=True, augmentation_classes=2)


def test_statistics_estimated_anew_are_those_of_the_batches():
    model, batches = tiny_model(), [torch.randn(4, 8, 20), 2 + torch.randn(6, 8, 20)]
    for _ in range(3):  # of something else
        model(50 * torch.randn(9, 8, 20))
    separate(model, 2)
    weights = {name: value.clone() for name, value in model.named_parameters()}
    seen = []
    convolution = model.encoder.blocks[0].convolution
    hook = convolution.batch_norm.register_forward_pre_hook(lambda _, x: seen.append(x[0].detach()))
    estimate_anew(model, batches)
    hook.remove()
    parts = [moments(x) for x in seen]
    for i, running in enumerate((convolution.batch_norm.running_mean, convolution.batch_norm.running_var)):
        torch.testing.assert_close(running, 0.4 * parts[0][i] + 0.6 * parts[1][i], rtol=1e-4, atol=1e-5)
    assert not model.training
    assert not any(module.training for module in model.modules())
    assert all(torch.equal(value, weights[name]) for name, value in model.named_parameters())
    assert convolution.batch_norm.momentum == nn.BatchNorm1d(1).momentum
    again = {name: value.clone() for name, value in model.state_dict().items()}
    estimate_anew(model, batches)  # no dropout is drawn, so that the same clips give the same
    torch.testing.assert_close(model.norm.running_mean, again["norm.running_mean"])


def test_without_a_batch_the_statistics_stay():
    model = tiny_model()
    model(torch.randn(9, 8, 20))
    before = model.norm.running_mean.clone()
    estimate_anew(model, [])
    assert torch.equal(model.norm.running_mean, before)
