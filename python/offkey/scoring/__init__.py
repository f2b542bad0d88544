"""From embeddings to scores and decisions: Gaussians, standardisation, combinations, thresholds, tables."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from offkey.scoring import combine, gaussian, standardize, table, threshold

__all__ = ["combine", "gaussian", "standardize", "table", "threshold"]


def __getattr__(name: str) -> ModuleType:
    # On first use: this package and its neighbour use parts of each other.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module(f"{__name__}.{name}")
