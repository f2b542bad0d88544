"""offkey listens to machines and says when one sounds wrong.

The public names are loaded on first use: ``import offkey`` itself loads numpy alone.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from offkey._native import __version__

if TYPE_CHECKING:
    from offkey import audio, datasets, errors
    from offkey.audio import Audio, AudioBatch, AudioInfo, info, read, read_batch, resample

# public name -> module that defines it; a name equal to its module's last part is the module itself
_HOME = {
    "Audio": "offkey.audio",
    "AudioBatch": "offkey.audio",
    "AudioInfo": "offkey.audio",
    "audio": "offkey.audio",
    "datasets": "offkey.datasets",
    "errors": "offkey.errors",
    "info": "offkey.audio",
    "read": "offkey.audio",
    "read_batch": "offkey.audio",
    "resample": "offkey.audio",
}

__all__ = [
    "Audio",
    "AudioBatch",
    "AudioInfo",
    "__version__",
    "audio",
    "datasets",
    "errors",
    "info",
    "read",
    "read_batch",
    "resample",
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
