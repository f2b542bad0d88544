"""Decoded recordings on disk, mapped into memory: decoded once, in no process's own memory, there for the next fit.

Each list of recordings has a folder of its own, named by a hash of their paths, sizes and times, of rate, channel
and the longest that is read::

    <folder>/<key>/samples.bin   the samples of all recordings, one after the other
    <folder>/<key>/index.json    where each lies, or why it could not be read

Samples that a 16-bit recorder wrote are kept as int16, all others as float32: what is read is what decoding gives, bit
for bit. A changed recording has another key. One process at a time makes caches in a folder, the others wait. A folder
that is not needed any more may be removed; so may one with a leading dot, which a killed process has left. The file
``.lock`` is empty.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import operator
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Literal

import msgspec
import numpy as np
from filelock import FileLock

from offkey import _native
from offkey._util.files import named
from offkey._util.json_text import from_json, to_json
from offkey.datasets.channels import decoded_channel
from offkey.datasets.recordings import Item, Samples
from offkey.datasets.source import Chunk, Progress, Source
from offkey.errors import AudioError
from offkey.recipe import Features
from offkey.signal.audio import MAX_SECONDS

__all__ = ["DecodedClips", "decoded"]

_FORMAT = 4
_SAMPLES, _INDEX, _LOCK = "samples.bin", "index.json", ".lock"
_FULL_SCALE = 32768
_ALIGNMENT = 64  # of each clip's first byte, for vector loads


class _Entry(msgspec.Struct, frozen=True, array_like=True):
    offset: int
    samples: int
    dtype: Literal["<i2", "<f4"]
    source_rate: int
    lossy: bool | None


class _Index(msgspec.Struct, frozen=True):
    format: int
    size: int
    clips: list[_Entry | None]
    recordings: list[int]
    errors: dict[int, str]


class DecodedClips(Sequence[np.ndarray]):
    """Recordings, or windows of them, whose samples lie in a cache: ``(samples,)`` float32 each, made when needed."""

    def __init__(
        self,
        stored: Sequence[np.ndarray] = (),
        *,
        sample_rate: int,
        source_rates: Sequence[int] = (),
        lossy: Sequence[bool | None] = (),
        errors: dict[int, str] | None = None,
        recordings: Sequence[int] = (),
    ) -> None:
        self._stored = tuple(stored)
        self.sample_rate = sample_rate
        self.source_rates = tuple(source_rates)
        """The rates in Hz that the recordings have; 0 where they could not be read."""
        self.lossy = tuple(lossy)
        """Whether the coding of the recordings loses something; None where that is not known."""
        self.errors = errors or {}
        """Position -> why the recording could not be read; such a clip is empty."""
        self.recordings = tuple(recordings)
        """Which of the recordings each clip is of; those of the first come first."""

    def __len__(self) -> int:
        return len(self._stored)

    def __getitem__(self, index: int) -> np.ndarray:  # type: ignore[override]  # no slices
        stored = self._stored[index]
        if stored.dtype == np.int16:
            scaled: np.ndarray = np.multiply(stored, np.float32(1 / _FULL_SCALE), dtype=np.float32)
            return scaled
        return np.array(stored)

    def __add__(self, other: DecodedClips) -> DecodedClips:
        later = {len(self) + position: error for position, error in other.errors.items()}
        return DecodedClips(
            self._stored + other._stored,
            sample_rate=self.sample_rate,
            source_rates=self.source_rates + other.source_rates,
            lossy=self.lossy + other.lossy,
            errors=self.errors | later,
            recordings=self.recordings
            + tuple(1 + max(self.recordings, default=-1) + i for i in other.recordings),
        )

    def take(self, positions: Sequence[int]) -> DecodedClips:
        """Return some of the clips, by position."""
        errors = {new: self.errors[old] for new, old in enumerate(positions) if old in self.errors}
        return DecodedClips(
            [self._stored[i] for i in positions],
            sample_rate=self.sample_rate,
            source_rates=[self.source_rates[i] for i in positions],
            lossy=[self.lossy[i] for i in positions],
            errors=errors,
            recordings=[self.recordings[i] for i in positions],
        )

    def items(self, paths: Sequence[Path]) -> Iterator[Item]:
        """Yield the clips for a source; `paths` are their names."""
        for i, path in enumerate(paths):
            if i in self.errors:
                yield Item(content=AudioError(self.errors[i]), name=str(path))
            else:
                samples = Samples(self[i], self.sample_rate, self.source_rates[i], self.lossy[i])
                yield Item(content=samples, name=str(path))


def decoded(
    paths: Sequence[Path],
    *,
    folder: Path,
    features: Features,
    max_seconds: float = MAX_SECONDS,
    clip_seconds: float | None = None,
    num_threads: int | None = None,
    on_progress: Progress | None = None,
) -> DecodedClips:
    """Return recordings from their cache, which is made if it is not there.

    Parameters
    ----------
    paths
        The recordings.
    folder
        Where caches are; made if it does not exist.
    features
        Rate and channel to decode to.
    max_seconds
        A longer recording is one that cannot be read.
    clip_seconds
        Recordings longer than twice this are kept as windows of it (`offkey.datasets.windows`).
    num_threads
        Threads that decode; None: all cores.
    on_progress
        Called with (done, total) recordings while they are decoded.

    Returns
    -------
    DecodedClips
        In the order of `paths`, the windows of a recording in their order.

    Raises
    ------
    OSError
        If a recording that is there cannot be read for a reason that may pass (no permission, a failing disk), or the
        folder cannot be written to, or the disk is full; nothing is left behind then.
    """
    target = folder / _key(paths, features, clip_seconds, max_seconds)
    clips = _opened(target, len(paths), features.sample_rate)
    if clips is not None:
        return clips
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        clips = _opened(
            target, len(paths), features.sample_rate
        )  # another process may have made it meanwhile
        if clips is not None:
            return clips
        items = [Item(content=path, name=str(path)) for path in paths]
        source = Source(items, features=features, clip_seconds=clip_seconds, max_seconds=max_seconds)
        _store(target, source.chunks(num_threads=num_threads, on_progress=on_progress) if items else ())
    clips = _opened(target, len(paths), features.sample_rate)
    if clips is None:
        raise OSError(f"{target}: cannot be read right after it was written")
    return clips


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one process at a time make caches in a folder."""
    with contextlib.ExitStack() as stack:
        # A file system without locks: at worst the work is done twice.
        with contextlib.suppress(OSError, NotImplementedError):
            stack.enter_context(FileLock(folder / _LOCK))
        yield


