"""Issue 4: the broker is away for a minute under load. Prints the figures that it checks."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from bench.measured import Measured, wait_for_port
from infra.kafka import EmbeddedKafka
from infra.key_files import KeyFiles
from infra.ports import free_port
from ingest.tokens import TokenKeys
from schemas import codec
from schemas.topics import EVENTS
from tests.deadline import eventually
from tests.figures import Tell
from tests.ingest.event_load import EventLoad, Reply

RATE = 400
AWAY_S = 60.0
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Outage:
    """What was measured. Times in seconds of the monotonic clock."""

    killed_s: float
    accepting_s: float
    memory_before: int
    memory_growth: int
    replies: list[Reply]

    @property
    def refusals_s(self) -> list[float]:
        return sorted(reply.took_s for reply in self.replies if reply.status == 503)

    @property
    def recovery_s(self) -> float:
        """From the broker's port until the first 202."""
        return min(r.answered_s for r in self.replies if r.status == 202 and r.sent_s > self.accepting_s) - self.accepting_s

    def text(self, missing: int) -> str:
        refusals, accepted = self.refusals_s, sum(reply.status == 202 for reply in self.replies)
        return (
            f"broker away {self.accepting_s - self.killed_s:.1f} s at {RATE} events/s: {len(self.replies)} answers, "
            f"{accepted} x 202, {len(refusals)} x 503 (p50 {percentile(refusals, 50) * 1000:.1f} ms, "
            f"p99 {percentile(refusals, 99) * 1000:.1f} ms, longest {refusals[-1] * 1000:.0f} ms); "
            f"memory {self.memory_before / MIB:.0f} + {self.memory_growth / MIB:.1f} MiB, "
            f"first 202 after {self.recovery_s:.2f} s, {missing} of the 202 lost"
        )


def percentile(ordered: list[float], percent: int) -> float:
    return ordered[len(ordered) * percent // 100]


@pytest.mark.long
async def test_a_broker_away_for_a_minute(own_kafka: EmbeddedKafka, tmp_path: Path, key_files: KeyFiles, tell: Tell) -> None:
    outage = await away_under_load(own_kafka, key_files, tmp_path / "edge.log")
    stored = await stored_event_ids(own_kafka.bootstrap)
    missing = {reply.event_id for reply in outage.replies if reply.status == 202} - stored
    tell(outage.text(len(missing)))
    assert not missing
    assert {reply.status for reply in outage.replies} == {202, 503}
    assert len(outage.refusals_s) > RATE * AWAY_S / 2
    assert percentile(outage.refusals_s, 99) <= 0.1
    assert outage.memory_growth <= 64 * MIB
    assert outage.recovery_s <= 10


async def away_under_load(broker: EmbeddedKafka, keys: KeyFiles, log: Path) -> Outage:
    port = free_port()
    environment = {
        **keys.environment(),
        "VIWORKS_KAFKA": broker.bootstrap,
        "VIWORKS_EDGE_PORT": str(port),
        "VIWORKS_METRICS_PORT": str(free_port()),
    }
    with Measured(["-m", "infra", "run", "edge"], environment, log) as edge:
        await asyncio.to_thread(wait_for_port, port, edge)
        load = EventLoad(port, TokenKeys.from_file(keys.token_keys), RATE)
        running = asyncio.create_task(load.run())
        await eventually(lambda: len(load.replies) > RATE * 5, 30, "five seconds of events are accepted")
        killed_s = time.monotonic()
        memory_before = edge.rss_bytes()
        memory_growth = await without_broker(broker, edge, killed_s + AWAY_S) - memory_before
        accepting_s = await back(broker)
        await eventually(lambda: accepted_after(load, accepting_s) > RATE * 3, 60, "events are accepted again")
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    return Outage(killed_s, accepting_s, memory_before, memory_growth, load.replies)


async def without_broker(broker: EmbeddedKafka, edge: Measured, until_s: float) -> int:
    """Kill the broker; the most memory that the edge had until then."""
    largest = edge.rss_bytes()
    broker.kill()
    await broker.wait()
    while time.monotonic() < until_s:
        largest = max(largest, edge.rss_bytes())
        await asyncio.sleep(0.2)
    return largest


async def back(broker: EmbeddedKafka) -> float:
    """Start the broker; when it accepted the first connection."""
    host, _, port = broker.bootstrap.partition(":")
    starting = asyncio.create_task(broker.start())
    while True:
        with suppress(OSError):
            _, writer = await asyncio.open_connection(host, int(port))
            writer.close()
            break
        await asyncio.sleep(0.01)
    accepting_s = time.monotonic()
    await starting
    return accepting_s


def accepted_after(load: EventLoad, moment_s: float) -> int:
    return sum(reply.status == 202 and reply.sent_s > moment_s for reply in load.replies)


async def stored_event_ids(bootstrap: str) -> set[str]:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        partitions = [TopicPartition(EVENTS.name, number) for number in range(EVENTS.partitions)]
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        ends = await consumer.end_offsets(partitions)
        found: set[str] = set()
        while [partition for partition, end in ends.items() if await consumer.position(partition) < end]:
            for records in (await consumer.getmany(timeout_ms=500)).values():
                found |= {str(codec.decode_as("event", record.value)["event_id"]) for record in records}
        return found
    finally:
        await consumer.stop()
