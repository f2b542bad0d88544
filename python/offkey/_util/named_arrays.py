"""Arrays by name, as files of detectors keep them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

__all__ = ["packed", "prefixed", "under", "unpacked"]


def prefixed(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the arrays with the names ``prefix.name``."""
    return {f"{prefix}.{name}": array for name, array in arrays.items()}


def under(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the arrays whose names begin with ``prefix.``, without it."""
    start = f"{prefix}."
    return {name.removeprefix(start): array for name, array in arrays.items() if name.startswith(start)}


def packed(matrices: np.ndarray) -> np.ndarray:
    """Return the upper triangles ``(..., p (p + 1) / 2)``, row by row, of symmetric matrices ``(..., p, p)``."""
    triangles: np.ndarray = matrices[..., *np.triu_indices(matrices.shape[-1])]
    return triangles


def unpacked(triangles: np.ndarray, size: int) -> np.ndarray:
    """Return the symmetric matrices ``(..., size, size)`` that `packed` was given."""
    matrices = np.empty((*triangles.shape[:-1], size, size), dtype=triangles.dtype)
    rows, columns = np.triu_indices(size)
    matrices[..., rows, columns] = matrices[..., columns, rows] = triangles
    return matrices
