"""The cores there are, and the number of threads of a call."""

from __future__ import annotations

import operator
import os
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from offkey.errors import ParameterError

__all__ = ["cores", "one_ahead", "threads"]

T = TypeVar("T")


def cores() -> int:
    """Return how many cores this process may use; where the system does not say, how many there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def threads(num_threads: int | None) -> int | None:
    """Return the number of threads of a call; None stands for all cores that the process may use.

    Without a number given that is one in a worker of a torch `DataLoader`, whose workers share the cores already.

    Raises
    ------
    ParameterError
        If the number is below 1 or no integer.
    """
    if num_threads is None:
        # Whoever is in such a worker has imported this module; nobody else must.
        data = sys.modules.get("torch.utils.data")
        return None if data is None or data.get_worker_info() is None else 1
    try:
        count = operator.index(num_threads)
    except TypeError:
        count = 0
    if not 1 <= count <= 1024:
        raise ParameterError(
            f"num_threads = {num_threads!r}: expected 1 to 1024, or None for one for each core"
        )
    return count


def one_ahead(items: Iterable[T]) -> Iterator[T]:
    """Yield the items, the next of which is made on a thread while one is used; its exception comes in its turn."""
    rest, end = iter(items), object()
    with ThreadPoolExecutor(1, thread_name_prefix="offkey-ahead") as pool:
        pending = pool.submit(next, rest, end)
        while (item := pending.result()) is not end:
            pending = pool.submit(next, rest, end)
            yield item  # type: ignore[misc]
