"""Where in a clip the score of `near` comes from: integrated gradients through what its networks look at.

They look at deviations of statistics, whose likelihood ratios enter by their logarithms, and at changes over time. The
way begins at a clip in which the ratio of each feature set is the one that the network calls usual, times a factor that
is the same for all and makes the score that of a usual healthy clip. From there the logarithm of each deviation goes
evenly to the clip's own. So a set adds by how far its ratio is from a usual one. What a statistic adds is shared out
over frames as that of `spectral` is.
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
    """The inputs of one network from those of a usual clip to those of a clip."""

    def __init__(
        self, member: Member, features: dict[str, np.ndarray], dynamics: np.ndarray, column: int
    ) -> None:
        self._net, self.device = member.net, member.net.near.weight.device
        self._deviations = torch.from_numpy(member.deviations.all(features)[:, column]).to(self.device)
        self._has_frames = member.net.conformer is not None
        self._dynamics = torch.from_numpy(dynamics).to(self.device)
        frames = dynamics.shape[1]
        self._index = torch.arange(max(frames, ConformerPath.min_frames), device=self.device) % frames
        above = member.net.statistics.above_usual(self._deviations)[0] / 2
        self._above = torch.repeat_interleave(
            above, torch.tensor(member.deviations.sizes, device=self.device)
        )
        self.most_above = float(above.max())
        self._factor = 0.0

    def begin_at(self, factor: float) -> None:
        """Begin where ratios are usual but for a factor of all deviations, whose logarithm is given."""
        self._factor = factor

    @property
    def spans(self) -> tuple[np.ndarray, float]:
        """How far the logarithm of each deviation goes, ``(sum of sizes,)``, and that of changes over time."""
        return self._above.cpu().numpy().astype(np.float64) - self._factor, -self._factor

    def inputs(self, at: Tensor) -> tuple[Tensor, ...]:
        """Return deviations and their factors, and as much of changes over time, at places ``(points,)`` of the way."""
        left = (1 - at)[:, None]
        points = len(at)
        statistics = self._deviations.expand(points, -1), torch.exp(left * (self._factor - self._above))
        if not self._has_frames:
            return statistics
        factors = torch.exp(left * self._factor)[:, :, None]
        return *statistics, self._dynamics.expand(points, -1, -1), factors

    def logits(self, deviations: Tensor, factors: Tensor, *of_time: Tensor) -> Tensor:
        """Return what the network says of `inputs`, ``(points,)``."""
        of_frames = None
        if of_time and self._net.conformer is not None:
            dynamics, growth = of_time
            of_frames = self._net.conformer((dynamics * growth)[:, :, self._index])
        logit: Tensor = self._net.joined(deviations * factors, of_frames).logit.double()
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
    _begin_at_usual(list(ways.values()), lambda: score(0.0))
    weight = slope / len(known) / standard.deviation
    for k, member in known:
        of_deviations, _, *of_frames = integrals(ways[k].logits, ways[k].inputs, device=ways[k].device)
        span, span_of_time = ways[k].spans
        for name, slopes, deviations in _statistics(member, features, span * of_deviations, column):
            added = of_statistic(name, weight * slopes, deviations, clip)
            total += added
            spoken[kind_of(name)] = spoken.get(kind_of(name), 0.0) + added.sum(axis=1)
        for gradient in of_frames[:1]:
            added = weight * span_of_time * gradient * dynamics
            total += added
            spoken[PATTERN] = spoken.get(PATTERN, 0.0) + added.sum(axis=1)
    return Attribution(map=total, raised=float(total.sum()), spoken=spoken)


def _begin_at_usual(ways: Sequence[Way], score: Callable[[], float]) -> None:
    """Let all ways begin where the score is 0, that of a usual healthy clip."""
    low, high = np.log(_LEAST), max(0.0, *(way.most_above for way in ways))
    for _ in range(_STEPS):
        middle = (low + high) / 2
        for way in ways:
            way.begin_at(middle)
        low, high = (low, middle) if score() > 0 else (middle, high)


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
