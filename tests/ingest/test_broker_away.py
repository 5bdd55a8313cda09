"""The broker dies or hangs, and comes back: 503 in bounded time, no 2xx for what is not in Kafka, no restart needed."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import httpx2
import pytest

from infra.kafka import EmbeddedKafka
from infra.key_files import KeyFiles
from tests.deadline import eventually
from tests.ingest.conftest import edge_settings, registry_double, serving
from tests.rust_client import RustClient, now_ms
from tests.schemas import messages_samples as samples
from tests.topic_probe import TopicProbe


class Reporter:
    """Sends events one after the other and notes each answer."""

    def __init__(self, client: RustClient) -> None:
        self.client = client
        self.accepted: set[str] = set()
        self.refused: list[tuple[httpx2.Response, float]] = []
        self._count = 0

    async def send(self) -> int:
        self._count += 1
        event_id = f"{self.client.client_id}-{self._count}"
        started = time.monotonic()
        answer = await self.client.post("events", samples.event(now_ms(), self.client.client_id, event_id))
        if answer.status_code == 202:
            self.accepted.add(event_id)
        else:
            self.refused.append((answer, time.monotonic() - started))
        return answer.status_code

    async def run(self) -> None:
        while True:
            await self.send()
            await asyncio.sleep(0.005)


@dataclass(frozen=True, slots=True)
class Outage:
    """How a broker goes and comes back, the edge's time limit, and within which time every refusal must be there."""

    begin: Callable[[EmbeddedKafka], Awaitable[None]]
    end: Callable[[EmbeddedKafka], Awaitable[None]]
    timeout_s: float
    refused_within_s: float


async def die(broker: EmbeddedKafka) -> None:
    broker.kill()
    await broker.wait()


async def start(broker: EmbeddedKafka) -> None:
    await broker.start()


async def hang(broker: EmbeddedKafka) -> None:
    assert broker.pid
    os.kill(broker.pid, signal.SIGSTOP)


async def go_on(broker: EmbeddedKafka) -> None:
    assert broker.pid
    os.kill(broker.pid, signal.SIGCONT)


OUTAGES = {
    # The lost connection tells, long before the limit does.
    "dies and is started again": Outage(die, start, timeout_s=8.0, refused_within_s=4.0),
    "hangs and goes on": Outage(hang, go_on, timeout_s=1.0, refused_within_s=3.0),
}


@pytest.mark.parametrize("outage", OUTAGES.values(), ids=OUTAGES)
async def test_a_broker_that(outage: Outage, own_kafka: EmbeddedKafka, key_files: KeyFiles) -> None:
    settings = edge_settings(own_kafka.bootstrap, key_files, produce_timeout_s=outage.timeout_s)
    async with (
        registry_double(own_kafka.bootstrap),
        serving(settings) as url,
        httpx2.AsyncClient(base_url=url, timeout=30, trust_env=False) as http,
    ):
        reporters = [Reporter(RustClient(http, f"t-away-{number}")) for number in range(8)]
        for reporter in reporters:
            assert (await reporter.client.register()).status_code == 201
        running = [asyncio.create_task(reporter.run()) for reporter in reporters]
        await eventually(lambda: all(len(reporter.accepted) > 5 for reporter in reporters), 20, "events are accepted")

        await outage.begin(own_kafka)
        await eventually(lambda: all(len(reporter.refused) > 5 for reporter in reporters), 30, "events are refused")
        ready = await http.get("/readyz")
        before = sum(len(reporter.accepted) for reporter in reporters)
        await outage.end(own_kafka)
        await eventually(lambda: sum(len(r.accepted) for r in reporters) > before + 50, 30, "events are accepted again")
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    assert ready.status_code == 503
    check_refusals(reporters, outage.refused_within_s)
    await check_accepted(own_kafka.bootstrap, reporters)


def check_refusals(reporters: list[Reporter], within_s: float) -> None:
    refusals = [refusal for reporter in reporters for refusal in reporter.refused]
    assert {answer.status_code for answer, _ in refusals} == {503}
    assert all(int(answer.headers["retry-after"]) > 0 for answer, _ in refusals)
    assert {answer.json()["type"] for answer, _ in refusals} == {"urn:viworks:problem:broker-unavailable"}
    assert max(took for _, took in refusals) < within_s


async def check_accepted(bootstrap: str, reporters: list[Reporter]) -> None:
    async with TopicProbe(bootstrap) as probe:
        await probe.rewind()
        for reporter in reporters:
            stored = {str(record["event_id"]) for record in await probe.records("event", reporter.client.client_id)}
            assert reporter.accepted - stored == set()
