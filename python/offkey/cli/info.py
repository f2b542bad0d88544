"""`offkey info`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from offkey import datasets, detector_file
from offkey._util.text_table import printable
from offkey.cli import console
from offkey.datasets.channels import channel_levels, rounded
from offkey.detector import load
from offkey.errors import OffkeyError
from offkey.signal import audio

__all__ = ["info"]

_LONG = 30  # longer texts get a line of their own


def info(path: Path, /, *, json: bool = False) -> None:
    """Describe a file or folder: a trained detector, a sound file, or a folder of recordings.

    Parameters
    ----------
    path
        A detector, a sound file or a folder.
    json
        Print it as JSON.
    """
    facts = _facts(path)
    if json:
        console.print_json(facts)
    else:
        console.result("\n".join(f"{name + ':':<16} {_plain(value)}" for name, value in facts.items()))


def _facts(path: Path) -> dict[str, Any]:
    if path.is_dir():
        return _folder(path)
    if detector_file.is_one(path):
        return {"kind": "detector", "path": str(path), **load(path).describe()}
    header = audio.info(path)
    facts = {"kind": "sound file", "path": str(path), **dataclasses.asdict(header)}
    return facts | (_levels(path, header) if header.channels > 1 else {})


def _levels(path: Path, header: audio.AudioInfo) -> dict[str, Any]:
    """Return how loud each channel is, where the file can be read."""
    try:
        return {"channel_rms_dbfs": rounded(channel_levels(path, header)[:-1])}
    except (OffkeyError, OSError):
        return {}


def _folder(path: Path) -> dict[str, Any]:
    files = datasets.find_audio([path])
    layout = datasets.detect_layout(path)
    facts: dict[str, Any] = {"kind": "folder", "path": str(path), "layout": layout, "sound files": len(files)}
    machines = datasets.list_machines(path, layout=layout)
    return facts | {"machines": machines}


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return "".join(f"\n  {printable(name) + ':':<14} {_plain(item)}" for name, item in value.items())
    if isinstance(value, list | tuple):
        texts = [_plain(item) for item in value]
        return ", ".join(texts) if all(len(text) < _LONG for text in texts) else "\n  - ".join(["", *texts])
    return printable(str(value))
