"""A server that is only imagined, in a time that passes as fast as it can be computed."""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Callable

import msgspec

from fleet.beats import Beats
from fleet.client import SimulatedClient, make_clients
from fleet.deliveries import Deliveries
from fleet.discipline import Discipline
from fleet.exchange import NOT_SENT, Answer, Exchange
from fleet.simulation import Clock, Simulation

EPOCH_MS = 1_700_000_000_000
STEP_MS = 5.0
ACCEPTED = Answer(202, b"HTTP/1.1 202 Accepted", b'{"status":"accepted"}')


class World:
    """``clients`` of ``interval_ms`` and a server; what it says is ``judge``'s: by default it takes all.

    Attributes:
        heard_ms: when the server last took a heartbeat of each client.
        arrived: how often each message has arrived, by its bytes.
    """

    def __init__(
        self, count: int, interval_ms: int = 30_000, discipline: Discipline = Discipline.LIBRARY, seed: str = "seed"
    ) -> None:
        self.now_ms = 0.0
        self.heard_ms: dict[str, float] = {}
        self.arrived: Counter[bytes] = Counter()
        self.longest_silence_ms = 0.0
        self.judge: Callable[[Exchange], Answer] = taking
        self.answer_ms = 20.0
        self.requests: list[tuple[float, bytes, Exchange]] = []
        self.clients: list[SimulatedClient] = make_clients("imagined", count, EPOCH_MS)
        for client in self.clients:
            client.interval_ms = interval_ms
        clock = Clock(lambda: self.now_ms, lambda: EPOCH_MS + int(self.now_ms))
        self.simulation = Simulation(self.clients, clock, random.Random(seed), self._send, discipline)
        self.beats = Beats(self.simulation)
        self.deliveries = Deliveries(self.simulation)
        self._answers: list[tuple[float, int, Exchange, Answer]] = []
        self._count = 0

    def start(self, within_ms: float) -> None:
        for client in self.clients:
            self.beats.start(client, within_ms)

    def pass_time(self, span_ms: float) -> None:
        """Let time go on."""
        end_ms = self.now_ms + span_ms
        while self.now_ms < end_ms:
            self.now_ms += STEP_MS
            while self._answers and self._answers[0][0] <= self.now_ms:
                _, _, exchange, answer = heapq.heappop(self._answers)
                self.simulation.answered(exchange, answer)
            self.simulation.turn()

    def _send(self, request: bytes, exchange: Exchange) -> None:
        self.requests.append((self.now_ms, request, exchange))
        answer = self.judge(exchange)
        if answer.status == 202 and exchange.kind == "heartbeat":
            self._hear(exchange.client.client_id)
        if answer.status == 200 and exchange.kind == "batch":
            self.arrived.update(message for _, message in exchange.payload)
        self._count += 1
        delay_ms = self.answer_ms if answer.status else 1.0
        heapq.heappush(self._answers, (self.now_ms + delay_ms, self._count, exchange, answer))

    def _hear(self, client_id: str) -> None:
        self.longest_silence_ms = max(self.longest_silence_ms, self.now_ms - self.heard_ms.get(client_id, self.now_ms))
        self.heard_ms[client_id] = self.now_ms


def taking(exchange: Exchange) -> Answer:
    """It takes whatever comes."""
    return batch_answer([202] * len(exchange.payload)) if exchange.kind == "batch" else ACCEPTED


def away(_: Exchange) -> Answer:
    """It is not there."""
    return NOT_SENT


def refusing(status: int, problem: str, retry_after_s: int | None = None) -> Callable[[Exchange], Answer]:
    """It refuses whatever comes."""
    head = f"HTTP/1.1 {status} -"
    if retry_after_s is not None:
        head += f"\r\nretry-after: {retry_after_s}"
    body = msgspec.json.encode({"type": f"urn:viworks:problem:{problem}"})
    return lambda _: Answer(status, head.encode(), body)


def batch_answer(statuses: list[int]) -> Answer:
    """The verdicts on the lines of a batch."""
    results = [{"line": line, "status": status, "retryable": status >= 500} for line, status in enumerate(statuses)]
    return Answer(200, b"HTTP/1.1 200 OK", msgspec.json.encode({"accepted": 0, "results": results}))
