"""The heartbeats: each client's own rhythm, and what it does when one is not accepted."""

from __future__ import annotations

from collections.abc import Callable

from fleet import requests
from fleet.client import SimulatedClient
from fleet.discipline import JITTER, STUBBORN_RETRY_MS, Discipline, Trouble
from fleet.exchange import Answer, Exchange
from fleet.simulation import Simulation
from viworks.breaker import Outcome, Permit, outcome_of

HEARTBEAT = "heartbeat"
KEY_REFUSED = "invalid-api-key"


class Beats:
    """Sends heartbeats of all clients of a simulation.

    Attributes:
        renew: called for a client whose API key is no longer taken; None where nothing can be done about it.
    """

    def __init__(self, simulation: Simulation) -> None:
        self.renew: Callable[[SimulatedClient], None] | None = None
        self._simulation = simulation
        simulation.handlers[HEARTBEAT] = self._answered

    def start(self, client: SimulatedClient, within_ms: float) -> None:
        """Have a client begin, or begin again, at a random time within a span. One that beats already goes on as it does."""
        if not client.beating:
            client.beating = True
            self._simulation.after(self._simulation.chance.random() * within_ms, self._due, client)

    def say(self, client: SimulatedClient, status: str) -> None:
        """Send a heartbeat with another status now, besides the rhythm."""
        usual, client.status = client.status, status
        now_ms = self._simulation.clock.monotonic_ms()
        self._simulation.send(self._request(client), Exchange(client, "farewell", now_ms))
        client.status = usual

    def _due(self, client: SimulatedClient, due_ms: float) -> None:
        if client.silent:
            client.beating = False
            return
        permit, again = None, False
        if client.trouble is not None:
            again = client.trouble.beat.backoff.failures > 0
            permit, wait_ms = client.trouble.admit(self._now_ms())
            if permit is None:
                self._simulation.tally.notes["held back by the breaker"] += 1
                self._wait(client, client.trouble.beat_held_back(self._simulation.chance.random(), wait_ms))
                return
        self._simulation.send(self._request(client), Exchange(client, HEARTBEAT, due_ms, again=again, permit=permit))

    def _answered(self, exchange: Exchange, answer: Answer) -> None:
        client = exchange.client
        if 200 <= answer.status < 300:
            self._accepted(exchange)
        elif self._simulation.discipline is Discipline.NONE:
            self._wait(client, STUBBORN_RETRY_MS)
        else:
            self._refused(exchange, answer)

    def _accepted(self, exchange: Exchange) -> None:
        client, trouble, now_ms = exchange.client, exchange.client.trouble, self._simulation.clock.monotonic_ms()
        wait_ms = client.interval_ms * (1 - JITTER * self._simulation.chance.random())
        if trouble is None:
            # From when it was due: a client that is always a little late would have too long a rhythm.
            self._simulation.at(exchange.due_ms + wait_ms, self._due, client)
            return
        if exchange.permit is not None:
            trouble.settle(exchange.permit, Outcome.SUCCESS, int(now_ms), 0.0)
        trouble.beat_accepted()
        client.trouble = None if trouble.over else trouble
        self._wait(client, wait_ms)

    def _refused(self, exchange: Exchange, answer: Answer) -> None:
        client, chance = exchange.client, self._simulation.chance
        if self.renew is not None and answer.status == 401 and answer.problem() == KEY_REFUSED:
            self.renew(client)
        trouble = client.trouble = client.trouble or Trouble.of(client.interval_ms)
        asked_ms = answer.retry_after_ms(self._simulation.clock.wall_ms()) if answer.status else None
        outcome = outcome_of(answer.status) if answer.status else Outcome.FAILURE
        trouble.settle(exchange.permit or Permit(0), outcome, self._now_ms(), chance.random(), asked_ms)
        self._wait(client, trouble.beat_missed(chance.random(), asked_ms))

    def _request(self, client: SimulatedClient) -> bytes:
        return requests.heartbeat(client, self._simulation.clock.wall_ms())

    def _wait(self, client: SimulatedClient, wait_ms: float) -> None:
        self._simulation.after(wait_ms, self._due, client)

    def _now_ms(self) -> int:
        return int(self._simulation.clock.monotonic_ms())
