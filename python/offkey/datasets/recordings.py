"""What a user may hand over as recordings, as one stream of items."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple, TypeAlias

import numpy as np

from offkey._util.storage import is_url
from offkey.datasets.clips import Clip, Clips, Dataset, LogMelArrays, Role
from offkey.datasets.ids import identify, identify_in, marked_folder, nfc
from offkey.datasets.objects import Remote, check_url_exists, expand_url
from offkey.datasets.passed_over import PassedOver
from offkey.datasets.paths import check_exists, expand, root_of
from offkey.errors import ArrayError, DatasetError, OffkeyError, ParameterError
from offkey.signal.audio import Audio, AudioBatch, AudioInfo, check_rate, info

__all__ = ["Item", "Items", "LogMelOf", "Recording", "Recordings", "Samples", "describe", "items_of"]

Recording: TypeAlias = (
    str | PathLike[str] | bytes | bytearray | memoryview | BinaryIO | Audio | Clip | np.ndarray
)
"""A path, the bytes of a sound file, an open binary file, decoded channels, a clip of a dataset, or samples."""
Recordings: TypeAlias = Recording | Iterable[Recording] | Dataset | Clips | AudioBatch | LogMelArrays
"""Whatever a detector scores."""

_EXPECTED = (
    "a folder, a file, a pattern, a list of them, a Dataset, Clips, an AudioBatch, Audio, arrays of samples with "
    "sample_rate, the bytes of a sound file, an open binary file, or LogMelArrays"
)

_LOSSY = ("VORBIS", "MPEG_LAYER_III")  # subtypes


class Samples(NamedTuple):
    """Decoded samples."""

    samples: np.ndarray
    """``(samples,)`` or ``(channels, samples)``, float in [-1, 1]."""
    sample_rate: int
    source_rate: int
    """The rate in Hz before they were resampled."""
    lossy: bool | None = None
    """Whether the coding that they had loses something; None where that is not known."""


class LogMelOf(NamedTuple):
    """A log-Mel made elsewhere."""

    logmel: np.ndarray
    """``(n_mels, frames)`` float32 in dB."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One recording, not yet read, and what is known about it."""

    content: Path | Remote | bytes | BinaryIO | Samples | LogMelOf | Exception
    """Where its sound is; an exception says why it cannot be had."""
    name: str = ""
    """Its path, or where it has none what it is called: ``clip 3``."""
    machine_id: str | None = None
    label: Literal[0, 1] | None = None
    unread_id: str | None = None
    """A folder ``id_XX`` that counts for nothing, since it is not below what was named."""
    roles: tuple[Role, ...] = ()
    """Which microphone each channel is of, where that is known."""
    header: AudioInfo | None = None
    """What the header of its file says; None before that is read, and where there is none."""

    @property
    def channels(self) -> int | None:
        """Number of channels; None where that is not known."""
        if isinstance(self.content, Samples):
            return 1 if self.content.samples.ndim == 1 else len(self.content.samples)
        return None if self.header is None else self.header.channels

    @property
    def lossy(self) -> bool | None:
        """Whether its coding loses something; None where that is not known."""
        if isinstance(self.content, Samples):
            return self.content.lossy
        return None if self.header is None else self.header.subtype in _LOSSY

    def with_known_header(self, header: AudioInfo | None) -> Item:
        """Return the item with a header that was read elsewhere."""
        return Item(
            content=self.content,
            name=self.name,
            machine_id=self.machine_id,
            label=self.label,
            unread_id=self.unread_id,
            roles=self.roles,
            header=header,
        )

    def with_header(self) -> Item:
        """Return the item with its header, where it has one that can be read."""
        if not isinstance(self.content, Path | bytes):
            return self
        try:
            return self.with_known_header(info(self.content))
        except (OffkeyError, OSError):
            return self  # whoever reads it will say what is wrong with it


