import pytest
import torch

from offkey.models.network import Network
from offkey.models.network.net.multitask import Model
from offkey.recipe import Recipe


def build(network, **options):
    torch.manual_seed(0)
    return Model(
        network,
        **{"n_mels": 128, "machine_ids": 7, "type_task": True, "augmentation_classes": 8, **options},
    )


@pytest.mark.parametrize(
    ("subsampling", "millions"), [("conv4", 1.89), ("linear", 1.25), ("separable4", 1.76), ("conv2", 2.38)]
)
def test_parameters_of_encoder_pooling_and_embedding(subsampling, millions):
    model = build(Network(subsampling=subsampling))
    heads = [model.id_head, model.type_head, model.augmentation_head]
    inside = sum(p.numel() for p in model.parameters()) - sum(
        p.numel() for h in heads for p in h.parameters()
    )
    assert round(inside / 1e6, 2) == millions


def test_the_recipe_paper_has_the_papers_sizes():
    network = Recipe.named("paper").network
    assert network == Network()
    assert (network.arcface_scale, network.arcface_margin_rad, network.embedding_dim) == (16.0, 1.28, 64)
    model = build(network)
    assert len(model.encoder.blocks) == 3
    assert model.encoder.blocks[0].convolution.depthwise.kernel_size == (15,)


def test_shapes_of_the_outputs():
    model = build(Recipe.named("small").network)
    made = model(torch.randn(3, 128, 50))
    assert made.embedding.shape == (3, 64)
    assert made.cosine.shape == (3, 7)
    assert made.type_logit.shape == (3,)
    assert made.augmentation_logits.shape == (3, 8)


def test_heads_without_a_task_are_not_there():
    model = build(Recipe.named("small").network, machine_ids=1, type_task=False, augmentation_classes=1)
    made = model(torch.randn(3, 128, 50))
    assert made.cosine is None
    assert made.type_logit is None
    assert made.augmentation_logits is None
    assert not any("head" in name for name in model.state_dict())


def test_normalisation_is_part_of_the_model():
    model, x = build(Recipe.named("small").network).eval(), torch.randn(2, 128, 50)
    expected = model(x).embedding
    mean, gain = torch.linspace(-60, -20, 128), torch.linspace(0.1, 0.3, 128)
    model.set_normalisation(mean, gain)
    torch.testing.assert_close(
        model(x / gain[:, None] + mean[:, None]).embedding, expected, atol=1e-4, rtol=1e-4
    )
    assert {"mean", "gain"} <= model.state_dict().keys()


def test_runs_under_autocast_with_heads_in_float32_where_it_matters():
    model, x = build(Recipe.named("small").network).eval(), torch.randn(2, 128, 50)
    expected = model(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        made = model(x)
    assert made.cosine.dtype == torch.float32
    torch.testing.assert_close(made.cosine, expected.cosine, atol=0.05, rtol=0)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_cuda_gives_what_the_cpu_gives():
    model, x = build(Network()).eval(), torch.randn(2, 128, 313)
    expected = model(x)
    made = model.cuda()(x.cuda())
    torch.testing.assert_close(made.embedding.cpu(), expected.embedding, atol=1e-3, rtol=1e-3)
