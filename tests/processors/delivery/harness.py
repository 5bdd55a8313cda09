"""The delivery on the real broker, with a receivers file that a test writes, and somebody who reads the dead letters."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import yaml
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition

from processors.delivery import server
from processors.delivery.settings import DeliverySettings
from schemas.topics import DLQ
from tests.processors.delivery.http_receiver import HttpReceiver
from tests.processors.delivery.samples import SECRET, record, write


def unique(kind: str) -> str:
    """A name of which nothing on the shared broker is left from another test."""
    return f"{kind}-{uuid.uuid4().hex[:8]}"


class Bench:
    """One test's settings, receivers and rule: alerts of other tests on the shared topic have other rules."""

    def __init__(self, bootstrap: str, directory: Path, producer: AIOKafkaProducer) -> None:
        self.rule = unique("rule")
        self.producer = producer
        self.path = directory / "receivers.yaml"
        self._bootstrap = bootstrap
        self._entries: dict[str, dict[str, Any]] = {}
        (directory / "secret").write_text(SECRET)

    def add(self, receiver: HttpReceiver | str, name: str, **more: Any) -> str:
        """A webhook, or what ``more`` says; returns its name on this broker."""
        own = unique(name)
        url = receiver if isinstance(receiver, str) else receiver.url
        filters = {"rules": [self.rule], **more.pop("filters", {})}
        kind = more.pop("type", "webhook")
        address = {"address" if kind == "syslog" else "url": url, **({"secret_file": "secret"} if kind == "webhook" else {})}
        self._entries[own] = {"name": own, "type": kind, "timeout_s": 1, **address, "filters": filters, **more}
        self.save()
        return own

    def change(self, name: str, **members: Any) -> None:
        self._entries[name].update(members)
        self.save()

    def save(self) -> None:
        self.path.write_text(yaml.safe_dump({"receivers": list(self._entries.values())}))

    def settings(self, **changes: Any) -> DeliverySettings:
        values = {"delivery_reload_s": 0.1, "delivery_commit_interval_s": 0.1, "delivery_stall_s": 5.0, **changes}
        return DeliverySettings(kafka=self._bootstrap, receivers=self.path, **values)

    @contextlib.asynccontextmanager
    async def delivering(self, **changes: Any) -> AsyncIterator[None]:
        ready = asyncio.Event()
        task = asyncio.create_task(server.serve(self.settings(**changes), ready.set))
        waiting = asyncio.create_task(ready.wait())
        try:
            await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
            assert waiting.done(), task.exception()
            yield
        finally:
            waiting.cancel()
            task.cancel()
            await asyncio.gather(task, waiting, return_exceptions=True)

    async def fire(self, **changes: Any) -> dict[str, Any]:
        row = record(rule=self.rule, **changes)
        await write(self.producer, row)
        return row


class DeadLetterProbe:
    """Keeps what comes onto the dead letter topic."""

    def __init__(self, bootstrap: str) -> None:
        self._consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, fetch_max_wait_ms=20)
        self._seen: list[ConsumerRecord] = []

    async def __aenter__(self) -> DeadLetterProbe:
        await self._consumer.start()
        partition = TopicPartition(DLQ.name, 0)
        self._consumer.assign([partition])
        await self._consumer.seek_to_end(partition)
        await self._consumer.position(partition)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def of(self, receiver: str) -> list[tuple[dict[str, str], ConsumerRecord]]:
        for records in (await self._consumer.getmany(timeout_ms=20)).values():
            self._seen += records
        found = [({name: value.decode() for name, value in row.headers}, row) for row in self._seen]
        return [(headers, row) for headers, row in found if headers.get("receiver") == receiver]
