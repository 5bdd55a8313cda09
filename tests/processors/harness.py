"""A worker on the real broker, somebody who writes to it as edges do, and somebody who reads what it writes."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition

from processors import worker
from processors.settings import ProcessorSettings
from schemas import codec
from schemas.topics import (
    ALERTS,
    AUDIT,
    CLIENTS,
    DLQ,
    HEARTBEATS,
    LIVENESS,
    POLICIES,
    REGISTRATIONS,
    SILENCES,
    VERDICTS,
    Topic,
)
from tests.deadline import eventually
from tests.processors.samples import now_ms

TICK_S = 0.1
OUTPUTS = (VERDICTS, CLIENTS, AUDIT, ALERTS, LIVENESS, POLICIES, SILENCES, DLQ)

# Nothing about the whole fleet: all tests share one broker, and so one fleet.
RULES = Path(__file__).with_name("rules_of_the_tests.yaml")


def worker_settings(bootstrap: str, directory: Path, **changes: Any) -> ProcessorSettings:
    """Short limits, so that tests need not wait for long."""
    values: dict[str, Any] = {
        "kafka": bootstrap,
        "data_dir": directory,
        "liveness_grace_ms": 200,
        "liveness_gap_ms": 2_000,
        "edge_silence_ms": 1_500,
        "commit_interval_s": 0.2,
        "rules": RULES,
        "rules_reload_s": 0.2,
        "processor_app_id": f"processors-{directory.name}",
    }
    return ProcessorSettings(**{**values, **changes})


@contextlib.asynccontextmanager
async def working(settings: ProcessorSettings) -> AsyncIterator[asyncio.Task[None]]:
    """A running worker."""
    ready = asyncio.Event()
    task = asyncio.create_task(worker.serve(settings, ready.set))
    waiting = asyncio.create_task(ready.wait())
    try:
        done, _ = await asyncio.wait([task, waiting], timeout=30, return_when=asyncio.FIRST_COMPLETED)
        assert waiting in done, task.exception() if task.done() else "the worker did not start"
        yield task
    finally:
        waiting.cancel()
        task.cancel()
        await asyncio.gather(task, waiting, return_exceptions=True)


class Lab:
    """Writes inputs and keeps all outputs since its start. Use as an async context manager."""

    def __init__(self, bootstrap: str) -> None:
        self.producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
        self._consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, fetch_max_wait_ms=20)
        self._seen: dict[str, list[ConsumerRecord]] = {topic.name: [] for topic in OUTPUTS}
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Lab:
        await self.producer.start()
        await self._consumer.start()
        partitions = [TopicPartition(topic.name, number) for topic in OUTPUTS for number in range(topic.partitions)]
        self._consumer.assign(partitions)
        await self._consumer.seek_to_end(*partitions)
        for partition in partitions:
            await self._consumer.position(partition)
        self._tasks.append(asyncio.create_task(self._read()))
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._consumer.stop()
        await self.producer.stop()

    async def send(self, topic: Topic, record: dict[str, Any]) -> None:
        value = codec.encode(topic.schemas[0], record)
        await self.producer.send_and_wait(topic.name, value, key=str(record[topic.key]).encode())

    async def order(self, command: dict[str, Any], topic: Topic = REGISTRATIONS) -> None:
        """Write an administrator's command."""
        await self.send_raw(topic, command["subject"], codec.encode("command", command))

    async def send_raw(self, topic: Topic, key: str, value: bytes | None) -> None:
        await self.producer.send_and_wait(topic.name, value, key=key.encode())

    @contextlib.asynccontextmanager
    async def ticking(self, edge: str) -> AsyncIterator[None]:
        """An edge that ticks into every partition."""
        task = asyncio.create_task(self._tick(edge))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def farewell(self, edge: str) -> None:
        """The edge's last tick in every partition."""
        value = codec.encode("tick", {"edge": edge, "timestamp": now_ms(), "sequence": 0, "last": True})
        for partition in range(HEARTBEATS.partitions):
            await self.producer.send_and_wait(HEARTBEATS.name, value, partition=partition)

    def raw(self, topic: Topic) -> list[ConsumerRecord]:
        return self._seen[topic.name]

    def of(self, topic: Topic, **members: Any) -> list[dict[str, Any]]:
        """The records whose members have these values."""
        records = [codec.decode_as(topic.schemas[0], raw.value) for raw in self._seen[topic.name] if raw.value is not None]
        return [record for record in records if all(record[name] == value for name, value in members.items())]

    async def wait_for(self, topic: Topic, count: int = 1, within_s: float = 10, **members: Any) -> list[dict[str, Any]]:
        """The records whose members have these values, once there are so many."""
        return await eventually(
            lambda: found if len(found := self.of(topic, **members)) >= count else [], within_s, f"{topic.name} {members}"
        )

    async def _read(self) -> None:
        async for record in self._consumer:
            self._seen[record.topic].append(record)

    async def _tick(self, edge: str) -> None:
        sequence = 0
        while True:
            sequence += 1
            value = codec.encode("tick", {"edge": edge, "timestamp": now_ms(), "sequence": sequence})
            for partition in range(HEARTBEATS.partitions):
                await self.producer.send(HEARTBEATS.name, value, partition=partition)
            await asyncio.sleep(TICK_S)


def evidence(alert: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(alert["evidence"])
    return found
