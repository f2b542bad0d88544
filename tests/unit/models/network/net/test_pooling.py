import numpy as np
import pytest
import torch

from offkey.models.network.net.pooling import AttentiveStatisticsPooling


def restated(x, pooling):
    """Attentive statistics of one clip (frames, dim) in float64, written out."""
    weights = {name: value.double().numpy() for name, value in pooling.state_dict().items()}
    context = np.concatenate([x.mean(axis=0), x.std(axis=0)])
    joined = np.concatenate([x, np.tile(context, (len(x), 1))], axis=1)
    first = np.concatenate([weights["frame.weight"], weights["context.weight"]], axis=1)
    hidden = np.tanh(joined @ first.T + weights["frame.bias"])
    score = hidden @ weights["score.weight"].T + weights["score.bias"]
    attention = np.exp(score - score.max(axis=0))
    attention /= attention.sum(axis=0)
    mean = (attention * x).sum(axis=0)
    return np.concatenate([mean, np.sqrt((attention * (x - mean) ** 2).sum(axis=0))])


def test_equals_a_float64_restatement():
    torch.manual_seed(1)
    pooling = AttentiveStatisticsPooling(6, 5)
    x = 3.0 * torch.randn(4, 11, 6) + 1.0
    expected = np.stack([restated(clip.double().numpy(), pooling) for clip in x])
    np.testing.assert_allclose(pooling(x).detach().numpy(), expected, rtol=1e-5, atol=1e-5)


def test_has_the_parameters_of_one_layer_over_frame_and_context():
    pooling = AttentiveStatisticsPooling(128, 128)
    assert sum(p.numel() for p in pooling.parameters()) == (3 * 128 * 128 + 128) + (128 * 128 + 128)


def test_the_order_of_frames_does_not_matter():
    torch.manual_seed(2)
    pooling = AttentiveStatisticsPooling(6, 5)
    x = torch.randn(2, 9, 6)
    torch.testing.assert_close(pooling(x.flip(1)), pooling(x))


@pytest.mark.parametrize("x", [torch.randn(2, 1, 6), torch.zeros(2, 9, 6)], ids=["one frame", "constant"])
def test_the_gradient_is_finite_without_any_deviation(x):
    x = x.clone().requires_grad_()
    AttentiveStatisticsPooling(6, 5)(x).sum().backward()
    assert torch.isfinite(x.grad).all()
