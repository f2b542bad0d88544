"""Biases that change no output: what they are, and that the network is the same function without them."""

import msgspec
import torch

from offkey.models.network import Network
from offkey.models.network.net.multitask import Model

NETWORK = Network(subsampling_channels=4, blocks=2, dim=16, ffn_dim=24, heads=4, dropout=0.0)


def model(*, redundant_biases):
    torch.manual_seed(0)
    network = msgspec.structs.replace(NETWORK, redundant_biases=redundant_biases)
    return Model(network, n_mels=32, machine_ids=3, type_task=True, augmentation_classes=4)


def key_part(bias):
    return bias[16:32]


def test_leaving_them_out_changes_nothing_that_the_network_says():
    full, lean = model(redundant_biases=True), model(redundant_biases=False)
    with torch.no_grad():
        for parameter in full.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    weights, expected = full.state_dict(), lean.state_dict()
    values = {name: weights[name] for name in expected if name in weights}
    for block in range(2):
        bias = weights[f"encoder.blocks.{block}.attention.qkv.bias"]
        values[f"encoder.blocks.{block}.attention.query_bias"] = bias[:16]
        values[f"encoder.blocks.{block}.attention.value_bias"] = bias[32:]
    lean.load_state_dict(values)
    x = torch.randn(6, 32, 60)
    for said, again in zip(full(x), lean(x), strict=True):  # by the statistics of the batch
        torch.testing.assert_close(said, again, rtol=1e-3, atol=1e-3)


def test_they_are_all_that_have_no_gradient_but_rounding():
    redundant = model(redundant_biases=True)
    outputs = redundant(torch.randn(6, 32, 60))
    (outputs.embedding.square().sum() + outputs.type_logit.sum() + outputs.cosine.square().sum()).backward()
    gradients = {name: p.grad for name, p in redundant.named_parameters() if p.grad is not None}
    rounding = 1e-5 * max(gradient.abs().max() for gradient in gradients.values())
    for name, gradient in gradients.items():
        size = key_part(gradient) if name.endswith("qkv.bias") else gradient
        nothing = name.endswith(("depthwise.bias", "qkv.bias", "pooling.score.bias"))
        assert (size.abs().max() < rounding) == nothing, name


def test_without_them_there_are_fewer_parameters_by_their_number():
    counts = [sum(p.numel() for p in model(redundant_biases=flag).parameters()) for flag in (True, False)]
    assert (
        counts[0] - counts[1] == 2 * (16 + 16) + 16
    )  # keys and depthwise of two blocks; scores of the pooling
