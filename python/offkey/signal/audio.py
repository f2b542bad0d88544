"""Read sound files: one with all its channels, many at once as a batch of mono clips, or a long one in blocks.

WAV (PCM 8, 16, 24, 32 bit, float 32, 64 bit, A-law, mu-law; RIFF, RIFX, RF64, BW64, extensible headers),
AIFF, FLAC, Ogg Vorbis and MP3. The kind of a file is read from its first bytes, not from its name.
Integers are scaled as soundfile does: 16-bit samples by 1/32768. A file may also be given as its bytes, or as an open
binary file.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import operator
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import BinaryIO, Literal, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from offkey import _native
from offkey._util import parameters
from offkey._util.arrays import output
from offkey._util.parameters import Channel
from offkey._util.threads import threads
from offkey.errors import ArrayError, AudioError, OffkeyError, ParameterError

__all__ = [
    "Audio",
    "AudioBatch",
    "AudioBlocks",
    "AudioInfo",
    "SoundFile",
    "info",
    "on_disk",
    "read",
    "read_batch",
    "read_blocks",
    "resample",
]

MAX_RATE_HZ = 384_000

MAX_SECONDS = 86_400.0
"""Length of the longest recording that is read as a whole, unless the caller says otherwise: 24 hours."""

_MAX_BLOCK = 1 << 30  # samples: the 4 GiB that a call may decode

SoundFile: TypeAlias = str | PathLike[str] | bytes | bytearray | memoryview | BinaryIO
"""A sound file: its path, its bytes, or an open binary file, which is read to its end."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AudioInfo:
    """What the header of a sound file says."""

    sample_rate: int
    """Samples a second of each channel."""
    channels: int
    frames: int | None
    """Samples of each channel; None where the header does not say (MP3 without a Xing header, for one)."""
    format: str
    """The container, by the name that soundfile has for it: ``"WAV"``, ``"FLAC"``, ..."""
    subtype: str
    """How the samples are coded, by the name that soundfile has for it: ``"PCM_16"``, ``"FLOAT"``, ..."""

    @property
    def duration_s(self) -> float | None:
        """Length in seconds; None where the header does not say."""
        return None if self.frames is None else self.frames / self.sample_rate


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Audio:
    """All channels of one recording."""

    samples: NDArray[np.float32]
    """``(channels, samples)`` float32 in [-1, 1]."""
    sample_rate: int
    path: Path

    @property
    def channels(self) -> int:
        """Number of channels."""
        return int(self.samples.shape[0])

    @property
    def frames(self) -> int:
        """Samples of each channel."""
        return int(self.samples.shape[1])

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.frames / self.sample_rate


