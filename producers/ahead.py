"""Make the next item while the current one is used: the CPU works while the broker answers."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def ahead(items: Iterator[T]) -> Iterator[T]:
    """The same items in the same order, made one ahead in a thread; an exception is raised in place of its item."""
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as worker:
        following = worker.submit(_next, items)
        while found := following.result():
            following = worker.submit(_next, items)
            yield found[0]


def _next(items: Iterator[T]) -> tuple[T] | None:
    for item in items:
        return (item,)
    return None
