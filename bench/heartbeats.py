"""Fills the heartbeats topic for the rows that measure its readers."""

from __future__ import annotations

import time

from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import murmur2

from schemas import codec
from schemas.topics import HEARTBEATS

CLIENTS = 5_000
BATCH = 2_000
FIRST, LAST = "bench-first", "bench-last"


async def fill(bootstrap: str, count: int) -> int:
    """Write ``count`` heartbeats, between one marker client a partition at the beginning and one at the end.

    Returns:
        how many records were written.
    """
    start_ms = time.time_ns() // 1_000_000 - 60_000
    lanes: list[list[tuple[bytes, bytes]]] = [[] for _ in range(HEARTBEATS.partitions)]
    for partition in range(HEARTBEATS.partitions):
        lanes[partition].append(_record(marker(FIRST, partition), start_ms))
    for number in range(count):
        client_id = f"bench-{number % CLIENTS:06d}"
        lanes[partition_of(client_id)].append(_record(client_id, start_ms + number // CLIENTS))
    for partition in range(HEARTBEATS.partitions):
        lanes[partition].append(_record(marker(LAST, partition), start_ms))
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", max_batch_size=1_000_000) as producer:
        for partition, records in enumerate(lanes):
            await _write(producer, partition, records)
    return sum(len(records) for records in lanes)


def marker(name: str, partition: int) -> str:
    """A client of the partition."""
    return next(name_ for name_ in (f"{name}-{n}" for n in range(10_000)) if partition_of(name_) == partition)


def partition_of(client_id: str) -> int:
    """Kafka's default partition of a client."""
    return int((murmur2(client_id.encode()) & 0x7FFFFFFF) % HEARTBEATS.partitions)


def record(client_id: str, time_ms: int) -> dict[str, object]:
    """A heartbeat record."""
    return {
        "client_id": client_id,
        "timestamp": time_ms,
        "status": "online",
        "uptime": 3600.0,
        "memory_usage": 45.2,
        "cpu_usage": 12.8,
        "network_activity": 1024.0,
        "sealed": None,
        "interval_ms": 30_000,
        "key_id": "0123456789abcdef",
        "signature": b"s" * 64,
        "received_at": time_ms,
        "edge": "bench",
    }


def _record(client_id: str, time_ms: int) -> tuple[bytes, bytes]:
    return client_id.encode(), codec.encode("heartbeat", record(client_id, time_ms))


async def _write(producer: AIOKafkaProducer, partition: int, records: list[tuple[bytes, bytes]]) -> None:
    for start in range(0, len(records), BATCH):
        builder = producer.create_batch()
        for key, value in records[start : start + BATCH]:
            if builder.append(key=key, value=value, timestamp=None) is None:
                raise RuntimeError("the batch is too small for the records")
        await (await producer.send_batch(builder, HEARTBEATS.name, partition=partition))
