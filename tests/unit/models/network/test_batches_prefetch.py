import itertools
import threading
import time

import pytest

from offkey.models.network.batches import Prefetcher


def workers():
    return [t for t in threading.enumerate() if t.name == "offkey-batches"]


def test_yields_all_items_in_order_from_another_thread():
    names = []

    def items():
        for i in range(20):
            names.append(threading.current_thread().name)
            yield i

    with Prefetcher(items()) as made:
        assert list(made) == list(range(20))
    assert set(names) == {"offkey-batches"}
    assert not workers()


def test_never_runs_further_ahead_than_its_depth():
    started = []

    def items():
        for i in range(50):
            started.append(i)
            yield i

    ahead = []
    with Prefetcher(items(), depth=2) as made:
        for item in made:
            time.sleep(0.001)
            ahead.append(started[-1] - item)
    assert max(ahead) <= 3  # two that wait in the queue, and one that waits for room there


def test_an_error_in_the_thread_comes_where_its_item_would_have():
    def items():
        yield 1
        raise ValueError("clip 7 is empty")

    got = []
    with pytest.raises(ValueError, match="clip 7 is empty"), Prefetcher(items()) as made:
        got.extend(made)
    assert got == [1]
    assert not workers()


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_leaving_early_stops_a_thread_that_would_never_end(error):
    def use():
        with Prefetcher(itertools.count()) as made:
            for item in made:
                if item == 3:
                    raise error

    with pytest.raises(error):
        use()
    assert not workers()
