"""Making the next item in advance."""

import threading

import pytest

from producers.ahead import ahead
from tests.helpers import PATIENCE_SECONDS


def test_items_come_in_order():
    assert list(ahead(iter(range(100)))) == list(range(100))


def test_the_next_item_is_made_while_the_current_one_is_used():
    made = [threading.Event() for _ in range(3)]

    def items():
        for number, event in enumerate(made):
            event.set()
            yield number

    running = ahead(items())
    assert next(running) == 0
    assert made[1].wait(PATIENCE_SECONDS)
    assert not made[2].is_set()
    running.close()


def test_an_exception_comes_where_the_item_would_have():
    def items():
        yield 1
        raise ValueError("the second")

    running = ahead(items())
    assert next(running) == 1
    with pytest.raises(ValueError, match="the second"):
        next(running)
