"""`offkey info`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from offkey import detector_file
from offkey._util.text_table import printable
from offkey.cli import app, console, exit_codes
from offkey.cli.options import DataOptions
from offkey.cli.words import description_in_options, survey_in_options
from offkey.datasets.channels import channel_levels, rounded
from offkey.detector import load
from offkey.errors import OffkeyError, ParameterError
from offkey.signal import audio

__all__ = ["info"]

_LONG = 30  # longer texts get a line of their own


def info(
    data: Path,
    /,
    *,
    reading: DataOptions = DataOptions(),  # noqa: B008  # immutable
    seed: int = 0,
    threads: int | None = None,
    json: bool = False,
) -> int:
    """Describe a file or folder: a trained detector, a sound file, or a folder of recordings.

    Of a folder it says what `offkey train` with the same options would see: how many recordings of each machine, ID,
    split and label, at which rates, channels and lengths, and what is passed over and why.

    Parameters
    ----------
    data
        A detector, a sound file or a folder.
    seed
        As for `offkey train`; it may decide which recordings are for testing.
    threads
        Number of files whose headers are read side by side; as many as there are cores by default.
    json
        Print it as JSON.
    """
    if data.is_dir():
        with console.bars() as bars:
            seen = reading.survey(data, seed=seed, num_threads=threads, on_progress=bars.counter("looking"))
        seen = survey_in_options(seen, app["train"])
        if json:
            console.print_json({"kind": "folder", "path": str(data), **seen.to_dict()})
        else:
            console.result(
                f"{printable(str(data))}, read as layout {seen.layout}: {seen.summary()}\n\n{seen.to_text()}"
            )
        return exit_codes.partly(seen.unread)
    if reading != DataOptions():
        raise ParameterError(f"{data}: a file; options of how recordings are read are for folders")
    facts = _facts(data)
    if json:
        console.print_json(facts)
    else:
        console.result("\n".join(f"{name + ':':<16} {_plain(value)}" for name, value in facts.items()))
    return exit_codes.DONE


def _facts(path: Path) -> dict[str, Any]:
    if detector_file.is_one(path):
        description = description_in_options(load(path).describe(), app["train"])
        return {"kind": "detector", "path": str(path), **description}
    header = audio.info(path)
    facts = {"kind": "sound file", "path": str(path), **dataclasses.asdict(header)}
    return facts | (_levels(path, header) if header.channels > 1 else {})


def _levels(path: Path, header: audio.AudioInfo) -> dict[str, Any]:
    """Return how loud each channel is, where the file can be read."""
    try:
        return {"channel_rms_dbfs": rounded(channel_levels(path, header)[:-1])}
    except (OffkeyError, OSError):
        return {}


def _plain(value: Any, *, depth: int = 1) -> str:
    if isinstance(value, dict):
        indent = "\n" + "  " * depth
        return "".join(
            f"{indent}{printable(name) + ':':<14} {_plain(item, depth=depth + 1)}".rstrip()
            for name, item in value.items()
        )
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        texts = [_plain(item, depth=depth + 1) for item in value]
        start = "\n" + "  " * depth + "- "
        short = all(len(text) < _LONG and "\n" not in text for text in texts)
        return ", ".join(texts) if short else "".join(start + text.lstrip() for text in texts)
    return printable(str(value))
