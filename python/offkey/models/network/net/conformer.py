"""A conformer encoder for log-Mel spectrograms (Gulati et al. 2020), without positional encoding."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from offkey.errors import ParameterError
from offkey.models.network import Network
from offkey.models.network.net.batch_norm import BatchNorm

__all__ = ["ConformerBlock", "ConformerEncoder", "LinearInput", "Subsampling"]

_KERNEL = 3
_STRIDES = {"conv4": (2, 2), "separable4": (2, 2), "conv2": (2, 1)}


class FeedForward(nn.Sequential):
    """LayerNorm, linear, swish, dropout, linear, dropout."""

    def __init__(self, dim: int, hidden: int, dropout: float) -> None:
        super().__init__(
            nn.LayerNorm(dim),
            nn.Linear(dim, hidden),
            nn.SiLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, dim),
            nn.Dropout(dropout),
        )


class SelfAttention(nn.Module):
    """Pre-norm multi-head self-attention over all frames; nothing tells it the order of the frames.

    Without `key_bias` only queries and values have one: that of the keys adds the same to all scores of a query.
    """

    def __init__(
        self, dim: int, heads: int, dropout: float, attention_dropout: float, *, key_bias: bool = True
    ) -> None:
        super().__init__()
        self.heads = heads
        self._key_bias = key_bias
        self.attention_dropout = attention_dropout
        self.norm = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim, bias=key_bias)
        if not key_bias:
            self.query_bias, self.value_bias = (nn.Parameter(torch.zeros(dim)) for _ in range(2))
        self.out = nn.Linear(dim, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(clips, frames, dim)`` from the same shape."""
        clips, frames, dim = x.shape
        qkv = functional.linear(self.norm(x), self.qkv.weight, self._bias())
        qkv = qkv.view(clips, frames, 3, self.heads, dim // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        dropout = self.attention_dropout if self.training else 0.0
        attended = functional.scaled_dot_product_attention(query, key, value, dropout_p=dropout)
        return self.dropout(self.out(attended.transpose(1, 2).reshape(clips, frames, dim)))  # type: ignore[no-any-return]

    def _bias(self) -> Tensor:
        """Return the bias of queries, keys and values, ``(3 * dim,)``."""
        if self._key_bias:
            return self.qkv.bias
        return torch.cat([self.query_bias, torch.zeros_like(self.query_bias), self.value_bias])


class ConvolutionModule(nn.Module):
    """LayerNorm, pointwise, GLU, depthwise over time, BatchNorm, swish, pointwise, dropout."""

    def __init__(self, dim: int, kernel_size: int, dropout: float, *, depthwise_bias: bool = True) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.expand = nn.Linear(dim, 2 * dim)
        self.depthwise = nn.Conv1d(
            dim, dim, kernel_size, padding=kernel_size // 2, groups=dim, bias=depthwise_bias
        )
        self.batch_norm = BatchNorm(dim)
        self.project = nn.Linear(dim, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(clips, frames, dim)`` from the same shape."""
        x = functional.glu(self.expand(self.norm(x)), dim=-1).transpose(1, 2)
        x = functional.silu(self.batch_norm(self.depthwise(x))).transpose(1, 2)
        return self.dropout(self.project(x))  # type: ignore[no-any-return]


class ConformerBlock(nn.Module):
    """Half a feed-forward, self-attention, convolution, half a feed-forward, LayerNorm."""

    def __init__(
        self,
        dim: int,
        *,
        heads: int,
        ffn_dim: int,
        kernel_size: int,
        dropout: float = 0.1,
        attention_dropout: float = 0.0,
        redundant_biases: bool = True,
    ) -> None:
        super().__init__()
        self.first_ffn = FeedForward(dim, ffn_dim, dropout)
        self.attention = SelfAttention(dim, heads, dropout, attention_dropout, key_bias=redundant_biases)
        self.convolution = ConvolutionModule(dim, kernel_size, dropout, depthwise_bias=redundant_biases)
        self.second_ffn = FeedForward(dim, ffn_dim, dropout)
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(clips, frames, dim)`` from the same shape."""
        x = x + 0.5 * self.first_ffn(x)
        x = x + self.attention(x)
        x = x + self.convolution(x)
        x = x + 0.5 * self.second_ffn(x)
        return self.norm(x)  # type: ignore[no-any-return]


class LinearInput(nn.Linear):
    """One linear layer on each frame's Mel bins; as many frames out as in."""

    min_frames = 1


class Subsampling(nn.Module):
    """Two 3 x 3 convolutions without padding, then a linear layer over what is left of the bins.

    `conv4`: both of stride 2, so a quarter of the frames. `separable4`: the same, the second convolution
    depthwise and pointwise. `conv2`: the second of stride 1, so half of the frames.
    """

    min_frames = 7  # fewer leave nothing after two convolutions of width 3, the first of stride 2

    def __init__(self, kind: str, *, n_mels: int, channels: int, dim: int) -> None:
        super().__init__()
        first, second = _STRIDES[kind]
        bins = _convolved(_convolved(n_mels, first), second)
        if bins < 1:
            raise ParameterError(
                f"n_mels: given {n_mels}; subsampling {kind!r} needs at least {self.min_frames} Mel bins: "
                "take more bins, or subsampling 'linear'"
            )
        layers: list[nn.Module] = [nn.Conv2d(1, channels, _KERNEL, first), nn.ReLU()]
        if kind == "separable4":
            layers += [
                nn.Conv2d(channels, channels, _KERNEL, second, groups=channels),
                nn.Conv2d(channels, channels, 1),
            ]
        else:
            layers.append(nn.Conv2d(channels, channels, _KERNEL, second))
        # On a CPU the convolutions take half the time so, and the flattening below is free.
        self.convolutions = nn.Sequential(*layers, nn.ReLU()).to(memory_format=torch.channels_last)
        self.linear = nn.Linear(channels * bins, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(clips, fewer frames, dim)`` from ``(clips, frames, n_mels)``."""
        image = x.unsqueeze(1).contiguous(memory_format=torch.channels_last)
        return self.linear(self.convolutions(image).permute(0, 2, 3, 1).flatten(2))  # type: ignore[no-any-return]


class ConformerEncoder(nn.Module):
    """Log-Mel spectrograms to a sequence of vectors (Zhang et al. 2023, section 2.1).

    Parameters
    ----------
    n_mels : int
        Number of Mel bins of the input.
    network : recipe.Network
        Sizes and options.

    Raises
    ------
    ParameterError
        If `n_mels` is too small for the subsampling.
    """

    def __init__(self, n_mels: int, network: Network) -> None:
        super().__init__()
        self.input: Subsampling | LinearInput
        if network.subsampling == "linear":
            self.input = LinearInput(n_mels, network.dim)
        else:
            self.input = Subsampling(
                network.subsampling, n_mels=n_mels, channels=network.subsampling_channels, dim=network.dim
            )
        self.blocks = nn.Sequential(
            *(
                ConformerBlock(
                    network.dim,
                    heads=network.heads,
                    ffn_dim=network.ffn_dim,
                    kernel_size=network.kernel_size,
                    dropout=network.dropout,
                    attention_dropout=network.attention_dropout,
                    redundant_biases=network.redundant_biases,
                )
                for _ in range(network.blocks)
            )
        )

    @property
    def min_frames(self) -> int:
        """The shortest input, in frames."""
        return self.input.min_frames

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(clips, frames after subsampling, dim)`` from ``(clips, frames, n_mels)``."""
        return self.blocks(self.input(x))  # type: ignore[no-any-return]


def _convolved(size: int, stride: int) -> int:
    return (size - _KERNEL) // stride + 1
