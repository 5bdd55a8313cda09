"""Turns: every client has one within a period, evenly spread, and a heartbeat costs nothing. Pure."""

from __future__ import annotations


class Rota:
    """Clients in the order in which they joined; the clock of the partition goes round them once in ``period_ms``."""

    def __init__(self, period_ms: int) -> None:
        self._period_ms = period_ms
        self._order: list[str] = []
        self._next = 0
        self._moved_ms = 0

    def join(self, client_id: str) -> None:
        """A client takes part from now on."""
        self._order.append(client_id)

    def advance(self, step_ms: int) -> None:
        """The clock has moved on."""
        self._moved_ms = min(self._moved_ms + step_ms, self._period_ms)

    def turns(self) -> list[str]:
        """The clients whose turn has come since the last call."""
        count = self._moved_ms * len(self._order) // self._period_ms
        if not count:
            return []
        self._moved_ms -= count * self._period_ms // len(self._order)
        taken = [self._order[(self._next + n) % len(self._order)] for n in range(count)]
        self._next = (self._next + count) % len(self._order)
        return taken
