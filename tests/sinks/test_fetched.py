"""The sinks' consumer brings light records, every other consumer of the process aiokafka's own."""

from __future__ import annotations

import uuid

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from infra.kafka import EmbeddedKafka
from sinks.fetched import Fetched, as_it_came
from tests.sinks.samples import heartbeat, row
from tests.sinks.sink_process import produce


async def test_only_those_who_ask_for_it_get_light_records(kafka: EmbeddedKafka) -> None:
    (sent,) = await produce(kafka.bootstrap, [row("heartbeat", heartbeat(f"light-{uuid.uuid4()}"), 0)])
    light = await _record(kafka.bootstrap, sent.topic, sent.partition, sent.offset, value_deserializer=as_it_came)
    own = await _record(kafka.bootstrap, sent.topic, sent.partition, sent.offset)
    assert isinstance(light, Fetched)
    assert isinstance(own, ConsumerRecord)
    assert light == (own.topic, own.partition, own.offset, own.key, own.value, own.timestamp) == (*sent[:5], own.timestamp)


async def _record(bootstrap: str, topic: str, partition: int, offset: int, **options: object) -> object:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, **options)
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, partition)])
        consumer.seek(TopicPartition(topic, partition), offset)
        return await consumer.getone()
    finally:
        await consumer.stop()
