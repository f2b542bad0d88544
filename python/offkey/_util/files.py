"""Files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

__all__ = ["atomic_path", "check_writable", "write_text"]


@contextlib.contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """Give a new name in the folder of `path` to write to; on leaving, that file takes the place of `path`.

    The bytes are on disk before the name changes, so a killed process or a full disk leaves what stood at `path`
    before, never a part of a file. On an exception the new file is removed.

    Raises
    ------
    FileNotFoundError, IsADirectoryError
        If the folder does not exist, or `path` itself is a folder.
    OSError
        If the folder cannot be written to, or the disk is full.
    """
    path, scratch = _target_and_scratch(Path(path))
    try:
        yield scratch
        with scratch.open("rb+") as file:
            os.fsync(file.fileno())
        scratch.replace(path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise


def check_writable(path: Path | str) -> None:
    """Find out before long work whether its result can be written: by writing an empty file beside `path`.

    What stands at `path` is not touched.

    Raises
    ------
    FileNotFoundError, IsADirectoryError
        As `atomic_path`.
    OSError
        If the folder cannot be written to.
    """
    _, scratch = _target_and_scratch(Path(path))
    try:
        scratch.touch(exist_ok=False)
    except OSError as error:
        raise type(error)(
            error.errno, f"cannot write {scratch.parent.name or scratch.parent}: {error.strerror}", str(path)
        ) from None
    scratch.unlink()


def _target_and_scratch(path: Path) -> tuple[Path, Path]:
    path = path.resolve() if path.is_symlink() else path  # the file behind a link is replaced, the link stays
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path.parent}: no such folder to write {path.name} in; make it first")
    if path.is_dir():
        raise IsADirectoryError(f"{path}: is a folder; expected the name of a file to write")
    # The ending stays: libraries pick a format by it. The leading dot keeps globs away from it.
    return path, path.with_name(f".{path.stem}.{secrets.token_hex(4)}{path.suffix}")


def write_text(path: Path | str, text: str) -> None:
    """Write text as UTF-8 with LF line ends, whole or not at all."""
    with atomic_path(path) as scratch:
        scratch.write_text(text, encoding="utf-8", newline="\n")
