"""How far vectors are from their nearest neighbours among those of normal clips: exact, block by block."""

from __future__ import annotations

import dataclasses
import itertools
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
    """``(clips, width)`` float64: the normal clips ID after ID, each part about `centres`; for `cosine` of length 1."""
    squares: tuple[np.ndarray, ...]
    """``(clips,)`` each: of their lengths."""
    centres: tuple[np.ndarray, ...]
    """``(width,)`` each: near the origin a product of matrices loses fewer digits."""
    ids: np.ndarray
    """``(clips,)`` int64: positions of machine IDs; every one occurs."""
    units: np.ndarray
    """``(clips,)`` int64: clips with the same one are of one recording."""
    order: np.ndarray
    """``(clips,)`` int64: which clip is where in `parts`."""

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
        order = np.argsort(ids, kind="stable")
        parts = [_part(vectors[order][:, chosen], distance) for chosen in columns]
        centres = [part.mean(axis=0) for part in parts]
        parts = [part - centre for part, centre in zip(parts, centres, strict=True)]
        return cls(
            distance,
            tuple(columns),
            tuple(parts),
            tuple(np.square(part).sum(axis=1) for part in parts),
            tuple(centres),
            ids,
            units,
            order,
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
        ends = np.cumsum(np.bincount(self.ids)).tolist()
        total = np.zeros((len(vectors), len(ends)))
        with threadpool_limits(1, user_api="blas"):  # a sum in another order is another number
            for chosen, bank, squares, centre in zip(
                self.columns, self.parts, self.squares, self.centres, strict=True
            ):
                part = _part(vectors[:, chosen], self.distance) - centre
                for rows in _blocks(len(part), _BLOCK // len(bank)):
                    keys = part[rows] @ bank.T  # to squares of distances, but for the length of each vector
                    keys *= -2
                    keys += squares
                    if units is not None:
                        keys[units[rows, None] == self.units[self.order]] = np.inf
                    for column, members in enumerate(
                        itertools.starmap(slice, itertools.pairwise([0, *ends]))
                    ):
                        near = self._of_id(part[rows], bank[members], keys[:, members], neighbours)
                        total[rows, column] += _of_neighbours(near, kth)
        return total / len(self.parts)

    def _of_id(self, part: np.ndarray, bank: np.ndarray, keys: np.ndarray, neighbours: int) -> np.ndarray:
        """Return distances ``(rows, neighbours)`` in any order; NaN where no clip is left that may be one."""
        count = min(neighbours, len(bank))
        one = count == 1
        places = keys.argmin(axis=1)[:, None] if one else np.argpartition(keys, count - 1, axis=1)[:, :count]
        usable = np.isfinite(np.take_along_axis(keys, places, axis=1))
        return np.where(usable, _exact(part, bank, places, self.distance), np.nan)


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
        away = bank[places[rows]]
        away -= part[rows, None]
        squares[rows] = np.einsum("rnw,rnw->rn", away, away)
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
