"""Arrays by name, as files of detectors keep them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

__all__ = ["packed", "prefixed", "under"]


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
