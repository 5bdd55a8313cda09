"""Connections to the server: many clients on a few, or one for each client."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from fleet.client import SimulatedClient
from fleet.connection import Answered, Connection
from fleet.exchange import NOT_SENT, Exchange

Contexts = Callable[[SimulatedClient], ssl.SSLContext]
_CONNECT_S = 10.0


@dataclass(frozen=True, slots=True)
class Target:
    """Where the server is.

    Attributes:
        contexts: a client's TLS; None for plain HTTP.
        sources: own addresses to connect from in turn; empty for the system's choice.
    """

    host: str
    port: int
    contexts: Contexts | None = None
    sources: tuple[str, ...] = ()


class Lane:
    """Connections that share a queue. ``limit`` of them at most; the one that was used last is used first."""

    __slots__ = ("_clock_ms", "_idle", "_limit", "_open", "_opening", "_queue", "_target", "_tasks", "_tell")

    def __init__(self, target: Target, limit: int, tell: Answered, clock_ms: Callable[[], float]) -> None:
        self._target = target
        self._limit = limit
        self._tell = tell
        self._clock_ms = clock_ms
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()
        self._opening = 0
        self._queue: deque[tuple[bytes, Exchange]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._open)

    def submit(self, request: bytes, exchange: Exchange) -> None:
        """Send as soon as a connection is free."""
        if self._idle and not self._queue:
            self._idle.pop().send(request, exchange, self._clock_ms())
            return
        self._queue.append((request, exchange))
        self._open_more()

    def expire(self, before_ms: float) -> None:
        """End connections whose request was sent before this and has no answer yet."""
        for connection in tuple(self._open):
            if connection.exchange is not None and connection.exchange.sent_ms < before_ms:
                connection.close()

    async def close(self) -> None:
        """End all connections. What is under way, or waits, has no answer."""
        waiting, self._queue = self._queue, deque()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for connection in tuple(self._open):
            connection.close()
        await asyncio.sleep(0)
        for _, exchange in waiting:
            self._tell(exchange, NOT_SENT)

    def _open_more(self) -> None:
        while self._opening < len(self._queue) and len(self._open) + self._opening < self._limit:
            self._opening += 1
            task = asyncio.get_running_loop().create_task(self._connect(self._queue[0][1].client))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _connect(self, client: SimulatedClient) -> None:
        target, loop = self._target, asyncio.get_running_loop()
        sources = target.sources
        source = (sources[client.number % len(sources)], 0) if sources else None
        try:
            context = target.contexts(client) if target.contexts else None
            async with asyncio.timeout(_CONNECT_S):
                _, connection = await loop.create_connection(
                    partial(Connection, self._tell, self._on_idle, self._on_lost),
                    target.host,
                    target.port,
                    ssl=context,
                    server_hostname=target.host if context else None,
                    local_addr=source,
                )
        except (OSError, TimeoutError):
            self._opening -= 1
            self._fail_one()
            return
        self._opening -= 1
        self._open.add(connection)
        self._on_idle(connection)

    def _on_idle(self, connection: Connection) -> None:
        if self._queue:
            connection.send(*self._queue.popleft(), self._clock_ms())
        else:
            self._idle.append(connection)

    def _on_lost(self, connection: Connection) -> None:
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._open_more()

    def _fail_one(self) -> None:
        """A server that cannot be reached costs each who waits an attempt of its own, as it would cost real clients."""
        if self._queue:
            self._tell(self._queue.popleft()[1], NOT_SENT)
        self._open_more()


class Pool:
    """``connections`` for all clients together; 0 for one each."""

    def __init__(self, target: Target, connections: int, tell: Answered, clock_ms: Callable[[], float]) -> None:
        self._lane_of = partial(Lane, target, tell=tell, clock_ms=clock_ms)
        self._shared = self._lane_of(connections) if connections else None
        self._own: dict[SimulatedClient, Lane] = {}

    @property
    def connections(self) -> int:
        """How many are open."""
        return self._shared.connections if self._shared else sum(lane.connections for lane in self._own.values())

    def submit(self, request: bytes, exchange: Exchange) -> None:
        """Send as soon as a connection is free; the answer comes to ``tell``."""
        lane = self._shared or self._own.get(exchange.client)
        if lane is None:
            lane = self._own[exchange.client] = self._lane_of(1)
        lane.submit(request, exchange)

    def expire(self, before_ms: float) -> None:
        """Give up what was sent before this and has no answer."""
        for lane in self._lanes():
            lane.expire(before_ms)

    async def close(self) -> None:
        """End all connections."""
        for lane in self._lanes():
            await lane.close()

    def _lanes(self) -> list[Lane]:
        return [self._shared] if self._shared else list(self._own.values())
