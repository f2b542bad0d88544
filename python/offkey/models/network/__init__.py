"""The paper's network: a conformer trained to tell machine IDs, machine types and augmentations apart.

Importing this package needs no torch; its modules do.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated, Literal

import msgspec

from offkey.errors import RecipeError
from offkey.models.base import register
from offkey.recipe import Fraction, Positive, PositiveFloat, Section

__all__ = ["Network"]

if "torch" not in sys.modules:
    # Threads of torch that wait for each other spin, by default: where cores are shared with other programs, they take
    # the time that the slowest needs, and a training takes 2 to 6 times as long (docs/training.md). The library that
    # runs them reads this once, when torch is loaded; a value that the user has set stands.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


class Network(Section, frozen=True):
    """The conformer encoder and its heads (Zhang et al. 2023, section 2)."""

    subsampling: Literal["conv4", "separable4", "conv2", "linear"] = "conv4"
    """`conv4`: two 3x3 stride-2 convolutions; `separable4`: the second one depthwise and pointwise."""
    subsampling_channels: Positive = 128
    blocks: Positive = 3
    dim: Positive = 128
    heads: Positive = 4
    ffn_dim: Positive = 512
    kernel_size: Positive = 15
    dropout: Fraction = 0.1
    attention_dropout: Fraction = 0.0
    pooling_channels: Positive = 128
    embedding_dim: Positive = 64
    arcface_scale: PositiveFloat = 16.0
    arcface_margin_rad: Annotated[float, msgspec.Meta(ge=0, le=1.5707963267948966)] = 1.28
    normalisation: Literal["standard", "none"] = "standard"
    """`standard`: per-Mel-bin mean and deviation over the type's training clips."""
    redundant_biases: bool = True
    """Whether there are biases that change no output and so have no gradient but rounding: of a convolution before
    BatchNorm, of the keys of the attention, of scores before a softmax. Adam lets them walk at random."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kernel_size % 2 == 0:
            raise RecipeError(f"Network.kernel_size = {self.kernel_size}: expected an odd number")
        if self.dim % self.heads:
            raise RecipeError(f"Network.dim = {self.dim}: expected a multiple of heads = {self.heads}")


register(
    "network",
    section=Network,
    score_names=("a_out", "a_arc", "a_maha"),
    inputs="logmels",
    model="offkey.models.network.model:NetworkModel",
    others=True,
    trained=True,
)
