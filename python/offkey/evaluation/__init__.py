"""Measures of how well anomalies are told from normal clips, and the protocols of public tasks."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from offkey.evaluation import protocols, roc, submission, tables

__all__ = ["protocols", "roc", "submission", "tables"]


def __getattr__(name: str) -> ModuleType:
    # On first use: this package and its neighbour use parts of each other.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module(f"{__name__}.{name}")
