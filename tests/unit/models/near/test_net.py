import pytest
import torch
from torch import nn

from offkey.models.near.net import ConformerPath, NearNet, StatisticsPath

SIZES = [6, 10]


@pytest.fixture
def deviations():
    torch.manual_seed(0)
    return torch.randn(32, sum(SIZES)) * torch.linspace(0.1, 2, 32)[:, None]


@pytest.mark.parametrize("conformer", [False, True])
def test_it_starts_as_the_sum_of_the_standardised_log_ratios(deviations, conformer):
    net = NearNet(SIZES, n_mels=8, kinds=3, ids=0, conformer=conformer)
    logarithms = [torch.log(part.square().sum(dim=1) + 1e-6) for part in deviations.split(SIZES, dim=1)]
    z = [(part - part.mean()) / part.std(correction=0) for part in logarithms]
    logit = net(deviations, torch.randn(32, 8, 20)).logit
    torch.testing.assert_close(logit, (z[0] + z[1]) / 2**0.5, atol=1e-3, rtol=1e-3)


def test_shapes_of_what_it_says(deviations):
    net = NearNet(SIZES, n_mels=8, kinds=3, ids=5, conformer=True)
    outputs = net(deviations, torch.randn(32, 8, 20))
    assert outputs.kinds.shape == (32, 3)
    assert outputs.cosines.shape == (32, 5)
    assert outputs.embedding.shape == (32, net.embedding_dim) == (32, 128)
    plain = NearNet(SIZES, n_mels=8, kinds=3, ids=5, conformer=False)
    assert plain(deviations, None).embedding.shape == (32, plain.embedding_dim) == (32, 64)
    assert plain(deviations, None).cosines is None


def test_every_weight_learns_from_the_second_step_on(deviations):
    net = NearNet(SIZES, n_mels=8, kinds=3, ids=5, conformer=True)
    nn.init.normal_(net.near.weight)  # 0 at first, behind which nothing learns
    outputs = net(deviations, torch.randn(32, 8, 20))
    (outputs.logit.sum() + outputs.kinds.square().sum() + outputs.cosines.square().sum()).backward()
    without = [
        name for name, weight in net.named_parameters() if weight.grad is None or not weight.grad.any()
    ]
    assert not [name for name in without if "bias" not in name]


def test_the_conformer_path_takes_clips_of_any_length_from_its_shortest_on():
    path = ConformerPath(8).eval()
    for frames in (path.min_frames, 10, 100):
        assert path(torch.randn(2, 8, frames)).isfinite().all()


def test_ratios_are_compared_with_their_means_in_training():
    path = StatisticsPath([3, 2])
    path.ratio_norm.running_mean.copy_(torch.tensor([1.0, -1.0]))
    deviations = torch.tensor([[1.0, 2.0, 2.0, 0.0, 1.0]])
    above = path.above_usual(deviations)
    torch.testing.assert_close(above, torch.tensor([[9.0, 1.0]]).log() - torch.tensor([[1.0, -1.0]]))
    assert not above.requires_grad
