"""The whole network: normalisation, encoder, pooling, embedding and the three heads."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from offkey.models.network import Network
from offkey.models.network.net.arcface import ArcFace
from offkey.models.network.net.batch_norm import BatchNorm
from offkey.models.network.net.conformer import ConformerEncoder
from offkey.models.network.net.pooling import AttentiveStatisticsPooling

__all__ = ["Model", "Outputs"]


class Outputs(NamedTuple):
    """What the network says of a batch; None for a head that the model does not have."""

    embedding: Tensor
    """``(clips, embedding_dim)`` before any normalisation."""
    cosine: Tensor | None
    """``(clips, IDs)`` cosines to the centres of the machine IDs."""
    type_logit: Tensor | None
    """``(clips,)`` logit of "is of the target type"."""
    augmentation_logits: Tensor | None
    """``(clips, augmentation classes)``."""


class Model(nn.Module):
    """Log-Mels in dB to an embedding and the outputs of the heads (Zhang et al. 2023, section 2).

    Parameters
    ----------
    network : recipe.Network
        Sizes and options.
    n_mels : int
        Number of Mel bins.
    machine_ids : int
        Number of machine IDs to tell apart; fewer than 2: no ID head.
    type_task : bool
        Whether there is a head for "target type or not".
    augmentation_classes : int
        Number of augmentation classes; fewer than 2: no augmentation head.

    Raises
    ------
    ParameterError
        If a size does not fit another.
    """

    mean: Tensor
    gain: Tensor

    def __init__(
        self,
        network: Network,
        *,
        n_mels: int,
        machine_ids: int,
        type_task: bool,
        augmentation_classes: int,
    ) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_mels))
        self.register_buffer("gain", torch.ones(n_mels))
        self.encoder = ConformerEncoder(n_mels, network)
        self.pooling = AttentiveStatisticsPooling(
            network.dim, network.pooling_channels, score_bias=network.redundant_biases
        )
        self.norm = BatchNorm(2 * network.dim)
        self.embedding = nn.Linear(2 * network.dim, network.embedding_dim)
        self.id_head: ArcFace | None = None
        if machine_ids > 1:
            self.id_head = ArcFace(
                network.embedding_dim,
                machine_ids,
                scale=network.arcface_scale,
                margin_rad=network.arcface_margin_rad,
            )
        self.type_head = nn.Linear(network.embedding_dim, 1) if type_task else None
        self.augmentation_head: nn.Linear | None = None
        if augmentation_classes > 1:
            self.augmentation_head = nn.Linear(network.embedding_dim, augmentation_classes)

    @property
    def min_frames(self) -> int:
        """The shortest input, in frames."""
        return self.encoder.min_frames

    @property
    def augmentation_classes(self) -> int:
        """How many augmentation classes are told apart; 0 without that head."""
        return 0 if self.augmentation_head is None else self.augmentation_head.out_features

    def set_normalisation(self, mean: Tensor, gain: Tensor) -> None:
        """Set what is subtracted from each Mel bin, then multiplied: ``(n_mels,)`` each, dB and 1 / dB."""
        self.mean.copy_(mean)
        self.gain.copy_(gain)

    def embed(self, logmels: Tensor) -> Tensor:
        """Return the embeddings ``(clips, embedding_dim)`` of log-Mels ``(clips, n_mels, frames)`` in dB."""
        x = (logmels.transpose(1, 2) - self.mean) * self.gain
        pooled = self.pooling(self.encoder(x))
        with torch.autocast(pooled.device.type, enabled=False):  # a cosine needs more than bfloat16's 8 bits
            return self.embedding(self.norm(pooled))  # type: ignore[no-any-return]

    def forward(self, logmels: Tensor) -> Outputs:
        """Return embedding and heads for log-Mels ``(clips, n_mels, frames)`` in dB."""
        embedding = self.embed(logmels)
        with torch.autocast(embedding.device.type, enabled=False):
            return Outputs(
                embedding=embedding,
                cosine=None if self.id_head is None else self.id_head(embedding),
                type_logit=None if self.type_head is None else self.type_head(embedding).squeeze(1),
                augmentation_logits=None
                if self.augmentation_head is None
                else self.augmentation_head(embedding),
            )
