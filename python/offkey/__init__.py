"""offkey listens to machines and says when one sounds wrong.

The public names are loaded on first use: ``import offkey`` itself loads numpy alone.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from offkey._native import __version__

if TYPE_CHECKING:
    from offkey import (
        benchmark,
        datasets,
        errors,
        evaluation,
        explain,
        metrics,
        models,
        monitoring,
        recipe,
        report,
        scoring,
        signal,
    )
    from offkey.archive import RayCluster, merge_scores
    from offkey.detector import Detector, load
    from offkey.detector_group import score_to
    from offkey.evaluation.protocols import Evaluation, evaluate
    from offkey.models.network.loader import batch_loader
    from offkey.monitoring.trends import trend
    from offkey.recipe import Recipe
    from offkey.scores import ScoreTable, read_scores
    from offkey.scoring.gaussian import Gaussian
    from offkey.signal import audio, augment
    from offkey.signal.audio import (
        Audio,
        AudioBatch,
        AudioBlocks,
        AudioInfo,
        info,
        read,
        read_batch,
        read_blocks,
        resample,
    )
    from offkey.signal.augmenter import Augmenter
    from offkey.signal.logmel import LogMel
    from offkey.signal.statistics import ClipStatistics, clip_statistics, rhythm

_MODULES = {
    "audio": "offkey.signal.audio",
    "augment": "offkey.signal.augment",
    "benchmark": "offkey.benchmark",
    "datasets": "offkey.datasets",
    "errors": "offkey.errors",
    "evaluation": "offkey.evaluation",
    "explain": "offkey.explain",
    "metrics": "offkey.metrics",
    "models": "offkey.models",
    "monitoring": "offkey.monitoring",
    "recipe": "offkey.recipe",
    "report": "offkey.report",
    "scoring": "offkey.scoring",
    "signal": "offkey.signal",
}

# public name -> module that defines it
_NAMES = {
    "Audio": "offkey.signal.audio",
    "AudioBatch": "offkey.signal.audio",
    "AudioBlocks": "offkey.signal.audio",
    "AudioInfo": "offkey.signal.audio",
    "Augmenter": "offkey.signal.augmenter",
    "ClipStatistics": "offkey.signal.statistics",
    "Detector": "offkey.detector",
    "Evaluation": "offkey.evaluation.protocols",
    "Gaussian": "offkey.scoring.gaussian",
    "LogMel": "offkey.signal.logmel",
    "RayCluster": "offkey.archive",
    "Recipe": "offkey.recipe",
    "ScoreTable": "offkey.scores",
    "batch_loader": "offkey.models.network.loader",
    "clip_statistics": "offkey.signal.statistics",
    "evaluate": "offkey.evaluation.protocols",
    "info": "offkey.signal.audio",
    "load": "offkey.detector",
    "merge_scores": "offkey.archive",
    "read": "offkey.signal.audio",
    "read_batch": "offkey.signal.audio",
    "read_blocks": "offkey.signal.audio",
    "read_scores": "offkey.scores",
    "resample": "offkey.signal.audio",
    "rhythm": "offkey.signal.statistics",
    "score_to": "offkey.detector_group",
    "trend": "offkey.monitoring.trends",
}

__all__ = [
    "Audio",
    "AudioBatch",
    "AudioBlocks",
    "AudioInfo",
    "Augmenter",
    "ClipStatistics",
    "Detector",
    "Evaluation",
    "Gaussian",
    "LogMel",
    "RayCluster",
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
    "explain",
    "info",
    "load",
    "merge_scores",
    "metrics",
    "models",
    "monitoring",
    "read",
    "read_batch",
    "read_blocks",
    "read_scores",
    "recipe",
    "report",
    "resample",
    "rhythm",
    "score_to",
    "scoring",
    "signal",
    "trend",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        value: Any = importlib.import_module(_MODULES[name])
    elif name in _NAMES:
        value = getattr(importlib.import_module(_NAMES[name]), name)
    else:
        raise AttributeError(f"module 'offkey' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES, *_NAMES})
