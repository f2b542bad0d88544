"""Recipe `vae`: a variational auto-encoder on windows of frames.

D. Kingma and M. Welling, "Auto-encoding variational Bayes", 2014; for machine sounds the row "Variational AE" of Zhang
et al. (2023), Table 1, which they take from Sha et al. (2022). A window is coded as a Gaussian and given back from a
draw of it; trained on the negative evidence lower bound: half the squared error, for a decoder of unit variance, plus
the divergence of the code from a standard normal distribution. 270,992 numbers with 5 frames of 128 Mels.

Left open: everything but the principle. Here the layers of the DCASE 2020 baseline (recipe `ae`) with a code of 8
values, inputs standardised, which the decoder's unit variance supposes, Adam at 0.001, 100 epochs, one network for
each machine type. The score is the mean squared error of what the mean of the code gives back; `score=bound` takes the
bound, from the mean too, so that nothing in a score is random.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from offkey.models.base import register
from offkey.models.baselines.ae import DCASE_FEATURES
from offkey.models.baselines.window_model import WindowModel, WindowSection
from offkey.models.baselines.window_net import GaussianCode, WindowNet, dense, glorot
from offkey.recipe import NonNegative, Positive

__all__ = ["Vae", "VaeModel", "VaeNet"]


class Vae(WindowSection, frozen=True):
    """A variational auto-encoder (docs/baselines.md)."""

    hidden: tuple[Positive, ...] = (128, 128, 128, 128)
    """Widths of the encoder's layers; the decoder has them the other way round."""
    code: Positive = 8
    batch_norm: bool = True
    divergence_weight: NonNegative = 1.0
    """Of the divergence in the loss, and in the bound."""
    score: Literal["error", "bound"] = "error"
    normalisation: Literal["none", "standard"] = "standard"


class VaeNet(WindowNet):
    """Dense layers around a code that is drawn.

    Parameters
    ----------
    settings
        Its layers, its loss, its score.
    n_mels
        Values of a frame.
    """

    tasks = ("error", "divergence")

    def __init__(self, settings: Vae, *, n_mels: int) -> None:
        super().__init__(n_mels)
        size = settings.frames * n_mels
        self.encoder = nn.Sequential(*dense((size, *settings.hidden), batch_norm=settings.batch_norm))
        widths = (settings.code, *reversed(settings.hidden))
        self.code = GaussianCode((size, *settings.hidden)[-1], settings.code)
        self.decoder = nn.Sequential(
            *dense(widths, batch_norm=settings.batch_norm), glorot(nn.Linear(widths[-1], size))
        )
        self._weight, self._bound = settings.divergence_weight, settings.score == "bound"

    def losses(self, windows: Tensor, ids: Tensor) -> dict[str, Tensor]:
        """Return the negative bound for each value, the mean squared error and the divergence."""
        error, divergence, bound = self._parts(windows)
        return {"total": bound.mean(), "error": error.mean(), "divergence": divergence.mean()}

    def errors(self, windows: Tensor) -> Tensor:
        """Return the error, or the negative bound for each value, ``(n,)`` (see `WindowNet.errors`)."""
        error, _, bound = self._parts(windows)
        return bound if self._bound else error

    def _parts(self, windows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        given = self.standardised(windows).flatten(start_dim=1)
        code, divergence = self.code(self.encoder(given))
        error = (self.decoder(code).float() - given).square().mean(dim=1)
        return error, divergence, 0.5 * error + self._weight * divergence.float() / given.shape[1]


class VaeModel(WindowModel):
    """The variational auto-encoder as a model of normal sound."""

    section = "vae"

    @classmethod
    def new_net(cls, settings: Vae, *, n_mels: int, n_ids: int) -> WindowNet:
        """Return a network with its first weights (see `WindowModel.new_net`)."""
        return VaeNet(settings, n_mels=n_mels)


register(
    "vae",
    section=Vae,
    score_names=("a_vae",),
    inputs="logmels",
    model=VaeModel,
    trained=True,
    recipe={"features": DCASE_FEATURES},
)
