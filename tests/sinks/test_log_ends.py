"""Where a log ends is Kafka's word at the moment, given to a thread."""

from __future__ import annotations

import asyncio
import contextlib
import uuid

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaTimeoutError

from infra.kafka import EmbeddedKafka
from schemas.topics import EVENTS
from sinks.errors import KafkaUnavailable
from sinks.log_ends import log_ends_of
from tests.sinks.samples import event, row
from tests.sinks.sink_process import produce


async def test_each_call_asks_anew(kafka: EmbeddedKafka) -> None:
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap)
    await consumer.start()
    try:
        ends = log_ends_of(EVENTS, consumer)
        for count in (1, 2):
            sent = await produce(
                kafka.bootstrap, [row("event", event(f"ends-{uuid.uuid4()}", f"e{n}"), 0) for n in range(count)]
            )
            newest = {each.partition: each.offset + 1 for each in sent}
            assert await asyncio.to_thread(ends, newest) == newest
    finally:
        await consumer.stop()


@pytest.mark.parametrize("fault", [KafkaTimeoutError(), TimeoutError()])
async def test_a_broker_that_does_not_answer_is_no_end(fault: Exception) -> None:
    class Away:
        async def end_offsets(self, partitions: object) -> None:
            raise fault

    with pytest.raises(KafkaUnavailable, match=type(fault).__name__):
        await asyncio.to_thread(log_ends_of(EVENTS, Away()), [0])


async def test_a_cancelled_question_is_no_end() -> None:
    """A sink that ends cancels what is left in its event loop while a thread still waits for the answer."""

    class Silent:
        async def end_offsets(self, partitions: object) -> None:
            asked.set()
            await asyncio.Event().wait()

    asked = asyncio.Event()
    before = asyncio.all_tasks()
    asking = asyncio.create_task(asyncio.to_thread(log_ends_of(EVENTS, Silent()), [0]))
    await asyncio.wait_for(asked.wait(), 30)
    for task in asyncio.all_tasks() - before - {asking}:
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError), pytest.raises(KafkaUnavailable):
        await asking
