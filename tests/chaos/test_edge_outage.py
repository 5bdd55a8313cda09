"""The only edge of a fleet is away for minutes: one incident, nobody is blamed. Then some are really gone: only those."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest

from infra.kafka import EmbeddedKafka
from infra.ports import free_port
from infra.topics import create_topics
from schemas.topics import ALERTS, LIVENESS
from tests.chaos import oracle
from tests.chaos.parts import Kept
from tests.chaos.standin_edge import StandinEdge
from tests.chaos.topics import Recorder
from tests.deadline import eventually

GRACE_MS = 1_000
GONE_SHARE = 100
pytestmark = pytest.mark.long


class Size(NamedTuple):
    """The outage is many deadlines long: 3 intervals and the grace are one."""

    clients: int
    interval_ms: int
    outage_s: float

    @property
    def deadline_s(self) -> float:
        return (3 * self.interval_ms + GRACE_MS) / 1000


SMALL = Size(clients=1_000, interval_ms=500, outage_s=26.0)
FIVE_MINUTES = Size(clients=10_000, interval_ms=3_000, outage_s=300.0)


@pytest.mark.parametrize("size", [SMALL, FIVE_MINUTES], ids=["small", "five-minutes"])
async def test_an_outage_is_one_incident_and_then_those_who_are_gone_are_found(size: Size, tmp_path: Path) -> None:
    assert size.outage_s >= 10 * size.deadline_s
    clients = [f"outage-{number:05d}" for number in range(size.clients)]
    async with judged(tmp_path) as (bootstrap, topics):
        async with ticking(StandinEdge("edge-before", clients, size.interval_ms), bootstrap):
            await eventually(lambda: alive(topics) == set(clients), 60 + size.interval_ms / 1000, "all are online")
            await asyncio.sleep(size.deadline_s)
        stopped_s = time.monotonic()
        await asyncio.sleep(size.outage_s)
        assert offline(topics) == {}
        edge = StandinEdge("edge-after", clients, size.interval_ms)
        async with ticking(edge, bootstrap):
            outage_ms = (time.monotonic() - stopped_s) * 1000
            await eventually(lambda: statuses(topics, "ingest_blind") == [["firing", "resolved"]], 30, "one incident")
            # A fresh deadline and more: whoever were blamed for the outage would be by now.
            await asyncio.sleep(2 * size.deadline_s)
            assert offline(topics) == {}
            assert alive(topics) == set(clients)
            edge.gone = set(clients[::GONE_SHARE])
            await eventually(lambda: offline(topics).keys() == edge.gone, size.deadline_s + 30, "those who are gone")
            await asyncio.sleep(2 * size.deadline_s)
            assert offline(topics) == dict.fromkeys(edge.gone, 1)
            assert alive(topics) == set(clients) - edge.gone
        assert statuses(topics, "ingest_blind") == [["firing", "resolved"]]
        assert span_ms(topics) >= outage_ms - 2_000


@contextlib.asynccontextmanager
async def judged(directory: Path) -> AsyncIterator[tuple[str, Recorder]]:
    """A broker and one worker that decides."""
    broker = EmbeddedKafka(directory, free_port())
    await broker.start()
    environment = {"VIWORKS_KAFKA": broker.bootstrap, "VIWORKS_LIVENESS_GRACE_MS": str(GRACE_MS)}
    worker = Kept("processors", 0, environment, directory)
    try:
        await create_topics(broker.bootstrap, replication_factor=1)
        worker.start()
        await asyncio.wait_for(worker.ready.wait(), 60)
        async with Recorder(broker.bootstrap) as topics:
            yield broker.bootstrap, topics
        assert (worker.starts, worker.faults) == (1, [])
    finally:
        await worker.end()
        await broker.stop()


@contextlib.asynccontextmanager
async def ticking(edge: StandinEdge, bootstrap: str) -> AsyncIterator[None]:
    task = asyncio.create_task(edge.run(bootstrap))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def alive(topics: Recorder) -> set[str]:
    return {client for client, state in oracle.newest_states(topics.of(LIVENESS)).items() if state == "online"}


def offline(topics: Recorder) -> dict[str, int]:
    """How many offline alerts each client has, by whoever has one."""
    ids = {(alert["client_id"], alert["alert_id"]) for alert in topics.of(ALERTS) if alert["rule"] == "offline"}
    return {client: sum(each == client for each, _ in ids) for client, _ in ids}


def statuses(topics: Recorder, rule: str) -> list[list[str]]:
    """Of each alert of the rule what became of it, in order."""
    found: dict[str, list[str]] = {}
    for alert in topics.of(ALERTS):
        if alert["rule"] == rule:
            found.setdefault(alert["alert_id"], []).append(alert["status"])
    return list(found.values())


def span_ms(topics: Recorder) -> int:
    times = [alert["timestamp"] for alert in topics.of(ALERTS) if alert["rule"] == "ingest_blind"]
    return max(times) - min(times)
