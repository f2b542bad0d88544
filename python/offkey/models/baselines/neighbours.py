"""How far vectors are from their nearest neighbours among those of normal clips: exact, block by block."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Literal, Self, TypeAlias

import numpy as np
from threadpoolctl import threadpool_limits

from offkey.models.spectral.feature_sets import SMALLEST_DEVIATION

__all__ = ["Bank", "Distance", "Scale"]

Distance: TypeAlias = Literal["euclidean", "cosine"]

_BLOCK = 1 << 21  # distances that are in memory at once: 16 MiB
_DIFFERENCES = 1 << 21  # differences of coordinates, likewise


@dataclasses.dataclass(frozen=True, slots=True)
class Scale:
    """What is taken from each value of a vector, and what the rest is multiplied by."""

    centre: np.ndarray
    """``(dim,)`` float64."""
    gain: np.ndarray
    """``(dim,)`` float64; 0 for a value that does not vary over normal clips."""

    @classmethod
    def of(cls, vectors: np.ndarray, *, standardised: bool) -> Self:
        """Take mean and deviation of vectors ``(clips, dim)`` float64; what is not standardised stays as it is."""
        if not standardised:
            return cls(np.zeros(vectors.shape[1]), np.ones(vectors.shape[1]))
        centre, deviation = vectors.mean(axis=0), vectors.std(axis=0)
        smallest = SMALLEST_DEVIATION * np.sqrt(np.mean(np.square(deviation)))
        gain = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=deviation > smallest)
        return cls(centre, gain)

    def apply(self, vectors: np.ndarray) -> np.ndarray:
        """Return vectors ``(clips, dim)`` in units of the scale."""
        scaled: np.ndarray = (vectors - self.centre) * self.gain
        return scaled


@dataclasses.dataclass(frozen=True, slots=True)
class Bank:
    """Vectors of normal clips, part by part: each part of a vector has neighbours of its own.

    A distance is the mean over the parts. Of a part, `euclidean` is the length of the difference, `cosine` one minus
    the cosine of the angle, 0 to 2; a vector of zeros has no angle: it is 1 from all but other zeros.
    """

    distance: Distance
    columns: tuple[np.ndarray, ...]
    """Of each part, positions of its values in a vector."""
    parts: tuple[np.ndarray, ...]
    """``(clips, width)`` float64: the normal clips, each part about `centres`; for `cosine` of length 1."""
    centres: tuple[np.ndarray, ...]
    """``(width,)`` each: near the origin a product of matrices loses fewer digits."""
    ids: np.ndarray
    """``(clips,)`` int64: positions of machine IDs; every one occurs."""
    units: np.ndarray
    """``(clips,)`` int64: clips with the same one are of one recording."""

    @classmethod
    def of(
        cls,
        vectors: np.ndarray,
        *,
        ids: np.ndarray,
        units: np.ndarray,
        columns: Sequence[np.ndarray],
        distance: Distance,
    ) -> Self:
        """Keep vectors ``(clips, dim)`` float64; `columns` are the parts of a vector."""
        parts = [_part(vectors[:, chosen], distance) for chosen in columns]
        centres = [part.mean(axis=0) for part in parts]
        return cls(
            distance,
            tuple(columns),
            tuple(part - centre for part, centre in zip(parts, centres, strict=True)),
            tuple(centres),
            ids,
            units,
        )

    def distances(self, vectors: np.ndarray, *, neighbours: int, kth: bool) -> np.ndarray:
        """Return ``(clips, ids)`` float64: how far vectors are from the nearest ones of each machine ID.

        Parameters
        ----------
        vectors
            ``(clips, dim)`` float64.
        neighbours
            How many count; where an ID has fewer clips, those.
        kth
            Whether the distance is that of the last of them, not their mean.
        """
        return self._nearest(vectors, None, neighbours, kth)

    def left_out(self, vectors: np.ndarray, *, neighbours: int, kth: bool) -> np.ndarray:
        """Return the same for the vectors of the normal clips themselves, each without its recording.

        NaN where a clip's own ID has no other recording. Another ID that has none but this recording keeps its clips.
        """
        distances = self._nearest(vectors, self.units, neighbours, kth)
        lone = np.isnan(distances)
        lone[np.arange(len(self.ids)), self.ids] = False
        rows = np.flatnonzero(lone.any(axis=1))
        if len(rows):
            whole = self._nearest(vectors[rows], None, neighbours, kth)
            distances[rows] = np.where(lone[rows], whole, distances[rows])
        return distances

    def _nearest(
        self, vectors: np.ndarray, units: np.ndarray | None, neighbours: int, kth: bool
    ) -> np.ndarray:
        total = np.zeros((len(vectors), int(self.ids.max()) + 1))
        with threadpool_limits(1, user_api="blas"):  # a sum in another order is another number
            for chosen, bank, centre in zip(self.columns, self.parts, self.centres, strict=True):
                part = _part(vectors[:, chosen], self.distance) - centre
                for rows in _blocks(len(part), _BLOCK // len(bank)):
                    away = None if units is None else units[rows, None] != self.units
                    total[rows] += self._of_block(part[rows], bank, away, neighbours, kth)
        return total / len(self.parts)

    def _of_block(
        self, part: np.ndarray, bank: np.ndarray, away: np.ndarray | None, neighbours: int, kth: bool
    ) -> np.ndarray:
        """Return ``(rows, ids)``; `away`, ``(rows, clips)``, says which clips may be neighbours."""
        squares = np.square(part).sum(axis=1)[:, None] + np.square(bank).sum(axis=1) - 2 * (part @ bank.T)
        if away is not None:
            squares[~away] = np.inf
        distances = np.empty((len(part), int(self.ids.max()) + 1))
        for column in range(distances.shape[1]):
            members = np.flatnonzero(self.ids == column)
            count = min(neighbours, len(members))
            places = members[np.argpartition(squares[:, members], count - 1, axis=1)[:, :count]]
            usable = np.isfinite(np.take_along_axis(squares, places, axis=1))
            exact = np.where(usable, _exact(part, bank, places, self.distance), np.nan)
            distances[:, column] = _of_neighbours(exact, kth)
        return distances


def _part(values: np.ndarray, distance: Distance) -> np.ndarray:
    """Return the vectors as they are compared; of a cosine with a last coordinate that only vectors of zeros have."""
    if distance == "euclidean":
        return values
    largest = np.abs(values).max(axis=1, keepdims=True)
    none = largest == 0
    scaled = values / np.where(none, 1.0, largest)  # squares of huge or tiny values leave the range
    length = np.linalg.norm(scaled, axis=1, keepdims=True)
    return np.concatenate([scaled / np.where(none, 1.0, length), none], axis=1)


def _exact(part: np.ndarray, bank: np.ndarray, places: np.ndarray, distance: Distance) -> np.ndarray:
    """Return the distances ``(rows, neighbours)`` of chosen clips by their differences, without cancellation."""
    squares = np.empty(places.shape)
    for rows in _blocks(len(part), _DIFFERENCES // (places.shape[1] * part.shape[1])):
        squares[rows] = np.square(part[rows, None] - bank[places[rows]]).sum(axis=2)
    return squares / 2 if distance == "cosine" else np.sqrt(squares)


def _of_neighbours(distances: np.ndarray, kth: bool) -> np.ndarray:
    """Return the mean or largest ``(rows,)`` of distances in any order, NaN left out; NaN where all are."""
    known = ~np.isnan(distances)
    filled = np.sort(np.where(known, distances, 0.0), axis=1)  # a sum in another order is another number
    value = filled[:, -1] if kth else filled.sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    return np.where(known.any(axis=1), value, np.nan)


def _blocks(count: int, size: int) -> Iterator[slice]:
    size = max(1, size)
    return (slice(start, start + size) for start in range(0, count, size))
