"""Recipe `near`: small networks that are taught by near anomalies, normal clips with a slight fault added.

Importing this package needs no torch; its modules do.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec

from offkey.errors import RecipeError
from offkey.models import network as _network  # noqa: F401  # how threads of torch wait is set before torch is loaded
from offkey.models.base import register
from offkey.recipe import NonNegative, Positive, PositiveFloat, Section

__all__ = ["Near"]

Kind: TypeAlias = Literal[
    "bumps",
    "spread",
    "mel_shift",
    "gain_and_tilt",
    "noise_band",
    "lines",
    "bursts",
    "clicks",
    "tremolo",
    "time_warp",
]


class Near(Section, frozen=True):
    """Networks on whitened statistics of clips and on their dynamics, taught by near anomalies (docs/near.md)."""

    networks: Annotated[int, msgspec.Meta(ge=2)] = 4
    """How many are trained, each without its share of the recordings."""
    steps: Positive = 250
    batch_size: Annotated[int, msgspec.Meta(ge=2)] = 32
    """Normal clips in a step; each has a near anomaly beside it."""
    crop: tuple[float, float] = (0.6, 1.0)
    """How much of a clip a step hears, as a share."""
    statistics_learning_rate: PositiveFloat = 5e-4
    """Peak rate of the statistics path and of the heads."""
    conformer_learning_rate: PositiveFloat = 2e-3
    """Peak rate of the conformer path and of ArcFace."""
    weight_decay: NonNegative = 0.01
    ridge: Annotated[float, msgspec.Meta(ge=1e-6, le=1)] = 1e-3
    tau: PositiveFloat = 0.01
    """Variance of an anomalous shift, in units of the mean eigenvalue of the covariance."""
    gate: Literal["rhythm", "rich", "static"] = "rhythm"
    """What decides between `rich` near anomalies with all feature sets, and `static` ones with the sets M, A and P."""
    rhythm_from: PositiveFloat = 0.2
    """From which rhythm Q on the gate `rhythm` takes the rich ones."""
    kinds: tuple[Kind, ...] | None = None
    """Which kinds of near anomalies, in place of what the gate decides (see `offkey.signal.near_kinds`)."""
    conformer: Literal["auto", "on", "off"] = "auto"
    """Whether there is a path that sees the clip frame by frame; `auto`: where near anomalies are rich."""
    kind_weight: NonNegative = 0.3
    """Weight of the task to name the kind of a near anomaly."""
    arcface_weight: NonNegative = 0.0
    """Weight of the task to name the machine ID, times how well those of held-out clips are told apart; only of effect
    with a conformer path and several IDs."""

    def __post_init__(self) -> None:
        super().__post_init__()
        low, high = self.crop
        if not 0 < low <= high <= 1:
            raise RecipeError(
                f"Near.crop = ({low}, {high}): expected two ascending shares above 0, at most 1"
            )
        if self.kinds is not None and (not self.kinds or len(set(self.kinds)) != len(self.kinds)):
            raise RecipeError(f"Near.kinds = {self.kinds}: expected one or more, each once")


register(
    "near",
    section=Near,
    score_names=("a_near",),
    inputs="logmels",
    model="offkey.models.near.model:NearModel",
    trained=True,
)