def _store(target: Path, chunks: Iterable[Chunk]) -> None:
    scratch = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        with named(target, scratch):
            scratch.mkdir()
            with (scratch / _SAMPLES).open("wb") as file:
                index = _write(file, chunks)
                file.flush()
                os.fsync(file.fileno())
            (scratch / _INDEX).write_text(to_json(index), encoding="ascii")
            shutil.rmtree(target, ignore_errors=True)  # a damaged one
            scratch.rename(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _key(paths: Sequence[Path], features: Features, clip_seconds: float | None, max_seconds: float) -> str:
    files = [[str(path.resolve()), *_state(path)] for path in paths]
    settings = [
        *(_FORMAT, _native.__version__, features.sample_rate, decoded_channel(features)),
        *(clip_seconds, float(max_seconds)),
    ]
    content = json.dumps([*settings, files]).encode(errors="surrogateescape")
    return hashlib.sha256(content).hexdigest()[:16]


def _state(path: Path) -> tuple[int, int, int]:
    """Return size and times of a file; one that is not there is told of when it is read."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0, 0
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _write(file: BinaryIO, chunks: Iterable[Chunk]) -> _Index:
    """Write the clips of chunks, and return where each lies; an error that may pass is raised, not remembered."""
    entries: list[tuple[int, _Entry | None]] = []
    errors: dict[int, str] = {}
    offset = 0
    for chunk in chunks:
        for position, samples, source_rate in zip(
            chunk.positions.tolist(), map(_compact, chunk.samples), chunk.source_rates.tolist(), strict=True
        ):
            dtype: Literal["<i2", "<f4"] = "<i2" if samples.dtype == np.int16 else "<f4"
            entry = _Entry(
                offset=offset,
                samples=len(samples),
                dtype=dtype,
                source_rate=source_rate,
                lossy=chunk.items[position - chunk.first].lossy,
            )
            entries.append((position, entry))
            offset += file.write(samples.tobytes())
            offset += file.write(bytes(-offset % _ALIGNMENT))
        for position, error in chunk.errors.items():
            if isinstance(error, OSError) and not isinstance(error, FileNotFoundError | IsADirectoryError):
                raise error
            errors[position] = str(error)
    whole = [(position, entry) for position, entry in entries if position not in errors]
    rows = sorted([*whole, *((position, None) for position in errors)], key=operator.itemgetter(0))
    recordings = [position for position, _ in rows]
    return _Index(
        format=_FORMAT,
        size=offset,
        clips=[entry for _, entry in rows],
        recordings=recordings,
        errors={row: errors[position] for row, position in enumerate(recordings) if position in errors},
    )


def _compact(samples: np.ndarray) -> np.ndarray:
    """Return samples as int16 where that loses nothing."""
    scaled = samples * np.float32(_FULL_SCALE)
    whole = np.rint(scaled)
    exact = bool(((whole == scaled) & (scaled >= -_FULL_SCALE) & (scaled < _FULL_SCALE)).all())
    return whole.astype("<i2") if exact else samples.astype("<f4", copy=False)


def _opened(folder: Path, count: int, sample_rate: int) -> DecodedClips | None:
    """Return a cache of so many recordings; None where there is none, or what is there is damaged."""
    try:
        index = from_json((folder / _INDEX).read_bytes(), _Index)
        size = (folder / _SAMPLES).stat().st_size
    except (FileNotFoundError, NotADirectoryError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    complete = sorted(set(index.recordings)) == list(range(count))
    if index.format != _FORMAT or not complete or index.size != size or not _fits(index):
        return None
    file = np.memmap(folder / _SAMPLES, np.uint8, "r") if size else np.empty(0, np.uint8)
    clips = [
        np.empty(0, np.float32)
        if entry is None
        else np.frombuffer(file, entry.dtype, entry.samples, entry.offset)
        for entry in index.clips
    ]
    source_rates = [0 if entry is None else entry.source_rate for entry in index.clips]
    lossy = [None if entry is None else entry.lossy for entry in index.clips]
    return DecodedClips(
        clips,
        sample_rate=sample_rate,
        source_rates=source_rates,
        lossy=lossy,
        errors=index.errors,
        recordings=index.recordings,
    )


def _fits(index: _Index) -> bool:
    entries = [entry for entry in index.clips if entry is not None]
    return len(index.clips) == len(index.recordings) and all(
        entry.offset >= 0
        and entry.samples >= 0
        and entry.offset + entry.samples * np.dtype(entry.dtype).itemsize <= index.size
        for entry in entries
    )
