"""Registers many clients at a bounded rate, and waits as long as the server asks."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterable

import msgspec

from fleet import requests
from fleet.client import SimulatedClient
from fleet.errors import RegistrationFailed
from fleet.exchange import Answer, Exchange
from fleet.simulation import Simulation
from schemas.messages import RegistrationAnswer
from viworks.backoff import Backoff, BackoffPolicy, failed

REGISTER = "register"
_AGAIN = (0, 408, 429)
_WAITS = BackoffPolicy(base_ms=500, cap_ms=30_000)
_GIVE_UP_MS = 30_000.0
_MOST_CATCHING_UP_MS = 100
_read_answer = msgspec.json.Decoder(RegistrationAnswer).decode

Registered = Callable[[SimulatedClient, RegistrationAnswer], None]


class Enrolment:
    """Registrations of a simulation's clients.

    Args:
        rate_per_s: at most so many.
        on_registered: told of each.
        csr_of: a certificate request of a client that wants a certificate.

    Attributes:
        problems: why registrations were refused for good.
    """

    def __init__(
        self,
        simulation: Simulation,
        rate_per_s: float,
        on_registered: Registered,
        *,
        enrolment_token: str = "",
        csr_of: Callable[[SimulatedClient], str] | None = None,
    ) -> None:
        self.problems: Counter[str] = Counter()
        self._simulation = simulation
        self._gap_ms = 1000 / rate_per_s
        self._on_registered = on_registered
        self._token = enrolment_token
        self._csr_of = csr_of
        self._under_way: set[SimulatedClient] = set()
        self._queue: deque[SimulatedClient] = deque()
        self._next_ms = simulation.clock.monotonic_ms()
        self._backoff = Backoff()
        self._heard_ms = simulation.clock.monotonic_ms()
        self._settled = asyncio.Event()
        simulation.handlers[REGISTER] = self._answered

    @property
    def left(self) -> int:
        """How many are not registered yet."""
        return len(self._under_way)

    def enrol(self, client: SimulatedClient) -> None:
        """Have a client registered when its turn comes."""
        if client not in self._under_way:
            self._under_way.add(client)
            self._queue_up(client)

    async def enrol_all(self, clients: Iterable[SimulatedClient]) -> None:
        """Register these. Raises RegistrationFailed where one is refused for good, or the server does not answer."""
        for client in clients:
            self.enrol(client)
        self._heard_ms = self._simulation.clock.monotonic_ms()
        while self._under_way and not self.problems:
            self._settled.clear()
            await self._settled.wait()
        if self.problems:
            problems = ", ".join(f"{name} ({count})" for name, count in self.problems.most_common(5))
            raise RegistrationFailed(f"Clients of the fleet cannot be registered: {problems}.")

    def _queue_up(self, client: SimulatedClient) -> None:
        self._queue.append(client)
        if len(self._queue) == 1:
            self._simulation.at(self._next_ms, self._turn, client)

    def _turn(self, _: SimulatedClient, __: float) -> None:
        """Send what the rate allows by now."""
        now_ms = self._simulation.clock.monotonic_ms()
        while self._queue and self._next_ms <= now_ms:
            self._next_ms = max(self._next_ms, now_ms - _MOST_CATCHING_UP_MS) + self._gap_ms
            self._send(self._queue.popleft())
        if self._queue:
            self._simulation.at(self._next_ms, self._turn, self._queue[0])

    def _send(self, client: SimulatedClient) -> None:
        clock = self._simulation.clock
        csr = self._csr_of(client) if self._csr_of else None
        request = requests.registration(client, clock.wall_ms(), csr, self._token)
        self._simulation.send(request, Exchange(client, REGISTER, clock.monotonic_ms()))

    def _answered(self, exchange: Exchange, answer: Answer) -> None:
        client = exchange.client
        if answer.status:
            self._heard_ms = self._simulation.clock.monotonic_ms()
        if answer.status == 201:
            self._backoff = Backoff()
            self._under_way.discard(client)
            registered = _read_answer(answer.body)
            client.admit(registered.api_key)
            self._on_registered(client, registered)
        elif answer.status in _AGAIN or answer.status >= 500:
            self._put_off(client, answer)
        else:
            self._under_way.discard(client)
            self.problems["approval is wanted" if answer.status == 202 else answer.problem()] += 1
        self._settled.set()

    def _put_off(self, client: SimulatedClient, answer: Answer) -> None:
        """Nobody registers before the server wants to hear of it again."""
        asked_ms = answer.retry_after_ms(self._simulation.clock.wall_ms()) if answer.status else None
        self._backoff, wait_ms = failed(_WAITS, self._backoff, self._simulation.chance.random(), asked_ms)
        if self._simulation.clock.monotonic_ms() - self._heard_ms > _GIVE_UP_MS:
            self.problems["no answer"] += 1
        self._next_ms = max(self._next_ms, self._simulation.clock.monotonic_ms() + wait_ms)
        self._queue_up(client)
