"""What kind of machine this is, told from normal clips alone: which features and which near anomalies suit it."""

from __future__ import annotations

import dataclasses

import numpy as np

from offkey.models.near import Near
from offkey.models.near.features import FEATURE_SETS
from offkey.signal.near_anomalies import RICH_KINDS, STATIC_KINDS

__all__ = ["Plan", "plan", "rhythm_strength"]

_RATES = 4
_STATIC_SETS = ("M", "A", "P")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the networks look at, and what they are taught by."""

    feature_sets: tuple[str, ...]
    kinds: tuple[str, ...]
    """Of near anomalies."""
    conformer: bool
    rhythm: float
    """Q of the normal clips."""
    note: str

    @property
    def blocks(self) -> dict[str, int]:
        """How many blocks each feature set has."""
        return {name: len(FEATURE_SETS[name]) for name in self.feature_sets}


def plan(settings: Near, rhythm: np.ndarray, ids: np.ndarray) -> Plan:
    """Choose by the rhythm of normal clips, or as the recipe says.

    Parameters
    ----------
    settings
        The recipe's.
    rhythm
        ``(clips, 4 * bands)``, feature set T of the training clips.
    ids
        ``(clips,)`` positions of their machine IDs.
    """
    strength = rhythm_strength(rhythm, ids)
    rich = settings.gate == "rich" or (settings.gate == "rhythm" and strength > settings.rhythm_from)
    conformer = settings.conformer == "on" or (settings.conformer == "auto" and rich)
    sets = tuple(FEATURE_SETS) if rich else _STATIC_SETS
    kinds: tuple[str, ...] = RICH_KINDS if rich else STATIC_KINDS
    taught = "rich near anomalies" if rich else "near anomalies that do not depend on time"
    if settings.kinds is not None:
        kinds, taught = settings.kinds, f"near anomalies of kind {', '.join(settings.kinds)}"
    reason = "as the recipe says"
    if settings.gate == "rhythm":
        reason = f"these machines have {'a' if rich else 'no'} rhythm ({strength:.2f})"
    note = (
        f"near: {reason}: {taught}, feature sets {' + '.join(sets)}, "
        f"{'with' if conformer else 'without'} a conformer path"
    )
    return Plan(feature_sets=sets, kinds=kinds, conformer=conformer, rhythm=strength, note=note)


def rhythm_strength(rhythm: np.ndarray, ids: np.ndarray) -> float:
    """Return how much rhythm normal clips have, beside how much it differs from clip to clip, mean over IDs.

    Of noise without rhythm the mean table of rates by bands is a row plus a column; what is left of it then is in
    units of the variance over an ID's clips.
    """
    strengths = []
    for i in np.unique(ids):
        own = rhythm[ids == i]
        if len(own) < 2:
            continue
        table = own.mean(axis=0).reshape(_RATES, -1)
        rest = table - table.mean(axis=0) - table.mean(axis=1, keepdims=True) + table.mean()
        scatter = own.var(axis=0, ddof=1).mean()
        strengths.append(rest.var() / scatter if scatter > 0 else 0.0)
    return float(np.mean(strengths)) if strengths else 0.0
