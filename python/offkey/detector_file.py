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

__all__ = ["FORMAT_VERSION", "is_one", "read", "write"]

FORMAT_VERSION = 1
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

    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    header = {"format_version": FORMAT_VERSION, "offkey_version": __version__, **metadata}
    # One metadata entry only: safetensors writes several in an order that changes from run to run.
    label = {"header": header, "sha256": _checksum(arrays, header)}
    content = save(arrays, metadata={_LABEL: json.dumps(label, sort_keys=True, allow_nan=False)})
    with atomic_path(path) as scratch:
        scratch.write_bytes(content)


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
    except (SafetensorError, TypeError, ValueError, KeyError, OverflowError, MemoryError) as error:
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
    return arrays, header


def _parse(path: Path, text: str) -> tuple[dict[str, Any], str]:
    try:
        label = json.loads(text)
        header, checksum = label["header"], label["sha256"]
        header["format_version"] + 0  # a number, in a dict
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DetectorFileError(f"{path}: damaged: its metadata is not what offkey writes: {error}") from None
    return header, checksum


def _checksum(arrays: dict[str, np.ndarray], header: dict[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(header, sort_keys=True, allow_nan=False).encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"\0{name}\0{array.dtype.str}\0{array.shape}\0".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
