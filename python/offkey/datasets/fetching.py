"""Fetches recordings from object storage, some ahead of those that are scored."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from offkey.datasets.objects import Remote, fetch
from offkey.datasets.recordings import Item
from offkey.errors import DatasetError

__all__ = ["fetched"]

_AT_ONCE = 16
_AHEAD_BYTES = 64_000_000
_LIKELY_BYTES = 1_000_000  # of an object whose size is not known


def fetched(items: Iterable[Item]) -> Iterator[Item]:
    """Yield the items in their order, those of object storage with their bytes, or the reason why there are none.

    At most `_AT_ONCE` objects are in memory beside the one that was yielded, and no further one is fetched while they
    have `_AHEAD_BYTES`.

    Raises
    ------
    OSError
        If a storage does not answer: that is no fault of the recording.
    """
    ahead: deque[tuple[Item, Future[bytes] | None, int]] = deque()
    pool: ThreadPoolExecutor | None = None
    try:
        for item in items:
            future, size = None, 0
            if isinstance(item.content, Remote):
                pool = pool or ThreadPoolExecutor(_AT_ONCE, "fetch")
                size = _LIKELY_BYTES if item.content.size is None else item.content.size
                while ahead and sum(size for *_, size in ahead) + size > _AHEAD_BYTES:
                    yield _had(*ahead.popleft())
                future = pool.submit(fetch, item.content)
            ahead.append((item, future, size))
            while len(ahead) > _AT_ONCE or (ahead and ahead[0][1] is None):
                yield _had(*ahead.popleft())
        while ahead:
            yield _had(*ahead.popleft())
    finally:
        if pool is not None:
            pool.shutdown(cancel_futures=True)


def _had(item: Item, future: Future[bytes] | None, _: int) -> Item:
    if future is None:
        return item
    content: bytes | Exception
    try:
        content = future.result()
    except (FileNotFoundError, PermissionError, DatasetError) as error:
        content = error
    return dataclasses.replace(item, content=content)
