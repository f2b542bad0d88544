"""Recipe `mimii_ae`: the auto-encoder of MIMII's authors.

H. Purohit et al., "MIMII dataset: sound dataset for malfunctioning industrial machine investigation and inspection",
2019, section 4: 5 frames of 64 Mels are one vector of 320; dense layers of 64, 64, 8, 64, 64 with ReLU, and a linear
one back to 320; trained on the mean squared error with Adam, 50 epochs, 512 vectors a step; a clip's score is its mean
error. One network for each machine ID. 50,760 numbers each.

Left open or done otherwise: the learning rate, here Adam's usual 0.001; padding and floor of the log-Mels, here those
of the same authors' DCASE 2020 baseline; clips that are held out for calibration, as for every network of offkey.
Whether the row "AE" of Zhang et al. (2023), which they take from Sha et al. (2022), is this network is not said there.
"""

from __future__ import annotations

from typing import Literal

from offkey.models.base import register
from offkey.models.baselines.ae import DCASE_FEATURES, Ae, AeModel
from offkey.recipe import Positive

__all__ = ["MimiiAe", "MimiiAeModel"]


class MimiiAe(Ae, frozen=True):
    """The auto-encoder of MIMII's authors (docs/baselines.md)."""

    hidden: tuple[Positive, ...] = (64, 64)
    batch_norm: bool = False
    epochs: Positive = 50
    network_of: Literal["type", "id"] = "id"


class MimiiAeModel(AeModel):
    """The auto-encoder as a model of normal sound."""

    section = "mimii_ae"


register(
    "mimii_ae",
    section=MimiiAe,
    score_names=("a_mimii_ae",),
    inputs="logmels",
    model=MimiiAeModel,
    trained=True,
    recipe={"features": {**DCASE_FEATURES, "n_mels": 64}},
)
