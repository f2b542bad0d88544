"""What the score is a sum of: the feature sets in use, what each counts, and how its Gaussian is estimated."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from offkey.errors import DatasetError, DetectorFileError
from offkey.models.spectral import Spectral
from offkey.models.spectral.check import Choice, NormalClips
from offkey.models.spectral.feature_sets import FEATURE_SETS, FINE_SETS, statistic_of
from offkey.models.spectral.rhythm import rhythm_note, rhythm_strength, rhythm_weight

__all__ = ["Edition"]

_RHYTHM = "T"
_RHYTHM_RIDGE = 1e-3
_FULL_RHYTHM = 2.0  # what T counts where the rhythm counts in full


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Edition:
    """The sum of sets that a model is made of."""

    feature_sets: tuple[str, ...]
    set_weights: tuple[float, ...]
    """What the z of each set counts in the sum."""
    own_covariance: bool
    """Of all sets but T."""
    ridge: float
    """Of all sets but T."""
    rhythm: float | None = None
    """How strong the rhythm of the normal clips is; None where it was not measured."""

    @classmethod
    def of(cls, choice: Choice, clips: NormalClips, settings: Spectral) -> tuple[Self, tuple[str, ...]]:
        """Return the sum that a choice of covariance, ridge and sets makes of these clips, and notes on it.

        M makes room for F1, F2 and so on, the means of the finer spectrograms, and T joins, where the settings ask for
        them and the clips have them.
        """
        counts, notes = dict.fromkeys(choice.feature_sets, 1.0), []
        strength = None
        if settings.spectra:
            fine = {
                name: spectrum.weight for name, spectrum in zip(FINE_SETS, settings.spectra, strict=False)
            }
            if all(map(clips.table.has, fine)):
                del counts["M"]
                counts = fine | counts
            else:
                notes.append(
                    f"spectral: log-Mels made elsewhere, of which there are no finer spectrograms: M at their own "
                    f"{clips.table.n_mels} bins in place of {' and '.join(fine)}"
                )
        if settings.rhythm:
            obstacle = _obstacle(clips)
            if obstacle is None:
                strength = rhythm_strength(clips.table.features(_RHYTHM), clips.ids, clips.weights)
                share = rhythm_weight(strength)
                counts[_RHYTHM] = _FULL_RHYTHM * share
                notes.append(rhythm_note(strength, share))
            else:
                notes.append(f"spectral: {obstacle}: the rhythm does not count")
        edition = cls(
            feature_sets=tuple(counts),
            set_weights=tuple(counts.values()),
            own_covariance=choice.own_covariance,
            ridge=choice.ridge,
            rhythm=strength,
        )
        return edition, tuple(notes)

    @property
    def further_statistics(self) -> frozenset[str]:
        """What it takes beside the four statistics of a clip's log-Mel."""
        names = {
            statistic_of(name) for feature_set in self.feature_sets for name in FEATURE_SETS[feature_set]
        }
        return frozenset(names & {"fine_mean", "rhythm"})

    @property
    def provenance(self) -> dict[str, Any]:
        """What a description of the detector says of the sum: what each set counts, and how strong the rhythm is."""
        weights = dict(zip(self.feature_sets, self.set_weights, strict=True))
        return {"feature_sets": weights} | ({} if self.rhythm is None else {"rhythm": self.rhythm})

    def gaussian_of(self, feature_set: str) -> tuple[bool, float]:
        """Return whether IDs have covariances of their own in a feature set, and the ridge."""
        if feature_set == _RHYTHM:
            return False, _RHYTHM_RIDGE
        return self.own_covariance, self.ridge

    def metadata(self) -> dict[str, Any]:
        """Return plain data for JSON: all that `restored` needs."""
        return {
            "own_covariance": self.own_covariance,
            "ridge": self.ridge,
            "feature_sets": list(self.feature_sets),
            "set_weights": list(self.set_weights),
            "rhythm": self.rhythm,
        }

    @classmethod
    def restored(cls, metadata: Mapping[str, Any]) -> Self:
        """Restore what `metadata` gave; in files of the first edition all sets count alike.

        Raises
        ------
        DetectorFileError
            If there is no such sum.
        """
        sets = tuple(metadata["feature_sets"])
        weights = tuple(metadata.get("set_weights", [1.0] * len(sets)))
        rhythm = metadata.get("rhythm")
        sound = (
            len(sets) == len(weights) == len(set(sets)) > 0
            and set(sets) <= FEATURE_SETS.keys()
            and all(isinstance(weight, int | float) and 0 <= weight < np.inf for weight in weights)
            and (rhythm is None or (isinstance(rhythm, int | float) and 0 <= rhythm < np.inf))
        )
        if not sound:
            raise DetectorFileError(
                f"spectral model: feature sets {sets} of weights {weights}, rhythm {rhythm}; expected some of "
                f"{', '.join(FEATURE_SETS)}, each with a weight from 0 on"
            )
        return cls(
            feature_sets=sets,
            set_weights=weights,
            own_covariance=metadata["own_covariance"],
            ridge=metadata["ridge"],
            rhythm=rhythm,
        )


def _obstacle(clips: NormalClips) -> str | None:
    """Say why the rhythm of the clips cannot be measured; None if it can."""
    if not clips.table.has(_RHYTHM):
        return "there are no statistics of rhythm"
    if clips.table.unknown(_RHYTHM).any():
        return "training clips are too short for a rhythm"
    try:
        clips.moments(np.ones(len(clips.ids), dtype=bool), feature_set=_RHYTHM)
    except DatasetError:
        return "the rhythm does not vary over the training clips"
    return None
