"""Where in a clip the score of `near` comes from: integrated gradients through what its networks look at.

They look at deviations of statistics, whose likelihood ratio enters by its logarithm, and at changes over time. On the
way to the clip all of these grow in step, from where the score is that of a usual healthy clip. What a statistic adds
is shared out over frames as that of `spectral` is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from offkey.models.attribution import Attribution, ExplainedClip
from offkey.models.near.calibrate import Calibrated
from offkey.models.near.features import ClipFeatures
from offkey.models.near.member import Member, dynamics_of
from offkey.models.near.net import ConformerPath
from offkey.models.network.device import full_float32
from offkey.models.network.explain import PATTERN, integrals
from offkey.models.spectral.contributions import kind_of, of_statistic
from offkey.models.spectral.feature_sets import FEATURE_SETS

__all__ = ["attribution"]

_LEAST = 1e-3  # of the clip's deviations: no healthy clip is as usual as that
_STEPS = 40  # halvings that find where the way begins


class Way:
    """The inputs of one network while they grow from nothing to those of a clip."""

    def __init__(
        self, member: Member, features: dict[str, np.ndarray], dynamics: np.ndarray, column: int
    ) -> None:
        self._net, self.device = member.net, member.net.near.weight.device
        self._deviations = torch.from_numpy(member.deviations.all(features)[:, column]).to(self.device)
        self._has_frames = member.net.conformer is not None
        self._dynamics = torch.from_numpy(dynamics).to(self.device)
        frames = dynamics.shape[1]
        self._index = torch.arange(max(frames, ConformerPath.min_frames), device=self.device) % frames

    def inputs(self, at: Tensor) -> tuple[Tensor, ...]:
        """Return deviations, and changes over time where they are looked at, at places ``(points,)`` of the way."""
        deviations = at[:, None] * self._deviations
        return (deviations, at[:, None, None] * self._dynamics) if self._has_frames else (deviations,)

    def logits(self, deviations: Tensor, dynamics: Tensor | None = None) -> Tensor:
        """Return what the network says, ``(points,)``."""
        of_frames = None
        if dynamics is not None and self._net.conformer is not None:
            of_frames = self._net.conformer(dynamics[:, :, self._index])
        logit: Tensor = self._net.joined(deviations, of_frames).logit.double()
        return logit

    def logit_at(self, place: float) -> float:
        """Return what the network says at one place."""
        with torch.no_grad(), full_float32(self.device):
            return float(self.logits(*self.inputs(torch.tensor([place], device=self.device)))[0])


def attribution(
    members: Sequence[Member],
    calibrated: Calibrated,
    clip: ExplainedClip,
    *,
    column: int,
    gain: np.ndarray,
    slope: float,
) -> Attribution:
    """Return where in a clip the score against one ID comes from.

    Parameters
    ----------
    members
        The networks.
    calibrated
        What their logits are standardised by.
    clip
        The clip.
    column
        The position of the ID.
    gain
        Of `dynamics_of`.
    slope
        By how much the anomaly score rises with this one.
    """
    logmel = clip.picture.logmel.astype(np.float32)
    known = [(k, member) for k, member in enumerate(members) if member.deviations.known[column]]
    features = ClipFeatures(clip.features).of([logmel], tuple(known[0][1].deviations.sets))
    dynamics = dynamics_of(logmel, gain)
    ways = {k: Way(member, features, dynamics, column) for k, member in known}
    standard = calibrated.standard

    def score(place: float) -> float:
        z = [
            (way.logit_at(place) - standard.of_network[k] - standard.of_id[column]) for k, way in ways.items()
        ]
        return float(np.mean(z) / standard.deviation)

    total, spoken = np.zeros(logmel.shape), dict[str, np.ndarray]()
    if score(1.0) <= 0:
        return Attribution(map=total, raised=0.0, spoken={})
    start = _usual(score)
    weight = slope / len(known) / standard.deviation
    for k, member in known:
        of_deviations, *of_frames = integrals(
            ways[k].logits, ways[k].inputs, device=ways[k].device, start=start
        )
        for name, slopes, deviations in _statistics(member, features, of_deviations, column):
            added = of_statistic(name, weight * slopes, deviations, clip)
            total += added
            spoken[kind_of(name)] = spoken.get(kind_of(name), 0.0) + added.sum(axis=1)
        for gradient in of_frames:
            added = weight * gradient * dynamics
            total += added
            spoken[PATTERN] = spoken.get(PATTERN, 0.0) + added.sum(axis=1)
    return Attribution(map=total, raised=float(total.sum()), spoken=spoken)


def _usual(score: Callable[[float], float]) -> float:
    """Return the place on the way where the score is 0, that of a usual healthy clip."""
    low, high = np.log(_LEAST), 0.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if score(float(np.exp(middle))) > 0 else (middle, high)
    return float(np.exp(high))


def _statistics(
    member: Member, features: dict[str, np.ndarray], gradient: np.ndarray, column: int
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield each statistic: its name, the gradient by it, and its deviation, ``(bins,)`` each."""
    sets = member.deviations
    parts = np.split(gradient, np.cumsum(sets.sizes)[:-1])
    for (name, deviations), part in zip(sets.sets.items(), parts, strict=True):
        varying = sets.varying[name]
        full = np.zeros((2, len(varying)))
        full[0, varying] = deviations.root.astype(np.float64) @ part
        full[1, varying] = features[name][0, varying] - deviations.means[column]
        blocks = full.reshape(2, len(FEATURE_SETS[name]), -1)
        yield from zip(FEATURE_SETS[name], *blocks, strict=True)
