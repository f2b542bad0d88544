"""offkey listens to machines and says when one sounds wrong.

The public names are loaded on first use: ``import offkey`` itself loads numpy alone.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from offkey._native import __version__

if TYPE_CHECKING:
    from offkey import datasets, errors
    from offkey.evaluation.protocols import evaluate
    from offkey.features import ClipStatistics, LogMel, clip_statistics
    from offkey.scoring.table import ScoreTable

# public name -> module that defines it; a name equal to its module's last part is the module itself
_HOME = {
    "ClipStatistics": "offkey.features",
    "LogMel": "offkey.features",
    "ScoreTable": "offkey.scoring.table",
    "clip_statistics": "offkey.features",
    "datasets": "offkey.datasets",
    "errors": "offkey.errors",
    "evaluate": "offkey.evaluation.protocols",
}

__all__ = [
    "ClipStatistics",
    "LogMel",
    "ScoreTable",
    "__version__",
    "clip_statistics",
    "datasets",
    "errors",
    "evaluate",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'offkey' has no attribute {name!r}")
    module = importlib.import_module(_HOME[name])
    value = module if _HOME[name] == f"offkey.{name}" else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(_HOME))
