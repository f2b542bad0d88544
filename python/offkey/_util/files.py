"""Files that are there whole or not at all; pipes and devices, which are written to."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from offkey.errors import ParameterError

__all__ = [
    "atomic_path",
    "check_folder",
    "check_new",
    "check_writable",
    "encoded",
    "ending_of",
    "is_stream",
    "named",
    "opened_to_append",
    "path_text",
    "write_text",
]

_DESCRIPTORS = {"/dev/stdout": 1, "/dev/stderr": 2}
_DESCRIPTOR = re.compile(r"/(?:dev|proc/self)/fd/(\d+)")
READER_WAIT_S = 30.0
"""How long a pipe may have no reader."""


@contextlib.contextmanager
def atomic_path(path: Path | str, scratch_folder: Path | None = None) -> Iterator[Path]:
    """Give the name of an empty file to write to; on leaving, that file takes the place of `path`.

    The bytes are on disk before the name changes, so a killed process or a full disk leaves what stood at `path`
    before, never a part of a file. On an exception the new file is removed. What is overwritten keeps its mode and,
    where that is allowed, its owner; the file behind a symbolic link is the one that is overwritten. A file with
    several names, or in a folder that takes no new file, is filled anew once all is known to fit on the disk. Pipes and
    devices are written to.

    Parameters
    ----------
    path
        The file.
    scratch_folder
        Where the new file lies until it is whole: a process that is killed leaves it there. By default beside `path`.

    Raises
    ------
    FileNotFoundError, IsADirectoryError
        If the folder does not exist, or `path` itself is a folder.
    OSError
        If the file cannot be written, the disk is full, or nobody reads the pipe; it names `path`.
    """
    path = Path(path)
    target = path if is_stream(path) else _target(path)
    with named(path):
        scratch = _scratch(target, scratch_folder)
    try:
        with named(path, scratch):
            yield scratch
            if is_stream(path):
                _pour(scratch, path)
            else:
                with scratch.open("rb+") as file:
                    os.fsync(file.fileno())
                _put(scratch, target)
    finally:
        scratch.unlink(missing_ok=True)


def check_writable(path: Path | str) -> None:
    """Find out before long work whether its result can be written: by writing an empty file beside `path`.

    What stands at `path` is not touched.

    Raises
    ------
    FileNotFoundError, IsADirectoryError
        As `atomic_path`.
    OSError
        If it cannot be written.
    """
    path = Path(path)
    if is_stream(path):
        if not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return
    target = _target(path)
    _try(target, path)


def check_folder(path: Path | str) -> None:
    """Find out before long work whether its results can be written into a folder, which is not made yet.

    Raises
    ------
    NotADirectoryError
        If `path`, or what it would be in, is no folder.
    OSError
        If it cannot be made, or nothing can be written into it.
    """
    path = Path(path)
    nearest = path.absolute()
    while not os.path.lexists(nearest):
        nearest = nearest.parent
    if not nearest.is_dir():
        raise NotADirectoryError(f"{nearest}: is no folder; expected one to write to, or a name that is free")
    _try(nearest / "new", path)


def check_new(path: Path) -> None:
    """Raise FileExistsError if there is a file of this name, which is not to be written over."""
    if os.path.lexists(path):
        raise FileExistsError(f"{path}: is there already, and is not written over; give another folder")


@contextlib.contextmanager
def named(path: Path | str, *scratches: Path) -> Iterator[None]:
    """Name the file that the user knows in an error that names none, or one that exists only while it is written."""
    try:
        yield
    except OSError as error:
        known = error.filename is not None and not str(error.filename).startswith(tuple(map(str, scratches)))
        if known or error.errno is None:
            raise
        raise type(error)(error.errno, error.strerror, str(path)) from None


def opened_to_append(path: Path) -> BinaryIO:
    """Open a file, to which lines are added at once; or a pipe or device, where a pipe that is full takes none.

    Raises
    ------
    OSError
        If it cannot be written, or nobody reads the pipe.
    """
    number = _descriptor(path)
    with named(path):
        if number is not None:
            return os.fdopen(os.dup(number), "wb", 0)
        if not is_stream(path):
            return _target(path).open("ab", 0)
        descriptor = _opened(path)
        os.set_blocking(descriptor, False)
        return os.fdopen(descriptor, "wb", 0)


def is_stream(path: Path | str) -> bool:
    """Say whether a path is a pipe, a device such as a terminal, or an open file such as ``/dev/stdout``."""
    if _descriptor(path) is not None:
        return True
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 - also of text
    except (OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)


def ending_of(path: Path, endings: Sequence[str]) -> str:
    """Return a file's ending, which says its format; a stream without one gets plain text.

    Raises
    ------
    ParameterError
        If it is none of `endings`.
    """
    ending = path.suffix.lower()
    if not ending and is_stream(path):
        return ".txt"
    if ending not in endings:
        raise ParameterError(f"{path}: ending {path.suffix!r}; expected one of {', '.join(endings)}")
    return ending


def encoded(text: str) -> bytes:
    """Return text as UTF-8; a file name in it that is not UTF-8 keeps its bytes."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half a character of UTF-16, as names on Windows may have it
        return text.encode("utf-8", "surrogatepass")


