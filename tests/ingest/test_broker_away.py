"""The broker dies and comes back: 503 in bounded time, no 2xx for what is not in Kafka, and on without a restart."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import httpx2

from infra.kafka import EmbeddedKafka
from infra.key_files import KeyFiles
from infra.ports import free_port
from infra.topics import create_topics
from tests.deadline import eventually
from tests.ingest.conftest import edge_settings, registry_double, serving
from tests.rust_client import RustClient, now_ms
from tests.schemas import messages_samples as samples
from tests.topic_probe import TopicProbe

TIMEOUT_S = 1.0


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


async def test_a_broker_that_dies_and_returns(tmp_path: Path, key_files: KeyFiles) -> None:
    broker = EmbeddedKafka(tmp_path / "broker", free_port())
    await broker.start()
    try:
        await create_topics(broker.bootstrap, 1)
        await dies_and_returns(broker, key_files)
    finally:
        await broker.stop()


async def dies_and_returns(broker: EmbeddedKafka, key_files: KeyFiles) -> None:
    settings = edge_settings(broker.bootstrap, key_files, produce_timeout_s=TIMEOUT_S)
    async with (
        registry_double(broker.bootstrap),
        serving(settings) as url,
        httpx2.AsyncClient(base_url=url, timeout=30, trust_env=False) as http,
    ):
        reporters = [Reporter(RustClient(http, f"t-away-{number}")) for number in range(8)]
        for reporter in reporters:
            assert (await reporter.client.register()).status_code == 201
        running = [asyncio.create_task(reporter.run()) for reporter in reporters]
        await eventually(lambda: all(len(reporter.accepted) > 5 for reporter in reporters), 20, "events are accepted")

        broker.kill()
        await broker.wait()
        await eventually(lambda: all(len(reporter.refused) > 5 for reporter in reporters), 30, "events are refused")
        ready = await http.get("/readyz")
        before = sum(len(reporter.accepted) for reporter in reporters)
        await broker.start()
        await eventually(lambda: sum(len(r.accepted) for r in reporters) > before + 50, 30, "events are accepted again")
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    assert ready.status_code == 503
    check_refusals(reporters)
    await check_accepted(broker.bootstrap, reporters)


def check_refusals(reporters: list[Reporter]) -> None:
    refusals = [refusal for reporter in reporters for refusal in reporter.refused]
    assert {answer.status_code for answer, _ in refusals} == {503}
    assert all(int(answer.headers["retry-after"]) > 0 for answer, _ in refusals)
    assert {answer.json()["type"] for answer, _ in refusals} == {"urn:viworks:problem:broker-unavailable"}
    assert max(took for _, took in refusals) < TIMEOUT_S + 2


async def check_accepted(bootstrap: str, reporters: list[Reporter]) -> None:
    async with TopicProbe(bootstrap) as probe:
        await probe.rewind()
        for reporter in reporters:
            stored = {str(record["event_id"]) for record in await probe.records("event", reporter.client.client_id)}
            assert reporter.accepted - stored == set()
