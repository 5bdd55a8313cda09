"""What a connection may take its time for, and for how long.

One sweep over ordered tables instead of a timer per request: an entry is put in at the end and the limit of a table is the
same for all its entries, so that the overdue ones stand first.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator
from typing import Protocol

from ingest.clock import Clock
from ingest.metrics import CONNECTIONS_ENDED

SWEEP_INTERVAL_S = 0.5
# A client that was refused in the middle of its request gets this long to read why.
LINGER_S = 2.0
# Few, so that others get their turn while a thousand time out together.
_AT_ONCE = 16


class Connection(Protocol):
    """What a sweep does to connections."""

    def time_out(self) -> None:
        """Its request has not come in time."""

    def close(self) -> None:
        """Say nothing more."""

    def abort(self) -> None:
        """End now, whatever has not been sent."""


class Deadlines:
    """The connections of the process by what they are waited for, each with the time (monotonic, s) since when."""

    def __init__(self, request_s: float, keep_alive_s: float, answer_s: float, clock: Clock) -> None:
        self.receiving: dict[Connection, float] = {}
        self.idle: dict[Connection, float] = {}
        self.unread: dict[Connection, float] = {}
        self.closing: dict[Connection, float] = {}
        self.lingering: dict[Connection, float] = {}
        self._request_s, self._keep_alive_s, self._answer_s = request_s, keep_alive_s, answer_s
        self._clock = clock
        self.now = time.monotonic()
        self.now_s = clock() / 1000

    async def sweep_forever(self) -> None:
        """Sweep until cancelled."""
        while True:
            more = self.sweep(time.monotonic())
            await asyncio.sleep(0 if more else SWEEP_INTERVAL_S)

    def sweep(self, now: float) -> bool:
        """End what is overdue at ``now``, a few connections of each kind. Returns whether there may be more.

        Between two sweeps ``now`` and ``now_s`` are the time to go by.
        """
        self.now, self.now_s = now, self._clock() / 1000
        ended = [
            self._end(self.receiving, now - self._request_s, "request", lambda connection: connection.time_out()),
            self._end(self.idle, now - self._keep_alive_s, "idle", lambda connection: connection.close()),
            self._end(self.unread, now - self._answer_s, "unread", lambda connection: connection.abort()),
            self._end(self.closing, now - self._answer_s, "unread", lambda connection: connection.abort()),
            self._end(self.lingering, now - LINGER_S, "", lambda connection: connection.abort()),
        ]
        return max(ended) == _AT_ONCE

    def forget(self, connection: Connection) -> None:
        """The connection has ended."""
        for table in (self.receiving, self.idle, self.unread, self.closing, self.lingering):
            table.pop(connection, None)

    @staticmethod
    def _end(table: dict[Connection, float], before: float, reason: str, end: Callable[[Connection], None]) -> int:
        overdue = list(itertools.islice(_overdue(table, before), _AT_ONCE))
        for connection in overdue:
            del table[connection]
            if reason:
                CONNECTIONS_ENDED.labels(reason).inc()
            end(connection)
        return len(overdue)


def _overdue(table: dict[Connection, float], before: float) -> Iterator[Connection]:
    return (connection for connection, _ in itertools.takewhile(lambda entry: entry[1] <= before, table.items()))
