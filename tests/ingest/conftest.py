"""A real edge on a real broker; only the registry is a small double, so that these tests need no processors."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from infra.kafka import EmbeddedKafka
from infra.key_files import KeyFiles, ensure_keys
from infra.ports import free_port
from infra.topics import create_topics
from ingest import server
from ingest.settings import EdgeSettings
from schemas import codec
from schemas.topics import REGISTRATIONS, VERDICTS
from tests.rust_client import RustClient
from tests.topic_probe import TopicProbe


@pytest.fixture(scope="session")
def key_files(tmp_path_factory: pytest.TempPathFactory) -> KeyFiles:
    return ensure_keys(tmp_path_factory.mktemp("edge") / "data")


def edge_settings(bootstrap: str, files: KeyFiles, **changes: Any) -> EdgeSettings:
    values: dict[str, Any] = {
        "kafka": bootstrap,
        "edge_port": free_port(),
        "metrics_port": free_port(),
        "rejection_interval_s": 0.1,
        "token_keys_file": files.token_keys,
        "policy_key_file": files.policy_key,
        "pseudonym_key_file": files.pseudonym_key,
        "sealing_key_file": files.sealing_public,
    }
    return EdgeSettings(**{**values, **changes})


@contextlib.asynccontextmanager
async def serving(settings: EdgeSettings) -> AsyncIterator[str]:
    """A running edge; gives its address."""
    ready = asyncio.Event()
    task = asyncio.create_task(server.serve(settings, ready.set))
    waiting = asyncio.create_task(ready.wait())
    try:
        done, _ = await asyncio.wait([task, waiting], timeout=20, return_when=asyncio.FIRST_COMPLETED)
        assert waiting in done, task.exception() if task.done() else "the edge did not start"
        yield f"http://127.0.0.1:{settings.edge_port}"
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class RegistryDouble:
    """Accepts the first key of every client and each of its registrations; refuses any other key."""

    def __init__(self, bootstrap: str) -> None:
        self._consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, fetch_max_wait_ms=50)
        self._producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
        self._keys: dict[str, bytes] = {}

    async def start(self) -> None:
        await self._consumer.start()
        await self._producer.start()
        partitions = [TopicPartition(REGISTRATIONS.name, number) for number in range(REGISTRATIONS.partitions)]
        self._consumer.assign(partitions)
        await self._consumer.seek_to_end(*partitions)
        for partition in partitions:
            await self._consumer.position(partition)

    async def run(self) -> None:
        async for message in self._consumer:
            schema, request = codec.decode(message.value)
            decided = self.decide(schema, request)
            if decided is None:
                continue
            verdict = {
                **{name: request[name] for name in ("request_id", "client_id", "edge", "timestamp")},
                "outcome": decided[0],
                "key_epoch": 1,
                "details": json.dumps(decided[1]),
            }
            await self._producer.send(VERDICTS.name, codec.encode("verdict", verdict))

    def decide(self, schema: str, request: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
        """The outcome and its details; None for no verdict."""
        if schema != "registration":
            return None
        known = self._keys.setdefault(request["client_id"], request["public_key"])
        return ("accepted" if known == request["public_key"] else "conflict"), {}

    async def stop(self) -> None:
        await self._consumer.stop()
        await self._producer.stop()


@contextlib.asynccontextmanager
async def registry_double(bootstrap: str, kind: type[RegistryDouble] = RegistryDouble) -> AsyncIterator[None]:
    double = kind(bootstrap)
    await double.start()
    task = asyncio.create_task(double.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await double.stop()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def bootstrap(kafka: EmbeddedKafka) -> str:
    await create_topics(kafka.bootstrap, 1)
    return kafka.bootstrap


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def http(bootstrap: str, key_files: KeyFiles) -> AsyncIterator[httpx2.AsyncClient]:
    """An HTTP client of a running edge."""
    async with (
        registry_double(bootstrap),
        serving(edge_settings(bootstrap, key_files)) as url,
        httpx2.AsyncClient(base_url=url, timeout=30, trust_env=False) as client,
    ):
        yield client


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def probe(bootstrap: str) -> AsyncIterator[TopicProbe]:
    async with TopicProbe(bootstrap) as started:
        yield started


@pytest_asyncio.fixture(loop_scope="session")
async def client(http: httpx2.AsyncClient, request: pytest.FixtureRequest) -> RustClient:
    """A registered client, named after the test."""
    name = "".join(char if char.isalnum() else "-" for char in request.node.name)[:100]
    registered = RustClient(http, f"t-{name}")
    answer = await registered.register()
    assert answer.status_code == 201, answer.text
    return registered
