"""Batches made ahead by one background thread."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Generic, Self, TypeVar

__all__ = ["Prefetcher"]

T = TypeVar("T")


class Prefetcher(Generic[T]):
    """Makes items ahead in one background thread; a context manager to iterate over within its block.

    An exception in the thread is raised where its item would have come. Leaving the block, by an exception
    or Ctrl-C too, stops the thread once the item that it is making is done.

    Parameters
    ----------
    items : iterable
        Iterated over in the thread.
    depth : int
        How many finished items may wait.
    """

    def __init__(self, items: Iterable[T], *, depth: int = 2) -> None:
        self._items = items
        # (item,) | an error to raise | None at the end
        self._queue: queue.Queue[tuple[T] | BaseException | None] = queue.Queue(depth)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, name="offkey-batches", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed.set()
        while self._thread.is_alive():  # it may wait for room in the queue
            with contextlib.suppress(queue.Empty):
                self._queue.get(timeout=0.05)
        self._thread.join()

    def __iter__(self) -> Iterator[T]:
        while (made := self._queue.get()) is not None:
            if isinstance(made, BaseException):
                raise made
            yield made[0]

    def _work(self) -> None:
        last: BaseException | None = None
        try:
            for item in self._items:
                self._queue.put((item,))
                if self._closed.is_set():
                    return
        except BaseException as error:  # whatever it is, the consumer must hear of it
            last = error
        self._queue.put(last)
