"""What log scores of clips left out are standardised by, and what they say of thresholds and of the nearest ID."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Self

import numpy as np

from offkey.errors import DetectorFileError
from offkey.models.spectral.pools import IdPools
from offkey.scoring.calibration import Calibration

__all__ = ["SCORE", "Standard", "nearest_note", "pool_notes", "restored_calibration", "updated_notes"]

SCORE = "a_spectral"
_EARLIER = "calibration scores are from before the update"


@dataclasses.dataclass(frozen=True, slots=True)
class Standard:
    """What log scores are standardised by, for each feature set, and the clips' scores under it."""

    pools: IdPools
    log_scores: np.ndarray
    """``(sets, clips)``: of the training clips against their own ID, left out; NaN where there is none."""
    mean: np.ndarray
    """``(sets, ids)``."""
    deviation: np.ndarray
    """``(sets, ids)``, above 0."""
    z: np.ndarray
    """``(clips, ids)``: the standardised sum over sets, as `SpectralModel.scores` gives it of other clips."""

    @classmethod
    def of(
        cls,
        log_scores: np.ndarray,
        ids: np.ndarray,
        *,
        set_weights: np.ndarray,
        earlier: np.ndarray | None = None,
    ) -> Self:
        """Take ``(sets, clips, ids)`` scores of clips left out; NaN where there is none.

        `set_weights`, ``(sets,)``, is what each set counts in the sum. `earlier`, ``(clips, ids)``, is what the sum is
        taken to be where a log score is not known.
        """
        at_own_id = log_scores[:, np.arange(len(ids)), ids]
        pools = IdPools(ids, np.isfinite(at_own_id).all(axis=0), n_ids=log_scores.shape[2])
        standards = [pools.mean_and_deviation(scores) for scores in at_own_id]
        mean, deviation = (np.stack(part) for part in zip(*standards, strict=True))
        z = (set_weights[:, None, None] * ((log_scores - mean[:, None]) / deviation[:, None])).sum(axis=0)
        if earlier is not None:
            z = np.where(np.isnan(z), earlier, z)
        return cls(pools, at_own_id, mean, deviation, z)

    def calibration(self, names: tuple[str, ...], ids: np.ndarray) -> Calibration:
        """Return the scores of the clips that have one, by the names of their IDs."""
        rows = np.flatnonzero(self.pools.scored)
        return Calibration(
            kind="out_of_fold",
            indices=rows,
            machine_ids=tuple(names[i] for i in ids[rows]),
            scores={SCORE: self.z[rows, ids[rows]]},
            against_all={SCORE: self.z[rows]},
        )


def restored_calibration(arrays: dict[str, np.ndarray], names: tuple[str, ...]) -> Calibration:
    """Return what `state` gave; files of version 0.1 have scores at the clips' own IDs only."""
    ids = arrays["held_out.ids"]
    against_all = arrays.get("held_out.against_all")
    expected = (len(ids), len(names))
    if against_all is not None and against_all.shape != expected:
        raise DetectorFileError(
            f"spectral model: held_out.against_all has shape {against_all.shape}; expected {expected}"
        )
    return Calibration(
        kind="out_of_fold",
        indices=arrays["held_out.indices"],
        machine_ids=tuple(names[i] for i in ids),
        scores={
            SCORE: arrays["held_out.scores"] if against_all is None else against_all[np.arange(len(ids)), ids]
        },
        against_all=None if against_all is None else {SCORE: against_all},
    )


def pool_notes(names: tuple[str, ...], pools: IdPools, ids: np.ndarray) -> list[str]:
    """Say which IDs have too few clips for statistics, or for any score, of their own."""
    notes = []
    if pools.shared and len(names) > 1:
        few = ", ".join(names[i] for i in pools.shared)
        notes.append(f"spectral: ID {few}: fewer than 10 clips, standardised with pooled statistics")
    lone = sorted(set(range(len(names))) - set(ids[pools.scored].tolist()))
    if lone:
        listed = ", ".join(names[i] for i in lone)
        notes.append(f"spectral: ID {listed}: one clip only, which cannot be left out to be scored")
    return notes


def nearest_note(held_out: Calibration, names: tuple[str, ...]) -> list[str]:
    """Say how often clips left out are nearest to their own ID, mean over IDs."""
    if len(names) < 2 or held_out.against_all is None:
        return []
    own = np.searchsorted(names, held_out.machine_ids)
    right = held_out.against_all[SCORE].argmin(axis=1) == own
    accuracy = np.mean([right[own == i].mean() for i in np.unique(own)])
    return [
        f"spectral: clips whose ID is not given are matched to the right one with accuracy {accuracy:.2f} "
        f"(chance {1 / len(names):.2f})"
    ]


def updated_notes(
    notes: Sequence[str],
    names: tuple[str, ...],
    *,
    before: tuple[Calibration, np.ndarray],
    after: tuple[Calibration, np.ndarray],
    again: np.ndarray,
) -> tuple[str, ...]:
    """Return the notes of a model that has learned further clips.

    Parameters
    ----------
    notes
        Those that it had.
    names
        The machine IDs.
    before, after
        Its calibration, and the positions of the IDs of all clips.
    again
        ``(n,)`` int64: the clips that the updated model has scored.
    """

    def on_calibration(held_out: Calibration, ids: np.ndarray) -> list[str]:
        pools = IdPools(ids, np.isin(np.arange(len(ids)), held_out.indices), n_ids=len(names))
        return [*pool_notes(names, pools, ids), *nearest_note(held_out, names)]

    stale = set(on_calibration(*before))
    kept = (note for note in notes if note not in stale and _EARLIER not in note)
    return (*kept, *on_calibration(*after), *_earlier_note(after[0], again))


def _earlier_note(held_out: Calibration, again: np.ndarray) -> list[str]:
    earlier = len(np.setdiff1d(held_out.indices, again))
    if not earlier:
        return []
    return [
        f"spectral: {earlier} of {len(held_out.indices)} {_EARLIER}, since no statistics of these clips' recordings "
        "are kept (keep_statistics): thresholds may be too high"
    ]
