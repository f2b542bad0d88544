"""What kind of machine this is, told from normal clips alone: which features and which near anomalies suit it."""

from __future__ import annotations

import dataclasses

import numpy as np

from offkey.models.near import Near
from offkey.models.near.features import FEATURES
from offkey.models.spectral.feature_sets import FEATURE_SETS
from offkey.models.spectral.rhythm import rhythm_strength
from offkey.signal.near_anomalies import RICH_KINDS, STATIC_KINDS

__all__ = ["Plan", "plan"]

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


def plan(settings: Near, rhythm: np.ndarray, ids: np.ndarray, weights: np.ndarray) -> Plan:
    """Choose by the rhythm of normal clips, or as the recipe says.

    Parameters
    ----------
    settings
        The recipe's.
    rhythm
        ``(clips, 4 * bands)``, feature set T of the training clips.
    ids, weights
        ``(clips,)`` positions of their machine IDs, and what each clip counts.
    """
    strength = rhythm_strength(rhythm, ids, weights)
    rich = settings.gate == "rich" or (settings.gate == "rhythm" and strength > settings.rhythm_from)
    conformer = settings.conformer == "on" or (settings.conformer == "auto" and rich)
    sets = FEATURES if rich else _STATIC_SETS
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
