"""What an edge puts onto the heartbeats topic, without its listener: its queue, its ticks and a whole fleet's heartbeats."""

from __future__ import annotations

import asyncio
import random

from bench.signed_clients import now_ms
from ingest.producer import BatchingProducer, partition_for
from schemas import codec
from schemas.topics import HEARTBEATS

TICK_S = 0.5
_SLICES = 50


class StandinEdge:
    """``interval_ms`` is what the clients keep. ``gone`` holds those that are silent; it may be changed at any time."""

    def __init__(self, name: str, clients: list[str], interval_ms: int) -> None:
        self.gone: set[str] = set()
        self._name = name
        self._clients = list(clients)
        random.Random(name).shuffle(self._clients)
        self._interval_ms = interval_ms
        self._sequence = 0

    async def run(self, bootstrap: str) -> None:
        """Tick and pass heartbeats on until cancelled; it ends as a crash does, without a word."""
        queue = BatchingProducer(bootstrap, linger_s=0.01, timeout_s=10.0, max_unacknowledged_bytes=64 * 1024 * 1024)
        async with queue as producer, asyncio.TaskGroup() as group:
            group.create_task(self._tick(producer))
            group.create_task(self._beat(producer))

    async def _tick(self, producer: BatchingProducer) -> None:
        while True:
            self._sequence += 1
            tick = {"edge": self._name, "timestamp": now_ms(), "sequence": self._sequence}
            value = codec.encode("tick", tick)
            for partition in range(HEARTBEATS.partitions):
                producer.enqueue(HEARTBEATS, partition, None, value)
            await asyncio.sleep(TICK_S)

    async def _beat(self, producer: BatchingProducer) -> None:
        """Everybody once an interval, a slice of them at a time."""
        loop = asyncio.get_running_loop()
        next_s, turn = loop.time(), 0
        while True:
            for client in self._clients[turn % _SLICES :: _SLICES]:
                if client not in self.gone:
                    key = client.encode()
                    producer.enqueue(HEARTBEATS, partition_for(key, HEARTBEATS.partitions), key, self._heartbeat(client))
            turn, next_s = turn + 1, next_s + self._interval_ms / 1000 / _SLICES
            await asyncio.sleep(next_s - loop.time())

    def _heartbeat(self, client_id: str) -> bytes:
        now = now_ms()
        record = {
            "client_id": client_id,
            "timestamp": now,
            "status": "online",
            "uptime": 3600.0,
            "memory_usage": 45.2,
            "cpu_usage": 12.8,
            "network_activity": 1024.0,
            "sealed": None,
            "interval_ms": self._interval_ms,
            "key_id": "00" * 8,
            "signature": bytes(64),
            "received_at": now,
            "edge": self._name,
        }
        return codec.encode("heartbeat", record)
