"""Orders of administrators: a command onto Kafka, the verdict of the registry, the alert desk or the warehouse back."""

from __future__ import annotations

import asyncio
import getpass
import json
import time
import uuid
from collections.abc import Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from infra import run_file
from infra.errors import BrokerUnreachable, NotDecided, NotRunning, OrderRefused
from infra.kafka_probe import require_answer
from infra.settings import InfraSettings
from schemas import codec
from schemas.errors import CodecError
from schemas.topics import REGISTRATIONS, VERDICTS, WAREHOUSE_ORDERS, Topic

WITHIN_S = 30.0
_PROBE_S = 5.0
_CARRIED_OUT = ("accepted", "renewed")
_DECIDES = {WAREHOUSE_ORDERS: "the sink runs"}


async def order(
    bootstrap: str,
    subject: str,
    action: str,
    body: Mapping[str, Any],
    actor: str,
    within_s: float = WITHIN_S,
    topic: Topic = REGISTRATIONS,
) -> dict[str, Any]:
    """Give an order (``schemas.commands``) and wait for the verdict on it.

    Args:
        topic: whose reader decides: the registry's, that of the signals, or that of the warehouse's orders.

    Returns:
        the ``verdict`` record, its ``details`` as a dictionary; ``carried_out`` reads it.

    Raises:
        BrokerUnreachable: no broker answers, or it did not take the order.
        NotDecided: no verdict within ``within_s`` seconds.
    """
    await require_answer(bootstrap, _PROBE_S)
    command = _command(subject, action, body, actor)
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, fetch_max_wait_ms=100)
    try:
        async with asyncio.timeout(within_s):
            await _at_the_end(consumer)
            await _write(bootstrap, command, topic)
            return await _verdict(consumer, command["request_id"])
    except TimeoutError:
        decides = _DECIDES.get(topic, "the processors run")
        raise NotDecided(
            f"No verdict on {action} came within {within_s:.0f} s: check that {decides}; the order may still be carried out."
        ) from None
    except KafkaError as error:
        raise BrokerUnreachable(f"The broker at {bootstrap} did not take the order: {type(error).__name__}.") from None
    finally:
        await consumer.stop()


def bootstrap_of(settings: InfraSettings) -> str:
    """The broker to give orders to: the one that the settings name, else that of the running ``viworks up``.

    Raises:
        NotRunning: neither is there.
    """
    content = None if settings.kafka else run_file.read(settings.data_dir)
    found = settings.kafka or (content or {}).get("kafka")
    if not found:
        raise NotRunning(
            f"Nothing is running in {settings.data_dir}: name its directory with --data, or a broker with --kafka"
            " (VIWORKS_KAFKA)."
        )
    return str(found)


def carried_out(verdict: Mapping[str, Any]) -> dict[str, Any]:
    """The details of a verdict that says yes. Raises OrderRefused with the registry's reason for any other."""
    details: dict[str, Any] = verdict["details"]
    if verdict["outcome"] not in _CARRIED_OUT:
        raise OrderRefused(f"Refused: {details.get('reason') or verdict['outcome']}.")
    return details


def user_name() -> str:
    """Who gives orders where nobody else is named: the operating system's user, by number where it has no name."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"


def _command(subject: str, action: str, body: Mapping[str, Any], actor: str) -> dict[str, Any]:
    now_ms = time.time_ns() // 1_000_000
    request_id = str(uuid.uuid4())
    return {
        "request_id": request_id,
        "subject": subject,
        "action": action,
        "body": json.dumps(body, separators=(",", ":")),
        "actor": actor,
        "timestamp": now_ms,
        "received_at": now_ms,
        "edge": f"viworks-command-{request_id}",
    }


async def _at_the_end(consumer: AIOKafkaConsumer) -> None:
    """Before the order goes out, so that its verdict cannot be missed."""
    await consumer.start()
    partitions = [TopicPartition(VERDICTS.name, number) for number in range(VERDICTS.partitions)]
    consumer.assign(partitions)
    await consumer.seek_to_end(*partitions)
    for partition in partitions:
        await consumer.position(partition)


async def _write(bootstrap: str, command: Mapping[str, Any], topic: Topic) -> None:
    value = codec.encode("command", command)
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True) as producer:
        await producer.send_and_wait(topic.name, value, key=str(command.get(topic.key, command["subject"])).encode())


async def _verdict(consumer: AIOKafkaConsumer, request_id: str) -> dict[str, Any]:
    while True:
        record = await consumer.getone()
        try:
            verdict = codec.decode_as("verdict", record.value)
        except CodecError:
            continue
        if verdict["request_id"] == request_id:
            return verdict | {"details": json.loads(verdict["details"])}
