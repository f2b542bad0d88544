"""Object storage, such as ``s3://bucket/folder``, through fsspec: addresses that are used as paths are."""

from __future__ import annotations

import contextlib
import functools
import io
import os
import re
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Self, TypeAlias

from offkey._util.files import atomic_path, named
from offkey.errors import MissingExtraError, OffkeyError, ParameterError

__all__ = ["Address", "StorageError", "Url", "address_of", "answered", "is_url", "storage_of", "whole_file"]

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_WHOLE = frozenset({"memory", "s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "oss"})
"""Storages on which an object is there whole or not at all."""
_BLOCK_BYTES = 1 << 20
"""So much of an object is read at once."""


class StorageError(OSError):
    """A storage does not answer, or refuses."""


def is_url(source: object) -> bool:
    """Say whether a source is a URL, as of object storage."""
    return isinstance(source, str) and _URL.match(source) is not None


class Url(str):
    """The address of an object on a storage, or of a folder of objects: what begins as theirs do.

    Its methods are those of a `Path`, as far as storage has what they need. An object is there whole or not at all.
    """

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        scheme, _, path = text.partition("://")
        return super().__new__(cls, f"{scheme.lower()}://{path.rstrip('/')}")

    @property
    def name(self) -> str:
        """What follows the last slash."""
        return self.rpartition("/")[2]

    @property
    def stem(self) -> str:
        """The name without its ending."""
        return PurePosixPath(self.name).stem

    @property
    def suffix(self) -> str:
        """The ending of the name, with its dot."""
        return PurePosixPath(self.name).suffix

    def with_name(self, name: str) -> Url:
        """Return the address of another name beside this one."""
        return Url(f"{self.rpartition('/')[0]}/{name}")

    def __truediv__(self, name: str) -> Url:
        return Url(f"{self}/{name}")

    def absolute(self) -> Url:
        """Return the address itself."""
        return self

    def is_dir(self) -> bool:
        """Say whether it is a folder that holds anything."""
        with answered(self) as (storage, path):
            return bool(storage.isdir(path))

    def is_file(self) -> bool:
        """Say whether there is an object."""
        with answered(self) as (storage, path):
            return bool(storage.isfile(path))

    def exists(self) -> bool:
        """Say whether there is anything."""
        with answered(self) as (storage, path):
            return bool(storage.exists(path))

    def names(self) -> list[str]:
        """Return the names of what is in a folder, in their order; none if there is no folder."""
        with answered(self) as (storage, path):
            try:
                entries = storage.ls(path, detail=False)
            except FileNotFoundError:
                return []
            names = {entry.rstrip("/").rpartition("/")[2] for entry in entries if entry.rstrip("/") != path}
            return sorted(names)

    def open(self, mode: str = "rb") -> io.BufferedReader:
        """Open an object to read it.

        Raises
        ------
        FileNotFoundError, PermissionError, StorageError
            As `answered`.
        """
        assert mode == "rb"
        with answered(self) as (storage, path):
            file = storage.open(path, "rb", block_size=_BLOCK_BYTES)
        return io.BufferedReader(_Object(self, file), _BLOCK_BYTES)

    def read_bytes(self) -> bytes:
        """Return the bytes of an object; raises as `answered`."""
        with answered(self) as (storage, path):
            content: bytes = storage.cat_file(path)
            return content

    def write_bytes(self, content: bytes, *, new: bool = False) -> None:
        """Write an object; raises as `answered`.

        Parameters
        ----------
        content
            Its bytes.
        new
            Refuse one that is there, in one step where the storage can: most do.

        Raises
        ------
        FileExistsError
            If it is there, and is to be new.
        """
        with answered(self) as (storage, path):
            storage.pipe_file(path, content, mode="create" if new else "overwrite")

    def put(self, file: Path) -> None:
        """Let a file become the object, in one step or by parts that are then committed; raises as `answered`."""
        with answered(self) as (storage, path):
            storage.put_file(str(file), path)

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove an object; raises as `answered`."""
        with answered(self) as (storage, path):
            try:
                storage.rm_file(path)
            except FileNotFoundError:
                if not missing_ok:
                    raise

    def check_kind(self) -> None:
        """Refuse what is no object storage, or no place on one.

        Raises
        ------
        ParameterError
            If it is not.
        """
        scheme, _, path = self.partition("://")
        if not path:
            raise ParameterError(
                f"{self}: names no bucket or folder; expected such as {scheme}://bucket/scores"
            )
        if scheme not in _WHOLE:
            raise ParameterError(
                f"{self}: on {scheme}:// a file may be there in part; expected a path of this machine, or object "
                f"storage: {', '.join(sorted(_WHOLE))}"
            )

    def check_writable(self) -> None:
        """Find out before long work whether the object could be written: by writing an empty one beside it.

        Raises
        ------
        MissingExtraError, ParameterError, PermissionError, StorageError
            If it could not.
        """
        self.check_kind()
        trial = self.with_name(f".{self.name[:100]}.{secrets.token_hex(4)}")
        try:
            trial.write_bytes(b"")
        except FileNotFoundError as error:  # the bucket
            raise FileNotFoundError(f"{self}: {error}") from None
        trial.unlink(missing_ok=True)


Address: TypeAlias = Path | Url
"""Where a file is, or is to be: on this machine's disks, or on object storage."""


def address_of(text: str | os.PathLike[str]) -> Address:
    """Return the address that a text is."""
    return Url(text) if isinstance(text, str) and is_url(text) else Path(text)


class _Object(io.RawIOBase):
    """An object that is read, whose storage may cease to answer."""

    def __init__(self, url: Url, file: Any) -> None:
        self._url, self._file = url, file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return int(self._file.seek(offset, whence))

    def readinto(self, buffer: Any, /) -> int:
        with answered(self._url):
            content = self._file.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def close(self) -> None:
        self._file.close()
        super().close()


@contextlib.contextmanager
def answered(url: str) -> Iterator[tuple[Any, str]]:
    """Yield the storage of a URL and the path in it, and say of errors what the URL is.

    Raises
    ------
    FileNotFoundError, PermissionError, FileExistsError
        If it is not there, not to be read or written, or there and is to be new.
    StorageError
        If the storage does not answer, after as many attempts as its package makes.
    MissingExtraError, ParameterError
        As `storage_of`.
    """
    try:
        yield storage_of(url)
    except (OffkeyError, StorageError, FileExistsError):
        raise
    except FileNotFoundError:
        raise FileNotFoundError(f"{url}: no such object, folder or bucket") from None
    except PermissionError as error:
        raise PermissionError(f"{url}: not to be read or written: {error}") from None
    except Exception as error:  # each storage has its own
        raise StorageError(f"{url}: the storage does not answer: {error}") from None


def storage_of(url: str) -> tuple[Any, str]:
    """Return the storage of a URL, and the path in it.

    Raises
    ------
    MissingExtraError
        If the package is not installed that knows this storage.
    ParameterError
        If no storage is known by this name.
    """
    scheme, _, path = url.partition("://")
    storage = _opened(f"{scheme.lower()}://", os.getpid())
    return storage, storage._strip_protocol(f"{scheme.lower()}://{path}")


@functools.lru_cache(maxsize=16)
def _opened(scheme: str, process: int) -> Any:
    """Return the storage of all URLs of one kind; a process that was forked has one of its own."""
    del process
    try:
        import fsspec

        return fsspec.filesystem(scheme.removesuffix("://"), use_listings_cache=False)
    except ImportError as error:
        raise MissingExtraError(f"{scheme}: needs the extra: pip install 'offkey[cloud]' ({error})") from None
    except ValueError as error:
        raise ParameterError(f"{scheme}: no storage is known by this name: {error}") from None


@contextlib.contextmanager
def whole_file(address: Address, scratch_folder: Path | None = None) -> Iterator[Path]:
    """Give the name of an empty file to write to; on leaving, that file is there, whole: see `atomic_path`.

    What is to be on object storage lies among the temporary files until it is whole.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    if isinstance(address, Path):
        with atomic_path(address, scratch_folder) as scratch:
            yield scratch
        return
    with tempfile.TemporaryDirectory(prefix="offkey-", ignore_cleanup_errors=True) as folder:
        scratch = Path(folder) / f"new{address.suffix}"
        scratch.touch()
        with named(address, scratch):
            yield scratch
        address.put(scratch)
