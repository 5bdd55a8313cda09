"""A timing wheel: what is due when, for many items and one timer (Varghese and Lauck, SOSP 1987, scheme 4 with a hash)."""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")


class TimingWheel(Generic[T]):
    """Items by the moment at which they are due, in slots of ``slot_ms``. Nothing comes early, all at most a slot late.

    Pure: the caller brings the time, milliseconds of any clock that never goes back.
    """

    def __init__(self, now_ms: float, slot_ms: int = 5) -> None:
        self._slot_ms = slot_ms
        self._slots: dict[int, list[tuple[float, T]]] = {}
        self._next = int(now_ms // slot_ms)
        self._count = 0

    def __len__(self) -> int:
        """How many items wait."""
        return self._count

    def add(self, due_ms: float, item: T) -> None:
        """Have the item come up at ``due_ms``; at the next turn where that is past."""
        slot = max(self._next, -int(-due_ms // self._slot_ms))
        self._slots.setdefault(slot, []).append((due_ms, item))
        self._count += 1

    def due(self, now_ms: float) -> list[tuple[float, T]]:
        """Take out all that is due, each with its moment, in the order of the slots."""
        found: list[tuple[float, T]] = []
        last = int(now_ms // self._slot_ms)
        while self._next <= last:
            found += self._slots.pop(self._next, ())
            self._next += 1
        self._count -= len(found)
        return found
