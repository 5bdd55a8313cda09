"""The clockwork: what is due goes out, what comes back goes to whom it concerns. One timer for all clients.

Nothing here reads a clock or a socket by itself: time, chance and the way to the server are given, so that hours of a fleet
can be played in seconds against a server that is only imagined.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

from fleet.client import SimulatedClient
from fleet.discipline import Discipline
from fleet.exchange import NO_ANSWER, NOT_SENT, Answer, Exchange
from fleet.tally import Tally
from fleet.wheel import TimingWheel

Action: TypeAlias = Callable[[SimulatedClient, float], None]
Handler: TypeAlias = Callable[[Exchange, Answer], None]
Send: TypeAlias = Callable[[bytes, Exchange], None]


class Clock(NamedTuple):
    """``monotonic_ms`` never goes back; ``wall_ms`` is since the epoch, as an unskewed client has it."""

    monotonic_ms: Callable[[], float]
    wall_ms: Callable[[], int]


class Simulation:
    """All clients of a run and what they are about to do.

    Args:
        send: takes a request to the server; ``answered`` is to be called with what comes of it.
    """

    def __init__(
        self,
        clients: Sequence[SimulatedClient],
        clock: Clock,
        chance: random.Random,
        send: Send,
        discipline: Discipline = Discipline.LIBRARY,
    ) -> None:
        self.clients = clients
        self.clock = clock
        self.chance = chance
        self.discipline = discipline
        self.tally = Tally(clock.monotonic_ms())
        self.handlers: dict[str, Handler] = {}
        self._send = send
        self._wheel: TimingWheel[tuple[Action, SimulatedClient]] = TimingWheel(clock.monotonic_ms())

    @property
    def waiting(self) -> int:
        """How many actions wait for their time."""
        return len(self._wheel)

    def at(self, due_ms: float, action: Action, client: SimulatedClient) -> None:
        """Have something done at a time of the monotonic clock."""
        self._wheel.add(due_ms, (action, client))

    def after(self, wait_ms: float, action: Action, client: SimulatedClient) -> None:
        """Have something done in a while."""
        self._wheel.add(self.clock.monotonic_ms() + wait_ms, (action, client))

    def turn(self) -> None:
        """Do what is due."""
        for due_ms, (action, client) in self._wheel.due(self.clock.monotonic_ms()):
            action(client, due_ms)

    def send(self, request: bytes, exchange: Exchange) -> None:
        """Take a request to the server; without a network it has no answer, and nobody hears of it."""
        if exchange.client.cut:
            self.tally.notes["attempts without a network"] += 1
            self._dispatch(exchange, NOT_SENT)
            return
        self.tally.count_sent(exchange, self.clock.monotonic_ms())
        self._send(request, exchange)

    def answered(self, exchange: Exchange, answer: Answer) -> None:
        """What came of a request."""
        if exchange.client.cut:  # the network went while the answer was on its way
            answer = NO_ANSWER
        self.tally.count_answer(exchange, answer, self.clock.monotonic_ms())
        self._dispatch(exchange, answer)

    def _dispatch(self, exchange: Exchange, answer: Answer) -> None:
        handler = self.handlers.get(exchange.kind)
        if handler is not None:
            handler(exchange, answer)
