"""What an edge says of itself in every partition: that it lives, and, after its last heartbeat, that it ends."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from typing import Any

import httpx2
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from infra.key_files import KeyFiles
from schemas import codec
from schemas.topics import HEARTBEATS
from tests.deadline import eventually
from tests.ingest.conftest import edge_settings, serving
from tests.rust_client import RustClient, now_ms
from tests.schemas import messages_samples as samples

pytestmark = pytest.mark.asyncio(loop_scope="session")

CLIENTS = 8
Said = list[tuple[str, dict[str, Any]]]


@pytest.mark.usefixtures("http")
async def test_an_edge_that_ends_says_so_after_its_last_heartbeat(bootstrap: str, key_files: KeyFiles) -> None:
    """It is told to end while heartbeats come in."""
    settings = edge_settings(bootstrap, key_files, tick_interval_s=0.05)
    url = f"http://127.0.0.1:{settings.edge_port}"
    accepted: Counter[str] = Counter()
    async with (
        HeartbeatsSince(bootstrap) as since,
        httpx2.AsyncClient(base_url=url, timeout=30, trust_env=False) as http,
    ):
        async with serving(settings):
            clients = [RustClient(http, f"t-farewell-{number}") for number in range(CLIENTS)]
            for client in clients:
                assert (await client.register()).status_code == 201
            beating = [asyncio.create_task(beat_while_answered(client, accepted)) for client in clients]
            await eventually(lambda: len(accepted) == CLIENTS and accepted.total() > 10 * CLIENTS, 20)
        await asyncio.gather(*beating)
        said = await since.by_partition()
    [edge] = {record["edge"] for records in said.values() for name, record in records if name == "heartbeat"}
    assert len(said) == HEARTBEATS.partitions
    heartbeats = 0
    for records in said.values():
        mine = [(name, record) for name, record in records if record["edge"] == edge]
        assert [record["last"] for name, record in mine if name == "tick"][-1:] == [True]
        assert [name for name, record in mine if record.get("last")] == ["tick"]
        assert mine[-1][1].get("last")
        heartbeats += sum(1 for name, _ in mine if name == "heartbeat")
        sequences = [record["sequence"] for name, record in mine if name == "tick"]
        assert sequences == list(range(1, len(sequences) + 1))
    assert heartbeats >= accepted.total()


async def beat_while_answered(client: RustClient, accepted: Counter[str]) -> None:
    """Count the heartbeats that are accepted until the edge is gone."""
    while True:
        try:
            answer = await client.post("heartbeat", samples.heartbeat(now_ms(), client.client_id))
        except httpx2.HTTPError:
            return
        accepted[client.client_id] += answer.status_code == 202


class HeartbeatsSince:
    """Reads what comes into the topic from its start on. Use as an async context manager."""

    def __init__(self, bootstrap: str) -> None:
        self._consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, fetch_max_wait_ms=50)

    async def __aenter__(self) -> HeartbeatsSince:
        await self._consumer.start()
        self._partitions = [TopicPartition(HEARTBEATS.name, number) for number in range(HEARTBEATS.partitions)]
        self._consumer.assign(self._partitions)
        for partition, end in (await self._consumer.end_offsets(self._partitions)).items():
            await self._consumer.position(partition)
            self._consumer.seek(partition, end)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def by_partition(self) -> dict[int, Said]:
        """All records until now, decoded, by partition."""
        ends = await self._consumer.end_offsets(self._partitions)
        found: defaultdict[int, Said] = defaultdict(list)
        while [partition for partition, end in ends.items() if await self._consumer.position(partition) < end]:
            for partition, records in (await self._consumer.getmany(timeout_ms=500)).items():
                found[partition.partition] += [codec.decode(record.value) for record in records]
        return found
