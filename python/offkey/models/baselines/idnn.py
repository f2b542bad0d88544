"""Recipe `idnn`: the middle one of neighbouring frames, interpolated from the others.

K. Suefusa et al., "Anomalous sound detection based on interpolation deep neural network", 2020: an auto-encoder has to
give back the edges of a window, which are hard to predict however normal they are; so the middle one of 5 frames is
predicted from the 4 around it, and its error alone counts. Dense layers of 64, 32, 16, 32, 64 with ReLU, and a linear
one to a frame; the mean squared error, Adam. 25,872 numbers with 64 Mels. Its variational form draws the code, as
`vae` does.

Left open or done otherwise: for DCASE 2020, where Zhang et al. (2023) quote it, neither features nor training are
stated there; here 64 Mels, inputs standardised, Adam at 0.001, 100 epochs, 512 windows a step, one network for each
machine type, and clips held out for calibration, as for every network of offkey.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
import torch
from torch import Tensor, nn

from offkey.errors import RecipeError
from offkey.models.base import register
from offkey.models.baselines.ae import DCASE_FEATURES
from offkey.models.baselines.window_model import WindowModel, WindowSection
from offkey.models.baselines.window_net import GaussianCode, WindowNet, dense, glorot
from offkey.recipe import NonNegative, Positive

__all__ = ["Idnn", "IdnnModel", "IdnnNet"]


class Idnn(WindowSection, frozen=True):
    """The interpolation of the middle frame (docs/baselines.md)."""

    frames: Annotated[int, msgspec.Meta(ge=3)] = 5
    hidden: tuple[Positive, ...] = (64, 32)
    """Widths before the code; after it they come the other way round."""
    code: Positive = 16
    batch_norm: bool = False
    variational: bool = False
    """Whether the code is drawn around what the frames give."""
    divergence_weight: NonNegative = 1.0
    """Of the code's divergence from a standard normal distribution, in the variational loss."""
    normalisation: Literal["none", "standard"] = "standard"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.frames % 2 == 0:
            raise RecipeError(
                f"Idnn.frames = {self.frames}: expected an odd number, so that one is the middle"
            )


class IdnnNet(WindowNet):
    """Dense layers from the outer frames of a window to its middle one.

    Parameters
    ----------
    settings
        Its layers and its loss.
    n_mels
        Values of a frame.
    """

    def __init__(self, settings: Idnn, *, n_mels: int) -> None:
        super().__init__(n_mels)
        widths = ((settings.frames - 1) * n_mels, *settings.hidden)
        before = widths if settings.variational else (*widths, settings.code)
        self.encoder = nn.Sequential(*dense(before, batch_norm=settings.batch_norm))
        self.code = GaussianCode(widths[-1], settings.code) if settings.variational else None
        after = (settings.code, *reversed(settings.hidden))
        self.decoder = nn.Sequential(
            *dense(after, batch_norm=settings.batch_norm), glorot(nn.Linear(after[-1], n_mels))
        )
        self.tasks = ("error", *["divergence"] * settings.variational)
        self._weight, self._middle = settings.divergence_weight, settings.frames // 2

    def losses(self, windows: Tensor, ids: Tensor) -> dict[str, Tensor]:
        """Return the mean squared error of the middle frame; the variational form's negative bound for each value."""
        error, divergence = self._parts(windows)
        if divergence is None:
            return {"total": error.mean(), "error": error.mean()}
        bound = 0.5 * error + self._weight * divergence.float() / windows.shape[2]
        return {"total": bound.mean(), "error": error.mean(), "divergence": divergence.mean()}

    def errors(self, windows: Tensor) -> Tensor:
        """Return the mean squared error ``(n,)`` of the middle frame (see `WindowNet.errors`)."""
        return self._parts(windows)[0]

    def _parts(self, windows: Tensor) -> tuple[Tensor, Tensor | None]:
        given = self.standardised(windows)
        middle = given[:, self._middle]
        outer = torch.cat([given[:, : self._middle], given[:, self._middle + 1 :]], dim=1)
        code, divergence = self.encoder(outer.flatten(start_dim=1)), None
        if self.code is not None:
            code, divergence = self.code(code)
        return (self.decoder(code).float() - middle).square().mean(dim=1), divergence


class IdnnModel(WindowModel):
    """The interpolation as a model of normal sound."""

    section = "idnn"

    @classmethod
    def new_net(cls, settings: Idnn, *, n_mels: int, n_ids: int) -> WindowNet:
        """Return a network with its first weights (see `WindowModel.new_net`)."""
        return IdnnNet(settings, n_mels=n_mels)


register(
    "idnn",
    section=Idnn,
    score_names=("a_idnn",),
    inputs="logmels",
    model=IdnnModel,
    trained=True,
    recipe={"features": {**DCASE_FEATURES, "n_mels": 64}},
)
