import threading

import pytest

from offkey._util.threads import one_ahead


def test_items_come_in_order_and_the_next_is_made_on_a_thread_while_one_is_used():
    made = [threading.Event() for _ in range(4)]
    threads = set()

    def items():
        for number, event in enumerate(made):
            threads.add(threading.current_thread())
            event.set()
            yield number

    seen = []
    for number in one_ahead(items()):
        if number < 3:
            assert made[number + 1].wait(10)  # while this one is in use
        seen.append(number)
    assert seen == [0, 1, 2, 3]
    assert threading.current_thread() not in threads
    assert list(one_ahead([])) == []


def test_an_exception_comes_in_its_turn():
    def items():
        yield 1
        raise ValueError("of the second")

    ahead = one_ahead(items())
    assert next(ahead) == 1
    with pytest.raises(ValueError, match="of the second"):
        next(ahead)


def test_whoever_stops_early_leaves_no_thread():
    ahead = one_ahead(range(10))
    next(ahead)
    ahead.close()
    assert not any(thread.name.startswith("offkey-ahead") for thread in threading.enumerate())
