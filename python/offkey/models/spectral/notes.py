"""What a user should know of a fit of recipe `spectral`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from offkey.models.spectral.check import Choice, NormalClips
from offkey.models.spectral.edition import Edition
from offkey.models.spectral.likelihood_ratio import LikelihoodRatio
from offkey.models.spectral.weights import ODD

__all__ = ["MIN_CLIPS_FOR_OWN_COVARIANCE", "choice_notes", "odd_note"]

MIN_CLIPS_FOR_OWN_COVARIANCE = 20
_MOST_NAMED = 5  # clips that a note names


def choice_notes(
    choice: Choice,
    usual: Choice,
    edition: Edition,
    ratios: dict[str, LikelihoodRatio],
    *,
    names: tuple[str, ...],
    clips: NormalClips,
) -> list[str]:
    """Say what was chosen in place of what is usual, and which IDs and Mel bins it does not hold for."""
    how = "as the recipe says:"
    if choice.criteria:
        how = "the label-free check " + ("kept" if choice.same_as(usual) else "chose")
    kind = "one covariance for each ID" if choice.own_covariance else "one covariance shared by the IDs"
    sets = " + ".join(edition.feature_sets)
    notes = [f"spectral: {how} {kind}, ridge {choice.ridge:g}, feature sets {sets}"]
    if choice.own_covariance and len(clips.own_ids) < len(names):
        few = ", ".join(name for i, name in enumerate(names) if i not in clips.own_ids)
        notes.append(
            f"spectral: ID {few}: shared covariance, for under {MIN_CLIPS_FOR_OWN_COVARIANCE} clips a fold"
        )
    dropped: dict[str, str] = {}
    for ratio in ratios.values():
        dropped |= ratio.scale.dropped()
    for name, bins in dropped.items():
        kind = "bins" if name == "rhythm" else "Mel bins"
        notes.append(f"spectral: {kind} {bins} of `{name}` do not vary over clips, not used")
    return notes


def odd_note(weights: np.ndarray, groups: Sequence[str]) -> list[str]:
    """Say which clips sound unlike the rest."""
    odd = np.flatnonzero(weights < ODD).tolist()
    if not odd:
        return []
    kind, verb = ("clips sound", "they count") if len(odd) > 1 else ("clip sounds", "it counts")
    listed = ", ".join(groups[i] for i in odd[:_MOST_NAMED]) + ", ..." * (len(odd) > _MOST_NAMED)
    return [
        f"spectral: {len(odd)} training {kind} unlike the rest ({listed}): {verb} less in the fit, or not at all, as "
        "faults could hide behind such a sound; in thresholds in full"
    ]
