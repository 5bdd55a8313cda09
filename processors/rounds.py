"""Splitting a batch so that a client stands once in each part."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def rounds(items: Iterable[T], key: Callable[[T], str]) -> Iterator[list[T]]:
    """Consecutive parts in which no key stands twice.

    The writes of one part go out together and are awaited; those of a client's next item only after that. So no crash can
    show a client's later state without what its earlier one led to.
    """
    part: dict[str, T] = {}
    for item in items:
        if key(item) in part:
            yield list(part.values())
            part = {}
        part[key(item)] = item
    if part:
        yield list(part.values())
