"""Items in portions that fit in memory, by what the headers of files say."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from offkey.datasets.recordings import Item, LogMelOf, Samples
from offkey.datasets.survey import SurveyKey, Surveyor
from offkey.signal.audio import file_content

__all__ = ["FILES_AT_ONCE", "PORTION_BYTES", "PORTION_ITEMS", "SAMPLE_BYTES", "in_portions"]

PORTION_ITEMS = 64  # 40 MB of 10 s clips at 16 kHz
PORTION_BYTES = 100_000_000  # of decoded samples, whatever their number: long recordings come one by one
SAMPLE_BYTES = 4  # float32
FILES_AT_ONCE = 256  # that are measured by one call, of which no samples are kept
_LEAST_BYTES_PER_SECOND = 1000  # of a coded file whose header has no length: MP3 of 8 kbit/s


def in_portions(
    items: Iterable[Item], sample_rate: int, surveyor: Surveyor
) -> Iterator[tuple[list[Item], int]]:
    """Yield the items in portions whose decoded channel fits in memory, at least one each, and its bytes.

    Parameters
    ----------
    items
        Recordings, which come back with what their headers say.
    sample_rate
        The rate in Hz that they will be decoded to.
    surveyor
        Each of them is entered here.
    """
    portion: list[Item] = []
    portion_bytes = 0
    for item in items:
        if hasattr(item.content, "read"):  # an open file can be read once
            item = dataclasses.replace(item, content=bytes(file_content(item.content)))
        item = item.with_header()
        if not isinstance(item.content, Exception):  # a folder, or a clip that could not be decoded elsewhere
            surveyor.add(SurveyKey(machine_id=item.machine_id, label=item.label), item.header)
        item_bytes = _decoded_bytes(item, sample_rate)
        if portion and (len(portion) == PORTION_ITEMS or portion_bytes + item_bytes > PORTION_BYTES):
            yield portion, portion_bytes
            portion, portion_bytes = [], 0
        portion.append(item)
        portion_bytes += item_bytes
    if portion:
        yield portion, portion_bytes


def _decoded_bytes(item: Item, sample_rate: int) -> int:
    """Return how many bytes one decoded channel has at most; 0 if it cannot be read.

    How long a file is, its header says; one that has no length there is at most as long as its size allows.
    """
    content: Any = item.content
    if isinstance(content, LogMelOf):
        return int(content.logmel.nbytes)
    if isinstance(content, Samples):
        duration_s: float = content.samples.shape[-1] / content.sample_rate
    elif item.header is None:
        return 0
    elif item.header.duration_s is not None:
        duration_s = item.header.duration_s
    else:
        try:
            size = content.stat().st_size if isinstance(content, Path) else len(content)
        except OSError:
            return 0
        duration_s = size / _LEAST_BYTES_PER_SECOND
    return math.ceil(SAMPLE_BYTES * duration_s * sample_rate)
