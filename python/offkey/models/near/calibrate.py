"""From the logits of several networks to one score, and to what it is among normal clips that they have not seen."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Self

import numpy as np

from offkey.errors import DatasetError, DetectorFileError
from offkey.scoring.calibration import Calibration

__all__ = ["SCORE", "Calibrated", "Standard"]

SCORE = "a_near"


@dataclasses.dataclass(frozen=True, slots=True)
class Standard:
    """What logits are standardised by: a mean that is a network's plus an ID's, and one deviation.

    The networks are trained alike, and their logits vary alike over new clips; by how much is told better by the clips
    of all than by the few that one has not seen.
    """

    of_network: np.ndarray
    """``(networks,)``."""
    of_id: np.ndarray
    """``(ids,)``."""
    deviation: float

    @classmethod
    def of(
        cls, logits: np.ndarray, ids: np.ndarray, networks: np.ndarray, *, counts: tuple[int, int]
    ) -> Self:
        """Estimate from logits ``(clips,)`` of clips against their own IDs, each by a network that has not seen it.

        Means of networks are drawn together by what the number of their clips leaves open (empirical Bayes; Efron and
        Morris 1973).

        Parameters
        ----------
        logits
            ``(clips,)``.
        ids, networks
            ``(clips,)`` positions.
        counts
            How many networks and IDs there are.
        """
        n_networks, n_ids = counts
        overall = logits.mean()
        of_id = _means(logits - overall, ids, n_ids)
        of_network = _means(logits - overall - of_id[ids], networks, n_networks)
        residuals = logits - overall - of_id[ids] - of_network[networks]
        clips = np.bincount(networks, minlength=n_networks)
        noise = np.mean(np.square(residuals)) / np.maximum(clips, 1)
        spread = max(0.0, float(np.mean(np.square(of_network)) - np.mean(noise)))
        of_network *= np.divide(spread, spread + noise, out=np.zeros(n_networks), where=spread + noise > 0)
        of_id = overall + _means(logits - overall - of_network[networks], ids, n_ids)
        deviation = float(np.std(logits - of_network[networks] - of_id[ids]))
        return cls(of_network, of_id, deviation if deviation > 0 else 1.0)

    def z(self, logits: np.ndarray, network: int) -> np.ndarray:
        """Return the logits ``(clips, ids)`` of a network in deviations from the mean."""
        z: np.ndarray = (logits - self.of_network[network] - self.of_id) / self.deviation
        return z


def _means(values: np.ndarray, groups: np.ndarray, count: int) -> np.ndarray:
    """Return the mean of each group; 0 of one that has no value."""
    sums = np.bincount(groups, weights=values, minlength=count)
    means: np.ndarray = sums / np.maximum(np.bincount(groups, minlength=count), 1)
    return means


@dataclasses.dataclass(frozen=True, slots=True)
class Calibrated:
    """Everything beside the networks that a fitted model consists of."""

    standard: Standard
    held_out: Calibration

    @classmethod
    def of(
        cls,
        logits: np.ndarray,
        ids: np.ndarray,
        networks: np.ndarray,
        names: tuple[str, ...],
        *,
        n_networks: int,
    ) -> Self:
        """Take the logits ``(clips, ids)`` of clips, each by the network ``(clips,)`` that has not seen its recording.

        Raises
        ------
        DatasetError
            If no clip could be scored.
        """
        own = logits[np.arange(len(ids)), ids]
        rows = np.flatnonzero(np.isfinite(own))
        if not len(rows):
            raise DatasetError(
                "near: no normal clip could be scored by a network that has not seen its recording; expected IDs "
                "with at least two recordings"
            )
        counts = n_networks, len(names)
        standard = Standard.of(own[rows], ids[rows], networks[rows], counts=counts)
        z = np.stack([standard.z(logits[row], int(networks[row])) for row in rows])
        at_own_id = z[np.arange(len(rows)), ids[rows]]
        # An ID that the network has not seen is far from all clips.
        z = np.where(np.isnan(z), np.nanmax(z) + 1.0, z)
        held_out = Calibration(
            kind="held_out",
            indices=rows,
            machine_ids=tuple(names[i] for i in ids[rows]),
            scores={SCORE: at_own_id},
            against_all={SCORE: z},
        )
        return cls(standard, held_out)

    def scores(self, logits: np.ndarray) -> np.ndarray:
        """Return the scores ``(clips, ids)`` of clips that no network has seen: ``(networks, clips, ids)`` logits.

        They are the mean over the networks that know the ID.
        """
        z = np.stack([self.standard.z(part, k) for k, part in enumerate(logits)])
        known = ~np.isnan(z)
        mean: np.ndarray = np.where(known, z, 0.0).sum(axis=0) / known.sum(axis=0)
        return mean

    def state(self, names: tuple[str, ...]) -> dict[str, np.ndarray]:
        """Return arrays: all that `from_state` needs."""
        assert self.held_out.against_all is not None
        return {
            "of_network": self.standard.of_network,
            "of_id": self.standard.of_id,
            "deviation": np.array([self.standard.deviation]),
            "indices": self.held_out.indices,
            "ids": np.searchsorted(names, self.held_out.machine_ids).astype(np.int64),
            "against_all": self.held_out.against_all[SCORE],
        }

    @classmethod
    def from_state(cls, arrays: Mapping[str, np.ndarray], names: tuple[str, ...], *, n_networks: int) -> Self:
        """Restore what `state` gave.

        Raises
        ------
        DetectorFileError
            If arrays do not fit each other.
        KeyError
            If one is missing.
        """
        ids, z, indices = (arrays[name] for name in ("ids", "against_all", "indices"))
        standard = Standard(arrays["of_network"], arrays["of_id"], float(arrays["deviation"][0]))
        shapes = {name: arrays[name].shape for name in ("of_network", "of_id", "deviation", "against_all")}
        expected = {
            "of_network": (n_networks,),
            "of_id": (len(names),),
            "deviation": (1,),
            "against_all": (len(ids), len(names)),
        }
        if shapes != expected or not np.isin(ids, np.arange(len(names))).all() or not len(ids):
            raise DetectorFileError(f"near: calibration of shapes {shapes}; expected {expected}")
        finite = all(np.isfinite(part).all() for part in (standard.of_network, standard.of_id, z))
        if not finite or not (np.isfinite(standard.deviation) & (standard.deviation > 0)).all():
            raise DetectorFileError(
                "near: calibration with values that are not finite, or deviations not above 0"
            )
        at_own_id = z[np.arange(len(ids)), ids]
        held_out = Calibration(
            kind="held_out",
            indices=indices,
            machine_ids=tuple(names[i] for i in ids),
            scores={SCORE: at_own_id},
            against_all={SCORE: z},
        )
        return cls(standard, held_out)
