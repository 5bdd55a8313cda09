"""The batching producer on the real broker: order, splitting, many requests on one acknowledgement."""

from __future__ import annotations

import asyncio
import gc
import uuid

import pytest
from aiokafka.errors import KafkaError
from aiokafka.partitioner import DefaultPartitioner

from infra.ports import free_port
from ingest.errors import BrokerUnavailable
from ingest.producer import BatchingProducer, partition_for
from schemas import codec
from schemas.topics import REJECTIONS
from tests.topic_probe import TopicProbe

pytestmark = pytest.mark.asyncio(loop_scope="session")


def producer_of(bootstrap: str, *, max_unacknowledged_bytes: int = 64 * 1024 * 1024) -> BatchingProducer:
    return BatchingProducer(bootstrap, linger_s=0.002, timeout_s=10, max_unacknowledged_bytes=max_unacknowledged_bytes)


def rejection(client_id: str, number: int, padding: int = 0) -> bytes:
    record = {
        "rejection_id": str(number),
        "client_id": client_id,
        "authenticated": False,
        "endpoint": "x" * padding,
        "reason": "r",
        "status": 400,
        "count": 1,
        "first_at": 1,
        "timestamp": 1,
        "edge": "e",
    }
    return codec.encode("rejection", record)


async def test_what_was_acknowledged_is_there_once_and_in_order(bootstrap: str, probe: TopicProbe) -> None:
    await probe.mark()
    client_id = f"t-order-{uuid.uuid4()}"
    async with producer_of(bootstrap) as producer:
        sends = [producer.send(REJECTIONS, client_id.encode(), rejection(client_id, number)) for number in range(2_000)]
        await asyncio.gather(*sends)
        found = await probe.records("rejection", client_id)
    assert [record["rejection_id"] for record in found] == [str(number) for number in range(2_000)]


async def test_more_than_one_request_can_carry_is_split(bootstrap: str, probe: TopicProbe) -> None:
    await probe.mark()
    client_id = f"t-split-{uuid.uuid4()}"
    async with producer_of(bootstrap) as producer:
        sends = [
            producer.send(REJECTIONS, client_id.encode(), rejection(client_id, number, 400_000)) for number in range(12)
        ]
        await asyncio.gather(*sends)
        found = await probe.records("rejection", client_id)
    assert [record["rejection_id"] for record in found] == [str(number) for number in range(12)]


async def test_beyond_its_memory_it_refuses_at_once(bootstrap: str) -> None:
    async with producer_of(bootstrap, max_unacknowledged_bytes=10_000) as producer:
        sends = [producer.send(REJECTIONS, b"k", rejection("t-full", number, 1_000)) for number in range(100)]
        answers = await asyncio.gather(*sends, return_exceptions=True)
        refused = [answer for answer in answers if answer is not None]
        assert refused
        assert all(isinstance(answer, BrokerUnavailable) for answer in refused)
        assert producer.available
        await producer.send(REJECTIONS, b"k", rejection("t-full", 100))


async def test_one_cancelled_request_takes_no_other_with_it(bootstrap: str) -> None:
    async with producer_of(bootstrap) as producer:
        sends = [asyncio.create_task(producer.send(REJECTIONS, b"k", rejection("t-cancel", n))) for n in range(3)]
        await asyncio.sleep(0)
        sends[0].cancel()
        answers = await asyncio.gather(*sends, return_exceptions=True)
    assert answers[1:] == [None, None]


@pytest.mark.parametrize("key", [b"client-1", b"demo-0001", b"", b"x" * 128])
async def test_partitions_are_those_of_every_kafka_client(key: bytes) -> None:
    partitions = list(range(8))
    assert partition_for(key, 8) == DefaultPartitioner()(key, partitions, partitions)


async def test_a_producer_that_cannot_start_leaves_nothing_open() -> None:
    producer = BatchingProducer(f"127.0.0.1:{free_port()}", linger_s=0.0, timeout_s=1.0, max_unacknowledged_bytes=1024)
    with pytest.raises(KafkaError):
        await producer.__aenter__()
    gc.collect()  # what is left open is told when it is collected, and fails the test