def items_of(
    recordings: Recordings,
    *,
    sample_rate: int | None = None,
    machine_id: str | None = None,
    known_ids: Sequence[str] = (),
    on_passed_over: Callable[[PassedOver], None] = lambda _: None,
) -> Iterable[Item]:
    """Return what is handed over item by item, in its order; an iterator if it can be gone through once only.

    No file is opened, and a folder is listed only when its turn comes; what is passed over in it is told then,
    each time that the items are gone through. See `offkey.datasets.source.Source.of`.
    """
    parts = _parts(recordings, check_rate("sample_rate", sample_rate))
    known = tuple(known_ids)
    if isinstance(parts, list | tuple):  # what else there is may be long, or costly to go through
        for part in parts:
            if is_url(part):
                check_url_exists(part)
            elif isinstance(part, str | PathLike):
                check_exists(part)

    if machine_id is not None:
        machine_id = next((known for known in known_ids if nfc(known) == nfc(machine_id)), machine_id)

    def items() -> Iterator[Item]:
        marked = functools.lru_cache(maxsize=1024)(marked_folder)  # files of a list lie in few folders
        stream = itertools.chain.from_iterable(
            _items(part, sample_rate, known, marked, on_passed_over) for part in parts
        )
        for position, item in enumerate(stream):
            if not item.name:
                item = dataclasses.replace(item, name=f"clip {position}")
            yield dataclasses.replace(item, machine_id=machine_id, unread_id=None) if machine_id else item

    return items() if isinstance(parts, Iterator) else Items(items, parts)


def describe(recordings: object) -> str:
    """Return what a user calls the recordings: the names of the first paths, or what kind of object they are."""
    sources = [recordings] if isinstance(recordings, str | PathLike) else recordings
    if not isinstance(sources, list | tuple):
        return type(recordings).__name__
    return ", ".join(str(source) for source in sources[:3]) or "an empty list"


@dataclasses.dataclass(frozen=True, slots=True)
class Items(Iterable[Item]):
    """Items that can be gone through more than once."""

    start: Callable[[], Iterator[Item]]
    parts: Iterable[Any]
    """What they are made of."""

    def __iter__(self) -> Iterator[Item]:
        return self.start()

    def count(self) -> int:
        """Return how many there are; folders are listed, and no item is made."""
        return sum(map(_count, self.parts))


def _count(part: Any) -> int:
    """Return how many items one part stands for."""
    if isinstance(part, AudioBatch):
        return len(part)
    if not isinstance(part, str | PathLike) or (not is_url(part) and Path(part).is_file()):
        return 1
    try:
        return sum(
            not isinstance(name, PassedOver)
            for name in (expand_url(str(part)) if is_url(part) else expand(part))
        )
    except FileNotFoundError:  # an item that says so
        return 1


def _parts(recordings: Any, sample_rate: int | None) -> Iterable[Any]:
    """Return what is handed over as a list or stream of parts, each of which stands for one or more items."""
    if isinstance(recordings, Dataset):
        if not recordings.test:
            raise DatasetError(
                f"dataset of {recordings.machine}: has no test clips to score; give the clips that you mean, such as "
                "data.train"
            )
        return recordings.test
    if isinstance(recordings, LogMelArrays):
        ids = zip(recordings.logmels, recordings.machine_ids, strict=True)
        return [Item(content=LogMelOf(logmel), machine_id=machine_id) for logmel, machine_id in ids]
    if isinstance(recordings, Clips) and not recordings:
        raise DatasetError("recordings: the table of clips is empty; expected at least one clip")
    if _is_array(recordings):
        return _rows(np.asarray(recordings), sample_rate)
    if isinstance(recordings, AudioBatch) or _is_recording(recordings):
        return [recordings]
    if isinstance(recordings, Sequence) and not recordings:
        raise DatasetError(f"an empty {type(recordings).__name__}: no recordings; expected at least one")
    if isinstance(recordings, Mapping) or not isinstance(recordings, Iterable):
        raise ParameterError(f"recordings: given {type(recordings).__name__}; expected {_EXPECTED}")
    return recordings


def _is_recording(value: object) -> bool:
    kinds = (str, PathLike, bytes, bytearray, memoryview, Audio, Clip, Item)
    return isinstance(value, kinds) or hasattr(value, "read")


def _is_array(value: object) -> bool:
    return hasattr(value, "__array__") and hasattr(value, "shape")


def _rows(array: np.ndarray, sample_rate: int | None) -> Sequence[np.ndarray]:
    """Return the clips of ``(clips, samples)``, or the one that ``(samples,)`` is."""
    if array.ndim not in (1, 2):
        hint = "; log-Mels are given as offkey.datasets.LogMelArrays" if array.ndim == 3 else ""
        raise ArrayError(
            f"recordings: an array of shape {array.shape}; expected (samples,) or (clips, samples){hint}"
        )
    rows = [array] if array.ndim == 1 else list(array)
    for row in rows[:1]:
        _samples(row, sample_rate)
    return rows


