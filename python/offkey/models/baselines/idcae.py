"""Recipe `idcae`: an auto-encoder that is told the machine ID.

S. Kapka, "ID-conditioned auto-encoder for unsupervised anomaly detection", 2020, and P. Daniluk et al. (2020), who
entered it in DCASE 2020. A code of a window is scaled and shifted by what belongs to an ID; with the window's own ID
the decoder is to give the window back, with another one a constant. A clip of another machine, or a fault that sounds
like one, is then badly given back. The loss is alpha times the error under the own ID plus (1 - alpha) times that
under another, drawn at random; the score the error under the ID that a clip is compared with. 377,808 numbers with 7
IDs.

Left open or done otherwise: Table 3 of Zhang et al. (2023) counts 2 million numbers, without saying of which layers;
here windows of 10 frames of 128 Mels, standardised, layers of 128, 64, 32 to a code of 16, three of 128 back, with
BatchNorm and ReLU, alpha 0.75, the constant 5, mean absolute errors as in the class-conditioned auto-encoder that it
follows (P. Oza and V. Patel, 2019), Adam at 0.001, 100 epochs. With a single ID there is no other, and the loss is the
first part.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
import torch
from torch import Tensor, nn

from offkey.models.base import register
from offkey.models.baselines.ae import DCASE_FEATURES
from offkey.models.baselines.window_model import WindowModel, WindowSection
from offkey.models.baselines.window_net import WindowNet, dense, glorot
from offkey.recipe import Positive

__all__ = ["Idcae", "IdcaeModel", "IdcaeNet"]


class Idcae(WindowSection, frozen=True):
    """The auto-encoder that is told the machine ID (docs/baselines.md)."""

    frames: Positive = 10
    encoder: tuple[Positive, ...] = (128, 64, 32)
    code: Positive = 16
    decoder: tuple[Positive, ...] = (128, 128, 128)
    batch_norm: bool = True
    alpha: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.75
    """Weight of the error under the own ID; the rest is that of the error under another."""
    constant: float = 5.0
    """What is to come out under another ID, in deviations of the input."""
    network_of: Literal["type"] = "type"
    normalisation: Literal["none", "standard"] = "standard"


class IdcaeNet(WindowNet):
    """Dense layers around a code that is scaled and shifted by what belongs to an ID.

    Parameters
    ----------
    settings
        Its layers and its loss.
    n_mels
        Values of a frame.
    n_ids
        How many IDs there are.
    """

    def __init__(self, settings: Idcae, *, n_mels: int, n_ids: int) -> None:
        super().__init__(n_mels)
        size = settings.frames * n_mels
        widths = (size, *settings.encoder)
        after = (settings.code, *settings.decoder)
        self.encoder = nn.Sequential(
            *dense(widths, batch_norm=settings.batch_norm), glorot(nn.Linear(widths[-1], settings.code))
        )
        self.scale = nn.Embedding(n_ids, settings.code)
        self.shift = nn.Embedding(n_ids, settings.code)
        self.decoder = nn.Sequential(
            *dense(after, batch_norm=settings.batch_norm), glorot(nn.Linear(after[-1], size))
        )
        self.tasks = ("own", "other") if n_ids > 1 else ("own",)
        self._alpha, self._constant = settings.alpha, settings.constant

    def losses(self, windows: Tensor, ids: Tensor) -> dict[str, Tensor]:
        """Return the mean absolute errors under the own ID and under another one, and their weighted sum."""
        given = self.standardised(windows).flatten(start_dim=1)
        code = self.encoder(given)
        count = self.scale.num_embeddings
        if count == 1:
            own = (self._decoded(code, ids) - given).abs().mean()
            return {"total": own, "own": own}
        others = (ids + torch.randint_like(ids, 1, count)) % count
        both = self._decoded(code.repeat(2, 1), torch.cat([ids, others]))
        own = (both[: len(ids)] - given).abs().mean()
        other = (both[len(ids) :] - self._constant).abs().mean()
        return {"total": self._alpha * own + (1 - self._alpha) * other, "own": own, "other": other}

    def errors(self, windows: Tensor) -> Tensor:
        """Return the mean absolute errors ``(n, ids)`` under every ID (see `WindowNet.errors`)."""
        given = self.standardised(windows).flatten(start_dim=1)
        code = self.encoder(given)
        ids = torch.arange(self.scale.num_embeddings, device=given.device)
        columns = [(self._decoded(code, i.expand(len(given))) - given).abs().mean(dim=1) for i in ids]
        return torch.stack(columns, dim=1)

    def _decoded(self, code: Tensor, ids: Tensor) -> Tensor:
        decoded: Tensor = self.decoder(self.scale(ids).sigmoid() * code + self.shift(ids)).float()
        return decoded


class IdcaeModel(WindowModel):
    """The auto-encoder that is told the machine ID as a model of normal sound."""

    section = "idcae"

    @classmethod
    def new_net(cls, settings: Idcae, *, n_mels: int, n_ids: int) -> WindowNet:
        """Return a network with its first weights (see `WindowModel.new_net`)."""
        return IdcaeNet(settings, n_mels=n_mels, n_ids=n_ids)


register(
    "idcae",
    section=Idcae,
    score_names=("a_idcae",),
    inputs="logmels",
    model=IdcaeModel,
    trained=True,
    recipe={"features": DCASE_FEATURES},
)
