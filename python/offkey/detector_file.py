"""The file of a saved detector: safetensors with JSON metadata and a checksum, never a pickle."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from offkey import __version__
from offkey._util.files import atomic_path
from offkey.errors import DetectorFileError

__all__ = ["FORMAT_VERSION", "fingerprint", "is_one", "read", "write"]

FORMAT_VERSION = 4
"""Raised by one whenever older versions of offkey could no longer read what this one writes."""

_LABEL = "offkey"


def write(path: Path | str, arrays: dict[str, np.ndarray], metadata: dict[str, Any]) -> None:
    """Write arrays and plain data, whole or not at all.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    from safetensors.numpy import save

    arrays, header = _content(arrays, metadata)
    # One metadata entry only: safetensors writes several in an order that changes from run to run.
    label = {"header": header, "sha256": _checksum(arrays, header)}
    content = save(arrays, metadata={_LABEL: json.dumps(label, sort_keys=True, allow_nan=False)})
    with atomic_path(path) as scratch:
        scratch.write_bytes(content)


def fingerprint(arrays: dict[str, np.ndarray], metadata: dict[str, Any]) -> str:
    """Return the checksum that a file of this content has."""
    return _checksum(*_content(arrays, metadata))


def _content(
    arrays: dict[str, np.ndarray], metadata: dict[str, Any]
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    header = {"format_version": FORMAT_VERSION, "offkey_version": __version__, **metadata}
    return {name: np.ascontiguousarray(array) for name, array in arrays.items()}, header


def is_one(path: Path | str) -> bool:
    """Say whether a file is meant to be a detector, whole or damaged: by its name or its first bytes.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    path = Path(path)
    with path.open("rb") as file:
        # The length of a JSON object in 8 bytes, and its first byte: no sound file begins so.
        return path.suffix == ".offkey" or ((head := file.read(9))[8:] == b"{" and head[6:8] == b"\0\0")


def read(path: Path | str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read what `write` wrote.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    DetectorFileError
        If the file is no detector, is damaged, or comes from a newer version.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if path.is_dir():
        raise DetectorFileError(f"{path}: is a folder; expected a detector file as `Detector.save` writes it")
    path.open("rb").close()  # FileNotFoundError and PermissionError as the system words them
    try:
        with safe_open(path, framework="numpy") as file:
            text = (file.metadata() or {}).get(_LABEL)
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (
        SafetensorError,
        AttributeError,
        TypeError,
        ValueError,
        KeyError,
        OverflowError,
        MemoryError,
    ) as error:
        raise DetectorFileError(f"{path}: damaged, or not a detector file: {error}") from None
    if text is None:
        raise DetectorFileError(f"{path}: a safetensors file, but not one that offkey wrote, or damaged")
    header, checksum = _parse(path, text)
    if header["format_version"] > FORMAT_VERSION:
        raise DetectorFileError(
            f"{path}: written by offkey {header.get('offkey_version')} in format {header['format_version']}; "
            f"this is offkey {__version__}, which reads formats up to {FORMAT_VERSION}: upgrade offkey"
        )
    try:
        whole = _checksum(arrays, header) == checksum
    except (ValueError, RecursionError):  # a number that JSON has no word for: `write` refuses it
        whole = False
    if not whole:
        raise DetectorFileError(f"{path}: damaged: its checksum does not match its contents; copy it anew")
    return arrays, upgraded(header, where=path)


def upgraded(header: dict[str, Any], *, where: object) -> dict[str, Any]:
    """Return the metadata of a file of an earlier format as this version writes them; what was not kept is None.

    Raises
    ------
    DetectorFileError
        If they are not what that format has; the message names `where`.
    """
    try:
        for version in range(header["format_version"], FORMAT_VERSION):
            header = _UPGRADES[version](header)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise DetectorFileError(
            f"{where}: its metadata are not those of format {header['format_version']}: {error!r}"
        ) from None
    return header


def _from_1(header: dict[str, Any]) -> dict[str, Any]:
    """Format 1 kept no outputs, no criteria, no record of the training, and the notes of all parts together."""
    models = {name: dict(state) for name, state in header["models"].items()}
    if "network" in models:
        models["network"] |= {"outputs": None, "provenance": {}}
    of_models = {note for state in models.values() for note in state["notes"]}
    notes = list(header["notes"])
    # Those of the data came first, then those of the models, then those of the fusion.
    places = [at for at, note in enumerate(notes) if note in of_models]
    first, last = (places[0], places[-1]) if places else (len(notes), len(notes))
    fusion = header["fusion"] | {"notes": notes[last + 1 :], "criteria": {}}
    changes = {
        "format_version": 2,
        "models": models,
        "notes": notes[:first],
        "fusion": fusion,
        "training": None,
    }
    return header | changes


def _from_2(header: dict[str, Any]) -> dict[str, Any]:
    """Format 2 had a quantile for a rate, and stored thresholds, with notes on them, that now follow from the rate.

    A network held out a fraction of the clips, however few they were.
    """
    recipe = json.loads(header["recipe"])
    scoring = {"holdout_clips": 0} | dict(recipe.get("scoring", {}))
    if "quantile" in scoring:
        scoring["false_alarm_rate"] = round(1 - scoring.pop("quantile"), 12)
    fusion = dict(header["fusion"])
    fusion["notes"] = [note for note in fusion["notes"] if not note.startswith("thresholds:")]
    return header | {
        "format_version": 3,
        "recipe": json.dumps(recipe | {"scoring": scoring}),
        "fusion": fusion,
    }


def _from_3(header: dict[str, Any]) -> dict[str, Any]:
    """Format 3 had the first edition of the spectral model alone; the default is the second now."""
    recipe = json.loads(header["recipe"])
    if isinstance(recipe.get("spectral"), dict):
        first_edition = {"spectra": [], "rhythm": False, "check_margin": 0.0}
        recipe["spectral"] = first_edition | recipe["spectral"]
    return header | {"format_version": 4, "recipe": json.dumps(recipe)}


_UPGRADES = {1: _from_1, 2: _from_2, 3: _from_3}


def _parse(path: Path, text: str) -> tuple[dict[str, Any], str]:
    try:
        label = json.loads(text)
        header, checksum = label["header"], label["sha256"]
        if type(header["format_version"]) is not int or header["format_version"] < 1:
            raise TypeError("format_version is no number from 1")
    except (ValueError, KeyError, TypeError, RecursionError) as error:  # deep JSON, numbers of 10,000 digits
        raise DetectorFileError(f"{path}: damaged: its metadata is not what offkey writes: {error}") from None
    return header, checksum


def _checksum(arrays: dict[str, np.ndarray], header: dict[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(header, sort_keys=True, allow_nan=False).encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"\0{name}\0{array.dtype.str}\0{array.shape}\0".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
