"""A simulation against a real server: sockets, the machine's clock, and one timer."""

from __future__ import annotations

import asyncio
import random
import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass

from fleet.beats import Beats
from fleet.client import SimulatedClient
from fleet.deliveries import Deliveries
from fleet.discipline import Discipline
from fleet.exchange import Exchange
from fleet.pool import Pool, Target
from fleet.simulation import Clock, Simulation

TURN_S = 0.005
ANSWER_MS = 15_000.0
_EXPIRE_EVERY_S = 1.0
# Files that the process needs beside its connections.
_RESERVED_FILES = 64
ONE_EACH, SHARED = 0, 256


@dataclass(frozen=True, slots=True)
class Settings:
    """How a fleet lives.

    Attributes:
        interval_ms: between two heartbeats of a client; 0 for what the server says at registration.
        connections: that all clients share; ``ONE_EACH`` for one a client.
        seed: of all chance in the run.
    """

    interval_ms: int = 0
    connections: int = SHARED
    discipline: Discipline = Discipline.LIBRARY
    seed: str = "fleet"


def machine_clock() -> Clock:
    """This machine's time."""
    return Clock(lambda: time.monotonic_ns() / 1e6, lambda: time.time_ns() // 1_000_000)


class LiveFleet:
    """Clients, their rhythms and their connections. Use ``run`` once the clients have API keys."""

    def __init__(self, clients: Sequence[SimulatedClient], target: Target, settings: Settings) -> None:
        clock = machine_clock()
        self.connections = connections_for(len(clients), settings.connections)
        chance = random.Random(settings.seed)  # noqa: S311 - a repeatable run, not a secret
        self.simulation = Simulation(clients, clock, chance, self._submit, settings.discipline)
        self.beats = Beats(self.simulation)
        self.deliveries = Deliveries(self.simulation)
        self._pool = Pool(target, self.connections, self.simulation.answered, clock.monotonic_ms)
        self._timer: asyncio.TimerHandle | None = None
        for client in clients:
            client.interval_ms = client.interval_ms or settings.interval_ms

    @property
    def open_connections(self) -> int:
        """How many are open now."""
        return self._pool.connections

    def start(self, ramp_ms: float) -> None:
        """Have all clients begin to beat within a span."""
        for client in self.simulation.clients:
            self.beats.start(client, ramp_ms)

    def wind(self) -> None:
        """Let time go on, until ``close``."""
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(TURN_S, self._turn, loop, loop.time() + _EXPIRE_EVERY_S)

    async def close(self) -> None:
        """Stop the clock and end all connections."""
        if self._timer is not None:
            self._timer.cancel()
        self.simulation.handlers.clear()
        await self._pool.close()

    def _turn(self, loop: asyncio.AbstractEventLoop, expire_s: float) -> None:
        self.simulation.turn()
        if loop.time() >= expire_s:
            self._pool.expire(self.simulation.clock.monotonic_ms() - ANSWER_MS)
            expire_s += _EXPIRE_EVERY_S
        self._timer = loop.call_later(TURN_S, self._turn, loop, expire_s)

    def _submit(self, request: bytes, exchange: Exchange) -> None:
        self._pool.submit(request, exchange)


def connections_for(clients: int, wanted: int) -> int:
    """How many connections a pool is to have: one each becomes a shared pool where the system allows too few files.

    Raises the process's own limit of open files as far as it may.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = (wanted or clients) + _RESERVED_FILES
    if needed > soft:
        limit = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, limit), hard))
        soft = max(soft, limit)
    if needed <= soft:
        return wanted
    return min(wanted or SHARED, max(1, soft - _RESERVED_FILES))
