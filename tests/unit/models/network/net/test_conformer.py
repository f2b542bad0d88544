import pytest
import torch

from offkey.errors import ParameterError, RecipeError
from offkey.models.network import Network
from offkey.models.network.net.conformer import ConformerBlock, ConformerEncoder

TINY = Network(subsampling_channels=4, blocks=2, dim=16, ffn_dim=24, heads=4)


def encoder(n_mels=32, **changes):
    torch.manual_seed(0)
    fields = {name: getattr(TINY, name) for name in TINY.__struct_fields__}
    return ConformerEncoder(n_mels, Network(**{**fields, **changes}))


@pytest.mark.parametrize(
    ("subsampling", "frames"), [("conv4", 77), ("separable4", 77), ("conv2", 154), ("linear", 313)]
)
def test_frames_after_subsampling(subsampling, frames):
    made = encoder(subsampling=subsampling)(torch.randn(2, 313, 32))
    assert made.shape == (2, frames, 16)


@pytest.mark.parametrize("subsampling", ["conv4", "separable4", "conv2", "linear"])
def test_the_shortest_input_works_and_one_frame_less_does_not_where_it_convolves(subsampling):
    model = encoder(subsampling=subsampling)
    assert model(torch.randn(2, model.min_frames, 32)).shape[1] == 1
    if subsampling != "linear":
        with pytest.raises(RuntimeError, match="size"):
            model(torch.randn(2, model.min_frames - 1, 32))


def test_eval_is_deterministic_and_training_drops_out():
    model, x = encoder(), torch.randn(3, 40, 32)
    assert not torch.equal(model(x), model(x))
    model.eval()
    assert torch.equal(model(x), model(x))


def test_in_eval_mode_a_clip_does_not_depend_on_its_batch():
    model, x = encoder().eval(), torch.randn(3, 40, 32)
    torch.testing.assert_close(model(x)[1], model(x[1:2])[0])


def test_attention_ignores_the_order_of_frames_and_the_convolution_does_not():
    torch.manual_seed(0)
    block = ConformerBlock(16, heads=4, ffn_dim=24, kernel_size=5).eval()
    x = torch.randn(1, 20, 16)
    torch.testing.assert_close(block.attention(x.flip(1)), block.attention(x).flip(1))
    assert not torch.allclose(block(x.flip(1)), block(x).flip(1), atol=1e-3)


def test_a_block_equals_the_macaron_order_written_out():
    torch.manual_seed(0)
    block = ConformerBlock(16, heads=4, ffn_dim=24, kernel_size=5).eval()
    x = torch.randn(2, 9, 16)
    after = x + 0.5 * block.first_ffn(x)
    after = after + block.attention(after)
    after = after + block.convolution(after)
    after = after + 0.5 * block.second_ffn(after)
    expected = (after - after.mean(-1, keepdim=True)) / (
        after.var(-1, correction=0, keepdim=True) + 1e-5
    ).sqrt()
    torch.testing.assert_close(block(x), expected, atol=1e-5, rtol=1e-5)


def test_attention_equals_softmax_of_scaled_products():
    torch.manual_seed(0)
    attention = ConformerBlock(16, heads=4, ffn_dim=24, kernel_size=5).attention.eval()
    x = torch.randn(2, 9, 16)
    query, key, value = attention.qkv(attention.norm(x)).chunk(3, dim=-1)
    heads = []
    for h in range(4):
        part = slice(4 * h, 4 * h + 4)
        weights = torch.softmax(query[..., part] @ key[..., part].transpose(1, 2) / 2.0, dim=-1)
        heads.append(weights @ value[..., part])
    expected = attention.out(torch.cat(heads, dim=-1))
    torch.testing.assert_close(attention(x), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("changes", "n_mels", "message"),
    [
        ({"dim": 18}, 32, "multiple of heads"),
        ({"kernel_size": 4}, 32, "odd"),
        ({}, 6, "at least 7 Mel bins"),
    ],
)
def test_refuses_sizes_that_do_not_fit(changes, n_mels, message):
    with pytest.raises((ParameterError, RecipeError), match=message):
        encoder(n_mels, **changes)
