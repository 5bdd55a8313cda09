"""How soon alerts are on Kafka: after a silent client's deadline, and after the edge accepted an event. One run gives both.

A real edge, a real worker and real signatures: ``CLIENTS`` clients send ``RATE`` heartbeats a second, every tenth time also
an event of high severity. Some clients fall silent, few enough and at so different times that it is no mass outage.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from bench.measured import Measured, wait_for_port
from bench.report import Limit
from bench.signed_clients import SignedClient, now_ms
from infra.key_files import KeyFiles
from infra.ports import free_port
from ingest.tokens import TokenKeys
from schemas import codec
from schemas.topics import ALERTS, EVENTS, LIVENESS

CLIENTS, RATE, EVENT_SHARE = 2_000, 1_000, 10
SILENT = 40
WARM_UP_S, SILENCING_S, DEADLINE_S, REST_S = 8.0, 12.0, 8.0, 4.0
_INTERVAL_S = CLIENTS / RATE
_START_S = 60.0


class Seen:
    """When what came onto the topics, told by a consumer that reads along."""

    def __init__(self) -> None:
        self.accepted: dict[str, int] = {}
        self.alerted: dict[str, int] = {}
        self.late: list[int] = []
        self.live = 0

    async def read(self, consumer: AIOKafkaConsumer) -> None:
        """Read along until cancelled."""
        async for raw in consumer:
            record = codec.decode(raw.value)[1]
            if raw.topic == EVENTS.name:
                self.accepted[record["event_id"]] = record["received_at"]
            elif raw.topic == LIVENESS.name:
                self.live += 1
            elif record["status"] == "firing":
                self._alert(record)

    def _alert(self, alert: dict[str, Any]) -> None:
        evidence = json.loads(alert["evidence"])
        if alert["rule"] == "offline":
            self.late.append(alert["emitted_at"] - evidence["deadline"])
        for event_id in evidence.get("event_ids", []):
            self.alerted.setdefault(event_id, now_ms())

    def waits_ms(self, since_ms: int) -> list[int]:
        """From an event's acceptance to its alert, for the events that were accepted after ``since_ms``."""
        later = {event: at for event, at in self.accepted.items() if at >= since_ms}
        if missing := later.keys() - self.alerted.keys():
            raise RuntimeError(f"{len(missing)} of {len(later)} events have no alert")
        return [self.alerted[event] - at for event, at in later.items()]


async def measure(bootstrap: str, keys: KeyFiles, scratch: Path) -> tuple[Limit, Limit]:
    """The two rows."""
    port, statuses, seen = free_port(), Counter[int](), Seen()
    environment = {
        **keys.environment(),
        "VIWORKS_KAFKA": bootstrap,
        "VIWORKS_DATA_DIR": str(scratch / "alerting"),
        "VIWORKS_PROCESSOR_APP_ID": f"bench-{uuid.uuid4().hex}",
        "VIWORKS_EDGE_PORT": str(port),
        "VIWORKS_METRICS_PORT": str(free_port()),
        "VIWORKS_HEARTBEAT_INTERVAL_S": str(round(_INTERVAL_S)),
    }
    edge = Measured(["-m", "infra", "run", "edge"], environment, scratch / "alerting-edge.log")
    worker = Measured(["-m", "infra", "run", "processors"], environment, scratch / "alerting-worker.log")
    async with _reading(bootstrap, seen):
        with edge, worker:
            await asyncio.to_thread(wait_for_port, port, edge)
            clients = [
                SignedClient(f"alerting-{number:05d}", TokenKeys.from_file(keys.token_keys), port)
                for number in range(CLIENTS)
            ]
            since_ms = await _load(clients, statuses, seen)
    if set(statuses) != {202}:
        raise RuntimeError(f"not every request was accepted: {dict(statuses)}")
    if len(seen.late) != SILENT:
        raise RuntimeError(f"{len(seen.late)} of {SILENT} silent clients have an alert")
    return _rows(sorted(seen.late), sorted(seen.waits_ms(since_ms)))


def _rows(late: Sequence[int], waits: Sequence[int]) -> tuple[Limit, Limit]:
    offline = f"{len(late)} of {CLIENTS:,} clients fell silent; median {late[len(late) // 2]:,} ms, last {late[-1]:,} ms"
    events = f"{len(waits):,} events in {RATE:,} requests/s; median {waits[len(waits) // 2]:,} ms, last {waits[-1]:,} ms"
    return (
        Limit("offline detected after the deadline, p99", _p99(late), 1_000, "ms", offline),
        Limit("event accepted to alert on Kafka, p99", _p99(waits), 250, "ms", events),
    )


def _p99(ordered: Sequence[int]) -> float:
    return float(ordered[(len(ordered) * 99 - 1) // 100])


async def _load(clients: Sequence[SignedClient], statuses: Counter[int], seen: Seen) -> int:
    """Let the clients live; when the measuring began, in ms."""
    lives = [asyncio.create_task(_live(client, number, statuses)) for number, client in enumerate(clients)]
    try:
        async with asyncio.timeout(_START_S):
            while seen.live < CLIENTS:  # noqa: ASYNC110 - what another process writes
                await asyncio.sleep(0.1)
        await asyncio.sleep(WARM_UP_S)
        since_ms = now_ms()
        for life in lives[:: CLIENTS // SILENT]:
            life.cancel()
            await asyncio.sleep(SILENCING_S / SILENT)
        await asyncio.sleep(DEADLINE_S + REST_S)
    finally:
        for life in lives:
            life.cancel()
        await asyncio.gather(*lives, return_exceptions=True)
    # What was accepted last has its time too.
    await asyncio.sleep(1.0)
    return since_ms


async def _live(client: SignedClient, number: int, statuses: Counter[int]) -> None:
    loop = asyncio.get_running_loop()
    next_s = loop.time() + _INTERVAL_S * number / CLIENTS
    turn = number
    try:
        while True:
            await asyncio.sleep(next_s - loop.time())
            # An event beside the heartbeat, not in its place: nobody is to fall silent for it.
            statuses[await client.beat()] += 1
            if turn % EVENT_SHARE == 0:
                statuses[await client.event(uuid.uuid4().hex, "policy_violation", "high")] += 1
            turn, next_s = turn + 1, max(next_s + _INTERVAL_S, loop.time())
    finally:
        await client.close()


@contextlib.asynccontextmanager
async def _reading(bootstrap: str, seen: Seen) -> AsyncIterator[None]:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, fetch_max_wait_ms=10)
    await consumer.start()
    partitions = [TopicPartition(topic.name, at) for topic in (ALERTS, EVENTS, LIVENESS) for at in range(topic.partitions)]
    consumer.assign(partitions)
    await consumer.seek_to_end(*partitions)
    for partition in partitions:
        await consumer.position(partition)
    task = asyncio.create_task(seen.read(consumer))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await consumer.stop()
