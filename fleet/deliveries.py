"""What clients have to say besides heartbeats: spooled, and delivered by batch as the library does, or sent one by one."""

from __future__ import annotations

from itertools import islice

import msgspec

from fleet import requests
from fleet.client import SimulatedClient
from fleet.discipline import MOST_LINES, STUBBORN_RETRY_MS, Discipline, Trouble
from fleet.exchange import Answer, Exchange
from fleet.simulation import Simulation
from viworks.breaker import Outcome, Permit, outcome_of
from viworks.verdicts import BatchAnswer

BATCH = "batch"
_TYPE_PREFIX = "urn:viworks:problem:"
_read_batch = msgspec.json.Decoder(BatchAnswer).decode


class Deliveries:
    """Brings the messages of all clients of a simulation to the server.

    Attributes:
        accepted: how many messages the server has taken.
        refused: how many it refused for good.
        lost: how many had to go because a spool was full.
    """

    def __init__(self, simulation: Simulation) -> None:
        self.accepted = self.refused = self.lost = 0
        self._simulation = simulation
        simulation.handlers[BATCH] = self._batch_answered
        simulation.handlers["events"] = simulation.handlers["sessions"] = self._single_answered

    @property
    def waiting(self) -> int:
        """How many messages are in spools."""
        return sum(len(client.spool) for client in self._simulation.clients if client.spool)

    def submit(self, client: SimulatedClient, kind: str, unsigned: bytes) -> None:
        """A client has something to say."""
        self.lost += not client.keep(kind, unsigned)
        if not client.replaying:
            client.replaying = True
            self._due(client, self._simulation.clock.monotonic_ms())

    def _due(self, client: SimulatedClient, due_ms: float) -> None:
        if not client.spool:
            client.replaying = False
        elif client.silent:
            self._simulation.after(client.interval_ms, self._due, client)
        elif self._simulation.discipline is Discipline.NONE:
            self._send_singly(client, due_ms)
        else:
            self._send_batch(client, due_ms)

    def _send_batch(self, client: SimulatedClient, due_ms: float) -> None:
        permit, lines, trouble = None, MOST_LINES, client.trouble
        if trouble is not None:
            permit, wait_ms = trouble.admit(self._now_ms())
            if permit is None:
                self._again(client, trouble.batch_held_back(self._simulation.chance.random(), wait_ms))
                return
            lines = trouble.pace.lines
        messages = list(islice(client.spool or (), lines))
        again = trouble is not None and trouble.pace.backoff.failures > 0
        exchange = Exchange(client, BATCH, due_ms, again=again, permit=permit, payload=messages)
        self._simulation.send(requests.batch(client, messages), exchange)

    def _batch_answered(self, exchange: Exchange, answer: Answer) -> None:
        client, random = exchange.client, self._simulation.chance.random
        if client.trouble is None and answer.status != 200:
            client.trouble = Trouble.of(client.interval_ms)
        asked_ms = answer.retry_after_ms(self._simulation.clock.wall_ms()) if answer.status else None
        self._settle(exchange, answer, asked_ms)
        if answer.status != 200:
            trouble = client.trouble or Trouble.of(client.interval_ms)
            self._again(client, trouble.batch_failed(random(), asked_ms, broken=answer.broken))
            return
        later, some = self._sort(exchange, answer)
        client.trouble = trouble = client.trouble or Trouble.of(client.interval_ms)
        if later:
            self._again(client, trouble.batch_put_off(random(), some, asked_ms))
            return
        trouble.batch_accepted()
        client.trouble = None if trouble.over else trouble
        self._again(client, 0)

    def _settle(self, exchange: Exchange, answer: Answer, asked_ms: int | None) -> None:
        trouble = exchange.client.trouble
        if trouble is None:
            return
        outcome = outcome_of(answer.status) if answer.status else Outcome.FAILURE
        permit, fraction = exchange.permit or Permit(0), self._simulation.chance.random()
        trouble.settle(permit, outcome, self._now_ms(), fraction, asked_ms)

    def _sort(self, exchange: Exchange, answer: Answer) -> tuple[int, bool]:
        """Take what has a final verdict out of the spool: how many are to come again, and whether any was taken."""
        verdicts = {result.line: result for result in _read_batch(answer.body).results}
        done: set[int] = set()
        before = self.accepted
        for line, message in enumerate(exchange.payload):
            verdict = verdicts.get(line)
            if verdict is not None and not verdict.retryable:
                done.add(id(message))
                self._count(message[0], verdict.status, verdict.type)
        exchange.client.forget(done)
        return len(exchange.payload) - len(done), self.accepted > before

    def _count(self, kind: str, status: int, problem: str) -> None:
        if status < 300:
            self.accepted += 1
        else:
            self.refused += 1
            self._simulation.tally.verdicts[f"{BATCH}: {kind}", status, problem.removeprefix(_TYPE_PREFIX)] += 1

    def _send_singly(self, client: SimulatedClient, due_ms: float) -> None:
        """All at once, each by itself."""
        messages, client.spool = list(client.spool or ()), None
        for kind, unsigned in messages:
            request = requests.signed_request(client, kind.encode(), unsigned)
            self._simulation.send(request, Exchange(client, kind, due_ms, payload=(kind, unsigned)))
        client.replaying = False

    def _single_answered(self, exchange: Exchange, answer: Answer) -> None:
        client = exchange.client
        if 200 <= answer.status < 300:
            self.accepted += 1
        elif answer.status in (0, 408, 429) or answer.status >= 500:
            self.lost += not client.keep(*exchange.payload)
            if not client.replaying:
                client.replaying = True
                self._again(client, STUBBORN_RETRY_MS)
        else:
            self.refused += 1

    def _again(self, client: SimulatedClient, wait_ms: float) -> None:
        self._simulation.after(wait_ms, self._due, client)

    def _now_ms(self) -> int:
        return int(self._simulation.clock.monotonic_ms())
