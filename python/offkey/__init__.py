"""offkey listens to machines and says when one sounds wrong.

The public names are loaded on first use: ``import offkey`` itself loads numpy alone.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from offkey._native import __version__

if TYPE_CHECKING:
    from offkey import audio, augment, benchmark, datasets, errors, evaluation, report, scoring
    from offkey.audio import Audio, AudioBatch, AudioInfo, info, read, read_batch, resample
    from offkey.augmenter import Augmenter
    from offkey.detector import Detector, load
    from offkey.evaluation.protocols import Evaluation, evaluate
    from offkey.features import ClipStatistics, LogMel, clip_statistics
    from offkey.loader import batch_loader
    from offkey.recipe import Recipe
    from offkey.scoring.gaussian import Gaussian
    from offkey.scoring.table import ScoreTable

# public name -> module that defines it; a name equal to its module's last part is the module itself
_HOME = {
    "Audio": "offkey.audio",
    "AudioBatch": "offkey.audio",
    "AudioInfo": "offkey.audio",
    "Augmenter": "offkey.augmenter",
    "ClipStatistics": "offkey.features",
    "Detector": "offkey.detector",
    "Evaluation": "offkey.evaluation.protocols",
    "Gaussian": "offkey.scoring.gaussian",
    "LogMel": "offkey.features",
    "Recipe": "offkey.recipe",
    "ScoreTable": "offkey.scoring.table",
    "audio": "offkey.audio",
    "augment": "offkey.augment",
    "batch_loader": "offkey.loader",
    "benchmark": "offkey.benchmark",
    "clip_statistics": "offkey.features",
    "datasets": "offkey.datasets",
    "errors": "offkey.errors",
    "evaluate": "offkey.evaluation.protocols",
    "evaluation": "offkey.evaluation",
    "info": "offkey.audio",
    "load": "offkey.detector",
    "read": "offkey.audio",
    "read_batch": "offkey.audio",
    "report": "offkey.report",
    "resample": "offkey.audio",
    "scoring": "offkey.scoring",
}

__all__ = [
    "Audio",
    "AudioBatch",
    "AudioInfo",
    "Augmenter",
    "ClipStatistics",
    "Detector",
    "Evaluation",
    "Gaussian",
    "LogMel",
    "Recipe",
    "ScoreTable",
    "__version__",
    "audio",
    "augment",
    "batch_loader",
    "benchmark",
    "clip_statistics",
    "datasets",
    "errors",
    "evaluate",
    "evaluation",
    "info",
    "load",
    "read",
    "read_batch",
    "report",
    "resample",
    "scoring",
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
