"""Recipe `ae`: the auto-encoder of the DCASE 2020 baseline.

Y. Koizumi et al., "Description and discussion on DCASE2020 challenge task 2: unsupervised anomalous sound detection for
machine condition monitoring", 2020, section 4: 5 frames of 128 Mels are one vector of 640; dense layers of 128, 128,
128, 128, 8, 128, 128, 128, 128 with BatchNorm and ReLU, and a linear one back to 640; trained on the mean squared error
with Adam at 0.001, 100 epochs, 512 vectors a step; a clip's score is its mean error. One network for each machine type.
269,992 numbers with the running statistics of BatchNorm (265,864 without BatchNorm).

Left open or done otherwise: the paper keeps a tenth of the vectors for a loss that it prints; here whole clips are held
out, as for every network of offkey, and thresholds come from them. BatchNorm and Adam have torch's constants (momentum
0.1, epsilon 1e-5 and 1e-8), not Keras'. A longer set is mixed clip by clip, then window by window in blocks that fit
into memory.
"""

from __future__ import annotations

from torch import Tensor, nn

from offkey.models.base import register
from offkey.models.baselines.window_model import WindowModel, WindowSection
from offkey.models.baselines.window_net import WindowNet, dense, glorot
from offkey.recipe import Positive

__all__ = ["Ae", "AeModel", "AeNet"]


class Ae(WindowSection, frozen=True):
    """The auto-encoder of the DCASE 2020 baseline (docs/baselines.md)."""

    hidden: tuple[Positive, ...] = (128, 128, 128, 128)
    """Widths of the encoder's layers; the decoder has them the other way round."""
    bottleneck: Positive = 8
    batch_norm: bool = True


class AeNet(WindowNet):
    """Dense layers that give a window back, scored by the mean squared error of its values.

    Parameters
    ----------
    hidden
        Widths of the encoder's layers.
    bottleneck
        Width between encoder and decoder.
    batch_norm
        Whether each ReLU has BatchNorm before it.
    frames, n_mels
        Of a window.
    """

    tasks = ("error",)

    def __init__(
        self, *, hidden: tuple[int, ...], bottleneck: int, batch_norm: bool, frames: int, n_mels: int
    ) -> None:
        super().__init__(n_mels)
        sizes = (frames * n_mels, *hidden, bottleneck, *reversed(hidden))
        last = glorot(nn.Linear(sizes[-1], sizes[0]))
        self.layers = nn.Sequential(*dense(sizes, batch_norm=batch_norm), last)

    def losses(self, windows: Tensor, ids: Tensor) -> dict[str, Tensor]:
        """Return the mean squared error (see `WindowNet.losses`)."""
        error = self.errors(windows).mean()
        return {"total": error, "error": error}

    def errors(self, windows: Tensor) -> Tensor:
        """Return the mean squared error ``(n,)`` of each window (see `WindowNet.errors`)."""
        given = self.standardised(windows).flatten(start_dim=1)
        errors: Tensor = (self.layers(given).float() - given).square().mean(dim=1)
        return errors


class AeModel(WindowModel):
    """The auto-encoder as a model of normal sound."""

    section = "ae"

    @classmethod
    def new_net(cls, settings: Ae, *, n_mels: int, n_ids: int) -> WindowNet:
        """Return a network with its first weights (see `WindowModel.new_net`)."""
        return AeNet(
            hidden=settings.hidden,
            bottleneck=settings.bottleneck,
            batch_norm=settings.batch_norm,
            frames=settings.frames,
            n_mels=n_mels,
        )


DCASE_FEATURES: dict[str, str | float] = {"pad_mode": "reflect", "floor": "add", "floor_value": 2.0**-52}
"""Log-Mels as the baseline has them: librosa 0.6 with reflection, and the smallest float64 step added to the power."""

register(
    "ae",
    section=Ae,
    score_names=("a_ae",),
    inputs="logmels",
    model=AeModel,
    trained=True,
    recipe={"features": DCASE_FEATURES},
)
