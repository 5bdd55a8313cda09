"""A follower knows the whole topic before it is entered, and goes on whatever happens to the broker or its consumer."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from infra.kafka import EmbeddedKafka
from infra.ports import free_port
from infra.topics import create_topics
from ingest import topic_follower
from ingest.errors import FollowerStalled
from ingest.topic_follower import TopicFollower
from schemas import codec
from schemas.topics import Topic
from tests.deadline import eventually


def record(policy_id: str, version: int) -> dict[str, Any]:
    names = {"policy_id": policy_id, "selector": "{}", "body": "{}", "actor": "admin"}
    return {**names, "version": version, "heartbeat_interval": 30, "timestamp": 1, "deleted": False}


class Writer:
    """Writes to a topic of its own, so that tests do not read one another's records."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self.topic = Topic(f"follow-{uuid.uuid4().hex}", ("policy",), "policy_id", None, compacted=True)

    async def write(self, *records: tuple[str, bytes | None]) -> None:
        async with AIOKafkaProducer(bootstrap_servers=self.bootstrap, acks="all") as producer:
            for key, value in records:
                await producer.send_and_wait(self.topic.name, value, key=key.encode())


class Seen:
    """What a follower applied, in order."""

    def __init__(self) -> None:
        self.records: list[tuple[str, int | None]] = []

    def apply(self, key: str, value: dict[str, Any] | None) -> None:
        self.records.append((key, None if value is None else value["version"]))


def encoded(policy_id: str, version: int) -> tuple[str, bytes]:
    return policy_id, codec.encode("policy", record(policy_id, version))


@pytest.fixture
async def writer(kafka: EmbeddedKafka) -> Writer:
    found = Writer(kafka.bootstrap)
    await create_topics(kafka.bootstrap, 1, [found.topic])
    return found


async def test_entering_returns_with_all_that_was_there_and_then_it_follows(writer: Writer) -> None:
    names = [f"p-{number}" for number in range(20)]
    await writer.write(*(encoded(name, 1) for name in names))
    seen = Seen()
    async with TopicFollower(writer.bootstrap, writer.topic, seen.apply) as follower:
        assert sorted(seen.records) == sorted((name, 1) for name in names)
        assert (follower.caught_up, follower.failing) == (True, False)
        await writer.write(encoded("p-0", 2), ("p-1", None))
        await eventually(lambda: len(seen.records) == 22, 5)
    assert sorted(seen.records[20:], key=str) == [("p-0", 2), ("p-1", None)]


async def test_a_record_that_cannot_be_read_stops_none_of_the_others(
    writer: Writer, caplog: pytest.LogCaptureFixture
) -> None:
    await writer.write(("p-1", b"s3cret-value"), encoded("p-1", 1), encoded("p-1", 2))
    seen = Seen()

    def apply(key: str, value: dict[str, Any] | None) -> None:
        seen.apply(key, value)
        if value and value["version"] == 1:
            raise RuntimeError("s3cret-value")

    async with TopicFollower(writer.bootstrap, writer.topic, apply):
        assert seen.records == [("p-1", 1), ("p-1", 2)]
    assert caplog.text.count("could not be applied") == 2
    assert "s3cret" not in caplog.text


class Stalling(TopicFollower):
    """Its first consumer never gets a record."""

    consumers = 0

    @contextlib.asynccontextmanager
    async def _consumer(self) -> AsyncIterator[AIOKafkaConsumer]:
        async with super()._consumer() as consumer:
            self.consumers += 1
            if self.consumers == 1:
                consumer.pause(*consumer.assignment())
            yield consumer


async def test_a_consumer_that_stalls_is_replaced(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topic_follower, "_STALL_S", 1.0)
    await writer.write(encoded("p-1", 1))
    seen = Seen()
    async with Stalling(writer.bootstrap, writer.topic, seen.apply) as follower:
        assert seen.records == [("p-1", 1)]
        assert (follower.consumers, follower.caught_up, follower.failing) == (2, True, False)


async def test_a_broker_that_is_not_there_is_told_in_time() -> None:
    topic = Topic("nowhere", ("policy",), "policy_id", None, compacted=True)
    with pytest.raises(FollowerStalled, match="nowhere"):
        async with TopicFollower(f"127.0.0.1:{free_port()}", topic, Seen().apply, timeout_s=0.5):
            pass


async def test_a_broker_that_restarts_loses_and_repeats_nothing(own_kafka: EmbeddedKafka) -> None:
    writer, seen = Writer(own_kafka.bootstrap), Seen()
    await create_topics(own_kafka.bootstrap, 1, [writer.topic])
    await writer.write(encoded("p-1", 1))
    async with TopicFollower(own_kafka.bootstrap, writer.topic, seen.apply) as follower:
        own_kafka.kill()
        await own_kafka.wait()
        await eventually(lambda: follower.failing, 15, "the outage is noticed")
        await own_kafka.start()
        await writer.write(encoded("p-1", 2), encoded("p-2", 3))
        await eventually(lambda: len(seen.records) == 3, 15, "what was written after the outage")
        await eventually(lambda: not follower.failing, 5, "the end of the outage is noticed")
    assert sorted(seen.records) == [("p-1", 1), ("p-1", 2), ("p-2", 3)]