class AudioBatch(Sequence[NDArray[np.float32]]):
    """Mono clips of any lengths: a sequence of ``(samples,)`` float32 arrays in [-1, 1].

    Attributes
    ----------
    sample_rate : int
        Samples a second of every clip; 0 if no file could be read and no rate was asked for.
    paths : list of Path
        The files, in order.
    source_rates : (clips,) int64
        Samples a second of each file before it was resampled; 0 where it could not be read.
    lengths : (clips,) int64
        Samples of each clip.
    errors : dict of int to Exception
        What was wrong with the files that could not be read, by position; their clips are empty arrays.
    """

    def __init__(
        self,
        clips: Sequence[NDArray[np.float32]],
        *,
        sample_rate: int,
        paths: Sequence[Path],
        source_rates: Sequence[int] | None = None,
        errors: dict[int, OffkeyError | OSError] | None = None,
    ) -> None:
        if len(clips) != len(paths):
            raise ArrayError(f"clips: {len(clips)} arrays for {len(paths)} paths; expected one for each")
        rates = [sample_rate] * len(paths) if source_rates is None else source_rates
        if len(rates) != len(paths):
            raise ArrayError(f"source_rates: {len(rates)} for {len(paths)} paths; expected one for each")
        self._clips = list(clips)
        self.sample_rate = sample_rate
        self.paths = list(paths)
        self.source_rates: NDArray[np.int64] = np.array(rates, dtype=np.int64)
        self.errors = dict(errors or {})

    def __len__(self) -> int:
        return len(self._clips)

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        return iter(self._clips)

    def __getitem__(self, index: int) -> NDArray[np.float32]:  # type: ignore[override]  # clips one by one
        return self._clips[operator.index(index)]

    def __repr__(self) -> str:
        failed = f", {len(self.errors)} not readable" if self.errors else ""
        return f"AudioBatch({len(self)} clips at {self.sample_rate} Hz{failed})"

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Samples of each clip as ``(clips,)`` int64."""
        return np.array([clip.size for clip in self._clips], dtype=np.int64)


class AudioBlocks(Iterator[NDArray[np.float32]]):
    """The blocks of a recording, one after the other: an iterator of ``(samples,)`` float32 arrays in [-1, 1].

    Attributes
    ----------
    path : Path
        The file.
    sample_rate : int
        Samples a second of the blocks.
    source_rate : int
        Samples a second of the file, before it is resampled.
    """

    def __init__(self, kernel: _native.AudioBlocks, *, path: Path, seconds: float) -> None:
        self._kernel = kernel
        self.path = path
        self.sample_rate, self.source_rate = kernel.rates
        samples, rate = seconds * self.sample_rate, self.sample_rate
        if samples > _MAX_BLOCK:
            raise ParameterError(
                f"seconds = {seconds}: expected at most {_MAX_BLOCK / rate:.0f} at {rate} Hz"
            )
        self._size = max(1, round(samples))

    def __next__(self) -> NDArray[np.float32]:
        block = self._kernel.next(self._size)
        if block is None:
            raise StopIteration
        return block

    def __repr__(self) -> str:
        return f"AudioBlocks({str(self.path)!r}, blocks of {self._size} samples at {self.sample_rate} Hz)"


def info(path: SoundFile) -> AudioInfo:
    """Read the header of a sound file, and nothing behind it.

    Parameters
    ----------
    path : path-like, bytes or binary file
        The file.

    Returns
    -------
    AudioInfo
        Rate, channels, length, container and coding.

    Raises
    ------
    OSError
        The system cannot open it (`FileNotFoundError`, `IsADirectoryError`, `PermissionError`).
    AudioError
        The header is damaged or lies.
    UnsupportedAudioError
        A format that offkey does not read; the message names it.
    """
    with on_disk([path]) as (file,):
        sample_rate, channels, frames, kind, subtype = _native.audio_info(file)
    return AudioInfo(sample_rate=sample_rate, channels=channels, frames=frames, format=kind, subtype=subtype)


def read(path: SoundFile, *, sample_rate: int | None = None, max_seconds: float = MAX_SECONDS) -> Audio:
    """Read all channels of a sound file.

    Parameters
    ----------
    path : path-like, bytes or binary file
        The file.
    sample_rate : int, optional
        Rate to resample to, 1 to 384000 Hz (see `resample`). Default: the file's own.
    max_seconds : float, default 86400
        A longer recording is refused, before its samples take any memory.

    Returns
    -------
    Audio
        Its samples are ``(channels, samples)`` float32 in [-1, 1].

    Raises
    ------
    OSError
        The system cannot read it.
    AudioError
        The file is empty, truncated or damaged, or a float file holds NaN or infinity; it is longer than
        `max_seconds`, or its samples take more than 4 GiB: see `read_blocks`.
    UnsupportedAudioError
        A format that offkey does not read; the message names it.
    ParameterError
        `sample_rate` or `max_seconds` is outside its range.
    """
    with on_disk([path]) as (file,):
        samples, channels, rate = _native.read_audio(
            file, check_rate("sample_rate", sample_rate), parameters.seconds("max_seconds", max_seconds)
        )
    return Audio(samples=samples.reshape(channels, -1), sample_rate=rate, path=Path(_name(path)))


def read_batch(
    paths: Iterable[SoundFile],
    *,
    sample_rate: int | None = None,
    channel: Channel = 0,
    max_seconds: float = MAX_SECONDS,
    on_error: Literal["raise", "collect"] = "raise",
    out: NDArray[np.float32] | None = None,
    num_threads: int | None = None,
) -> AudioBatch:
    """Read one channel of each of many sound files, by all cores.

    The clips lie in blocks of memory, of 32 MiB or one longer clip: one that is kept keeps its block.

    Parameters
    ----------
    paths : iterable of path-like, bytes or binary files
        The files. Their lengths may differ.
    sample_rate : int, optional
        Rate to resample to, 1 to 384000 Hz. Default: the rate of the files, which must then all agree.
    channel : int or "mean", default 0
        The channel to take, from 0, or the mean of all channels.
    max_seconds : float, default 86400
        A longer recording is one that cannot be read.
    on_error : {"raise", "collect"}, default "raise"
        What to do when a file cannot be read: raise its error (of the first such file in order), or go on and
        keep it in `AudioBatch.errors`.
    out : (files, samples) float32, optional
        A C-contiguous array for clips as long as its rows; partly written after an error. Default: new memory.
    num_threads : int, optional
        Threads to use; default: one for each core, but one in a worker of a `DataLoader`. The result does not
        depend on it.

    Returns
    -------
    AudioBatch
        The clips, each a ``(samples,)`` float32 array; with `out` its rows.

    Raises
    ------
    OSError, AudioError, UnsupportedAudioError
        As `read`, if `on_error` is "raise"; also if a file lacks the channel. The 4 GiB are those of all clips
        together: the first files that fit are read.
    AudioError
        Two files differ in rate and no `sample_rate` was given; a clip is not as long as a row of `out`.
    ArrayError, ParameterError
        `out` cannot be written to, or has not a row for each file; a parameter is outside its range.
    """
    sources = parameters.several(paths)
    collect = parameters.choice("on_error", on_error, ("raise", "collect")) == "collect"
    target = None if out is None else output(out, (len(sources), "samples"))
    with on_disk(sources) as files:
        items = _native.read_audio_batch(
            files,
            parameters.channel(channel),
            check_rate("sample_rate", sample_rate),
            parameters.seconds("max_seconds", max_seconds),
            collect,
            target,
            threads(num_threads),
        )
    errors = {
        index: _about(error, files[index], sources[index])
        for index, (*_, error) in enumerate(items)
        if error is not None
    }
    rates = {rate: index for index, (_, rate, _, error) in reversed(list(enumerate(items))) if error is None}
    if len(rates) > 1:
        (rate_a, first), (rate_b, second) = sorted(rates.items(), key=operator.itemgetter(1))[:2]
        raise AudioError(
            f"{files[second]}: {rate_b} Hz, but {files[first]} has {rate_a} Hz; "
            "give sample_rate to resample all files to one rate"
        )
    return AudioBatch(
        [samples for samples, *_ in items],
        sample_rate=next(iter(rates), sample_rate or 0),
        paths=[Path(_name(source)) for source in sources],
        source_rates=[source_rate for _, _, source_rate, _ in items],
        errors=errors,
    )


def read_blocks(
    path: str | PathLike[str],
    *,
    seconds: float = 60.0,
    sample_rate: int | None = None,
    channel: Channel = 0,
) -> AudioBlocks:
    """Read one channel of a sound file of any length in blocks, of which one at a time is in memory.

    Joined, they are the clip that `read_batch` gives, to the bit.

    Parameters
    ----------
    path : path-like
        The file.
    seconds : float, default 60
        Length of each block; the last one may be shorter.
    sample_rate : int, optional
        Rate to resample to, 1 to 384000 Hz. Default: the file's own.
    channel : int or "mean", default 0
        The channel to take, from 0, or the mean of all channels.

    Returns
    -------
    AudioBlocks
        An iterator of ``(samples,)`` float32 arrays. It raises what `read` raises, for damage on the way when
        that is reached.

    Raises
    ------
    OSError, AudioError, UnsupportedAudioError
        As `read`, if the header is bad, or the file lacks the channel.
    ParameterError
        A parameter outside its range.
    """
    seconds = parameters.seconds("seconds", seconds)
    kernel = _native.AudioBlocks(
        fspath(path), parameters.channel(channel), check_rate("sample_rate", sample_rate)
    )
    return AudioBlocks(kernel, path=Path(path), seconds=seconds)


@contextlib.contextmanager
def on_disk(sources: Sequence[SoundFile]) -> Iterator[list[str]]:
    """Give the paths of sound files; what lies in memory is written to a temporary folder for as long.

    Raises
    ------
    ParameterError
        If one is neither a path nor bytes nor a binary file.
    """
    with contextlib.ExitStack() as stack:
        files: list[str] = []
        folder: str | None = None
        for position, source in enumerate(sources):
            if isinstance(source, str | PathLike):
                files.append(fspath(source))
                continue
            if folder is None:
                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="offkey-"))
            files.append(os.path.join(folder, str(position)))  # noqa: PTH118
            Path(files[-1]).write_bytes(file_content(source))
        try:
            yield files
        except (OffkeyError, OSError) as error:
            for file, source in zip(files, sources, strict=True):
                if file in str(error):
                    raise _about(error, file, source) from None
            raise


Error = TypeVar("Error", bound=Exception)


def _about(error: Error, file: str, source: SoundFile) -> Error:
    """Return the error of a file, by a name that its user knows."""
    if isinstance(source, str | PathLike):
        return error
    return type(error)(str(error).replace(file, _name(source)))


def file_content(source: object) -> bytes | bytearray | memoryview:
    """Return the bytes of a sound file in memory.

    Raises
    ------
    ParameterError
        If it is neither bytes nor a binary file, or is bytes that are a path.
    """
    content = source.read() if hasattr(source, "read") else source
    if not isinstance(content, bytes | bytearray | memoryview):
        kind = f"{type(source).__name__}, opened as text" if content is not source else type(source).__name__
        raise ParameterError(f"sound file: given {kind}; expected a path, bytes, or an open binary file")
    start = bytes(content[:4096])
    if start and len(start) < 4096 and b"\0" not in start and os.path.exists(start):  # noqa: PTH110
        raise ParameterError(
            f"sound file: given bytes that are a path, {start!r}; expected a path as str "
            "(os.fsdecode makes one), or the bytes of a sound file"
        )
    return content


def _name(source: SoundFile) -> str:
    """Return a path, the name of an open file, or what stands for bytes."""
    if isinstance(source, str | PathLike):
        return fspath(source)
    name = getattr(source, "name", None)
    return name if isinstance(name, str) else "<bytes>"


def resample(samples: np.ndarray, *, from_rate: int, to_rate: int) -> NDArray[np.float32]:
    """Convert to another sample rate.

    A polyphase low-pass of linear phase without delay: flat up to 0.913 of the lower Nyquist frequency, at
    least 120 dB down from that Nyquist frequency on (soxr's HQ has the same edges). Outside of its ends the
    signal is taken as zero.

    Parameters
    ----------
    samples : (samples,) or (channels, samples) float array
        The signal; each channel by itself.
    from_rate, to_rate : int
        Rates from 1 to 384000 Hz.

    Returns
    -------
    (n,) or (channels, n) float32
        ``n = ceil(samples * to_rate / from_rate)``; a copy where the rates are equal.

    Raises
    ------
    ArrayError
        `samples` is not a float array of one or two dimensions, holds NaN or infinity, or becomes too long.
    ParameterError
        A rate outside its range.
    """
    signal = np.asarray(samples)
    if signal.ndim not in (1, 2) or not np.issubdtype(signal.dtype, np.floating):
        given = f"{signal.dtype} of shape {signal.shape}"
        raise ArrayError(f"samples: {given}; expected floats of shape (samples,) or (channels, samples)")
    if not np.isfinite(signal).all():
        raise ArrayError("samples: hold NaN or infinity; expected finite samples")
    check_rate("from_rate", from_rate)
    check_rate("to_rate", to_rate)
    rows = np.ascontiguousarray(signal if signal.ndim == 2 else signal[None], dtype=np.float32)
    out = _resampler(from_rate, to_rate).process(rows)
    return out if signal.ndim == 2 else out[0]


@functools.lru_cache(maxsize=8)
def _resampler(from_rate: int, to_rate: int) -> _native.Resampler:
    """Return a planned conversion: its filter takes a good part of the time of a short clip."""
    return _native.Resampler(from_rate, to_rate)


def check_rate(name: str, rate: int | None) -> int | None:
    """Return a sample rate; None as it is.

    Raises
    ------
    ParameterError
        If it is outside 1 to 384000 Hz.
    """
    return None if rate is None else parameters.integer(name, rate, 1, MAX_RATE_HZ)