def _items(
    part: Any,
    sample_rate: int | None,
    known: tuple[str, ...],
    marked: Callable[[Path], str | None],
    on_passed_over: Callable[[PassedOver], None],
) -> Iterator[Item]:
    """Yield the items that one part stands for: a folder or a batch has several."""
    if isinstance(part, Item):
        yield part
    elif isinstance(part, Clip):
        yield Item(
            content=part.path,
            name=str(part.path),
            machine_id=part.machine_id,
            label=part.label,
            roles=part.channels,
        )
    elif is_url(part):
        yield from _objects(part, known, on_passed_over)
    elif isinstance(part, str | PathLike):
        yield from _files(part, known, marked, on_passed_over)
    elif isinstance(part, AudioBatch):
        yield from _batch(part)
    elif isinstance(part, Audio):
        content = Samples(part.samples, part.sample_rate, part.sample_rate)
        yield _named(content, str(part.path))
    elif isinstance(part, bytes | bytearray | memoryview):
        yield Item(content=bytes(part))
    elif hasattr(part, "read"):
        name = part.name if isinstance(getattr(part, "name", None), str) else ""
        yield _named(part, name)
    elif _is_array(part):
        yield Item(content=_samples(np.asarray(part), sample_rate))
    else:
        raise ParameterError(f"recordings: one of them is {type(part).__name__}; expected {_EXPECTED}")


def _files(
    source: str | PathLike[str],
    known: tuple[str, ...],
    marked: Callable[[Path], str | None],
    on_passed_over: Callable[[PassedOver], None],
) -> Iterator[Item]:
    path = Path(source)
    if path.is_file():
        yield _file(path, (), path.name, known, marked(path.parent))
        return
    root = root_of(path)
    above = len(root.parts)
    try:
        for name in expand(path):
            if isinstance(name, OSError):
                yield Item(content=name, name=str(name.filename))
            elif isinstance(name, PassedOver):
                on_passed_over(name)
            else:
                file = Path(name)
                yield _file(file, file.parts[above:-1], file.name, known, marked(root))
    except FileNotFoundError as error:  # of a stream, whose later items are not known before it is read
        yield _named(error, str(source))


def _objects(
    url: str, known: tuple[str, ...], on_passed_over: Callable[[PassedOver], None]
) -> Iterator[Item]:
    try:
        for place in expand_url(url):
            if isinstance(place, PassedOver):
                on_passed_over(place)
                continue
            folders, remote = place
            name = remote.url.rpartition("/")[2]
            yield Item(content=remote, name=remote.url, machine_id=identify_in(folders, name, known))
    except FileNotFoundError as error:  # as of files
        yield Item(content=error, name=url)


def _file(
    path: Path, folders: tuple[str, ...], name: str, known: tuple[str, ...], unread: str | None
) -> Item:
    """Return a file that lies in these folders below what was named, which lies in one ``id_XX`` itself."""
    machine_id = identify_in(folders, name, known)
    return Item(
        content=path, name=str(path), machine_id=machine_id, unread_id=unread if machine_id is None else None
    )


def _named(content: Any, name: str) -> Item:
    """Return what has the name of a file, which alone may name its ID."""
    path = Path(name)
    machine_id = identify(Path(path.name))
    unread = marked_folder(path.parent) if machine_id is None and path.is_file() else None
    return Item(content=content, name=name, machine_id=machine_id, unread_id=unread)


def _batch(batch: AudioBatch) -> Iterator[Item]:
    for position, (path, clip) in enumerate(zip(batch.paths, batch, strict=True)):
        samples = Samples(clip, batch.sample_rate, int(batch.source_rates[position]))
        content = batch.errors.get(position, samples)
        yield _named(content, str(path))


def _samples(array: np.ndarray, sample_rate: int | None) -> Samples:
    if array.ndim not in (1, 2) or (array.dtype.kind != "f" and array.dtype != np.int16):
        raise ArrayError(
            f"recordings: an array of shape {array.shape}, {array.dtype}; expected (samples,) or (channels, samples) "
            "of floats in [-1, 1], or of int16"
        )
    if sample_rate is None:
        raise ParameterError(
            "recordings: arrays of samples carry no sample rate; give it, such as sample_rate=16000"
        )
    if array.dtype == np.int16:
        array = array * np.float32(1 / 32768)
    return Samples(array, sample_rate, sample_rate)