def path_text(path: str | os.PathLike[str]) -> str:
    """Return ``str(Path(path))``, at once of a path that is written like that already; a URL as it is."""
    text = os.fspath(path)
    if "://" in text:
        return text
    if os.sep == "\\" or not text or "//" in text or "/./" in text or text.startswith("./"):
        return str(Path(text))
    return str(Path(text)) if text.endswith(("/", "/.")) else text


def write_text(path: Path | str, text: str) -> None:
    """Write text as UTF-8 with LF line ends, whole or not at all."""
    with atomic_path(path) as scratch:
        scratch.write_bytes(encoded(text))


def _try(target: Path, path: Path) -> None:
    """Write an empty file beside the target; an error names `path`."""
    try:
        _scratch(target).unlink()
    except OSError as error:
        folder = target.parent.name or target.parent
        raise type(error)(error.errno, f"cannot write {folder}: {error.strerror}", str(path)) from None


def _descriptor(path: Path | str) -> int | None:
    match = _DESCRIPTOR.fullmatch(str(path))
    return int(match[1]) if match else _DESCRIPTORS.get(str(path))


def _target(path: Path) -> Path:
    """Return the file that is to be replaced, behind all links."""
    target = path.resolve() if path.is_symlink() else path
    if not target.parent.is_dir():
        raise FileNotFoundError(f"{target.parent}: no such folder to write {target.name} in; make it first")
    if target.is_dir():
        raise IsADirectoryError(f"{target}: is a folder; expected the name of a file to write")
    if target.exists():
        if not target.is_file():
            raise OSError(errno.EINVAL, "is no file, pipe or character device to write to", str(path))
        if not os.access(target, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    return target


def _scratch(target: Path, folder: Path | None = None) -> Path:
    """Make an empty file, in a folder or beside the target; among the temporary ones where none may be."""
    known = target.exists()
    folder = folder or target.parent
    if is_stream(target) or (known and not os.access(folder, os.W_OK | os.X_OK)):
        folder = Path(tempfile.gettempdir())
    # The ending stays: libraries pick a format by it. The leading dot keeps globs away from it.
    scratch = folder / f".{target.stem[:100]}.{secrets.token_hex(4)}{target.suffix}"
    # What replaces a private file is never open to others, not even while it is written.
    os.close(os.open(scratch, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600 if known else 0o666))
    return scratch


def _put(scratch: Path, target: Path) -> None:
    """Let a whole file take the place of the target."""
    if not target.exists():
        scratch.replace(target)
        return
    before = target.stat()
    if before.st_nlink == 1:
        if hasattr(os, "chown"):
            with contextlib.suppress(PermissionError):
                os.chown(scratch, before.st_uid, before.st_gid)
        scratch.chmod(stat.S_IMODE(before.st_mode))
        with contextlib.suppress(
            OSError
        ):  # a file mounted alone, another's in a folder such as /tmp, another disk
            scratch.replace(target)
            return
    _fill(scratch, target)


def _fill(scratch: Path, target: Path) -> None:
    """Write a file's content into another one; on a full disk that one stays as it is."""
    size, before = scratch.stat().st_size, target.stat().st_size
    with scratch.open("rb") as source, target.open("rb+") as file:
        if size > before and hasattr(os, "posix_fallocate"):
            try:
                os.posix_fallocate(file.fileno(), before, size - before)
            except OSError:
                file.truncate(before)
                raise
        shutil.copyfileobj(source, file)
        file.truncate(size)
        file.flush()
        os.fsync(file.fileno())


def _pour(scratch: Path, stream: Path) -> None:
    """Write a file's content to a pipe or device."""
    number = _descriptor(stream)
    if number == 1 and sys.stdout is not None:
        sys.stdout.flush()
    descriptor = _opened(stream) if number is None else os.dup(number)
    with scratch.open("rb") as source, open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor
        shutil.copyfileobj(source, file)


def _opened(stream: Path) -> int:
    """Open a pipe or device; a pipe opens once it has a reader."""
    give_up = time.monotonic() + READER_WAIT_S
    while True:
        try:
            # Without O_NONBLOCK a pipe that nobody reads would be waited for without end.
            descriptor = os.open(stream, os.O_WRONLY | getattr(os, "O_NONBLOCK", 0))
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            if time.monotonic() > give_up:
                reason = f"nobody read from this pipe for {READER_WAIT_S:g} s"
                raise OSError(errno.ENXIO, reason, str(stream)) from None
            time.sleep(0.05)
        else:
            os.set_blocking(descriptor, True)
            return descriptor
