"""Recovery of 100,000 clients: from the start of a worker's process until it has recovered its tables and judges heartbeats.

The tables hold what a fleet leaves behind: the last transition and the last-seen state of each client, and its registration.
The clock stops when the first heartbeat of a new client has led to a transition in every partition.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from bench.heartbeats import LAST, marker, partition_of, record
from bench.liveness import transitions
from bench.measured import Measured
from bench.report import Limit
from processors.checkpoint import last_seen_value
from processors.liveness import HEARTBEAT, ONLINE, ClientState, Transition, to_record
from schemas import codec
from schemas.topics import CLIENTS, HEARTBEATS, LIVENESS, PARTITIONS

FLEET = 100_000
WANTED_S = 30.0
_BATCH = 500
_AGO_MS = 600_000

Lane = tuple[str, int]
KeyValue = tuple[bytes, bytes]


async def measure(bootstrap: str, scratch: Path) -> Limit:
    """Fill the tables, start a worker, wait for what it makes of one new client in every partition."""
    app_id = f"bench-{uuid.uuid4().hex}"
    last_seen = f"{app_id}-last-seen-changelog"
    await _create(bootstrap, last_seen)
    await _fill(bootstrap, last_seen)
    environment = {
        "VIWORKS_KAFKA": bootstrap,
        "VIWORKS_DATA_DIR": str(scratch / "recovery"),
        "VIWORKS_PROCESSOR_APP_ID": app_id,
    }
    async with transitions(bootstrap) as consumer:
        started = time.monotonic()
        with Measured(["-m", "infra", "run", "processors"], environment, scratch / "recovery.log") as process:
            await _all_markers(consumer, process)
            took_s = time.monotonic() - started
            megabytes = process.rss_bytes() / 1e6
            note = f"from the start of the process; {process.cpu_s():.1f} s of processor time, {megabytes:,.0f} MB resident"
    return Limit(f"recovery of {FLEET:,} clients", took_s, WANTED_S, "s", note)


async def _create(bootstrap: str, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, PARTITIONS, 1, topic_configs={"cleanup.policy": "compact"})])
    finally:
        await admin.close()


async def _fill(bootstrap: str, last_seen: str) -> None:
    lanes: dict[Lane, list[KeyValue]] = {}
    for topic, client_id, value in _kept(last_seen):
        lanes.setdefault((topic, partition_of(client_id)), []).append((client_id.encode(), value))
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", max_batch_size=1_000_000) as producer:
        for (topic, partition), records in lanes.items():
            for start in range(0, len(records), _BATCH):
                builder = producer.create_batch()
                for key, value in records[start : start + _BATCH]:
                    if builder.append(key=key, value=value, timestamp=None) is None:
                        raise RuntimeError("the batch is too small for the records")
                await (await producer.send_batch(builder, topic, partition=partition))


def _kept(last_seen: str) -> Iterator[tuple[str, str, bytes]]:
    at = time.time_ns() // 1_000_000 - _AGO_MS
    for number in range(FLEET):
        client_id = f"recovered-{number:06d}"
        state = ClientState(ONLINE, HEARTBEAT, at, at, 30_000, at, uptime=3_600.0)
        transition = Transition(client_id, None, state, at, at + 92_000, at)
        yield LIVENESS.name, client_id, codec.encode("liveness", to_record(transition))
        seen = state._replace(last_heartbeat=at + 300_000, heartbeat_timestamp=at + 300_000)
        yield last_seen, client_id, last_seen_value(seen)
        yield CLIENTS.name, client_id, codec.encode("client", _client(client_id, at))
    for partition in range(HEARTBEATS.partitions):
        client_id = marker(LAST, partition)
        yield HEARTBEATS.name, client_id, codec.encode("heartbeat", record(client_id, at + _AGO_MS))


def _client(client_id: str, at: int) -> dict[str, object]:
    return {
        "client_id": client_id,
        "public_key": bytes(32),
        "key_id": "0123456789abcdef",
        "key_epoch": 1,
        "capabilities": ["vpn", "spa"],
        "version": "1.0.0",
        "node_id": "node-1",
        "device_info": "e" * 350,
        "registered_at": at,
        "timestamp": at,
        "request_id": str(uuid.uuid4()),
        "signature": bytes(64),
        "signed_bytes": bytes(500),
        "signed_bytes_sealed": True,
        "received_at": at,
        "edge": "bench",
    }


async def _all_markers(consumer: AIOKafkaConsumer, process: Measured, within_s: float = 120.0) -> None:
    found: set[int] = set()
    deadline = time.monotonic() + within_s
    while len(found) < LIVENESS.partitions:
        if time.monotonic() > deadline or not process.alive:
            raise RuntimeError("the worker did not recover")
        for partition, records in (await consumer.getmany(timeout_ms=100)).items():
            found |= {partition.partition for record in records if record.key.startswith(LAST.encode())}
