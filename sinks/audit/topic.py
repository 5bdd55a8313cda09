"""The copy of the checkpoints on Kafka: the one that outlives the loss of the sink's host."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Sequence
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from schemas import codec
from schemas.errors import CodecError
from schemas.topics import AUDIT_CHECKPOINTS
from sinks.audit.chain import date_of
from sinks.audit.sealer import Sealed
from sinks.errors import CheckpointInvalid, CheckpointUndelivered

_AT = TopicPartition(AUDIT_CHECKPOINTS.name, 0)
# Somebody else may have put something else on the topic.
_LAST = 50
T = TypeVar("T")


class CheckpointTopic:
    """Opens a connection for each call: there is one a minute at most. Every call raises CheckpointUndelivered."""

    def __init__(self, bootstrap: str, timeout_s: float = 15.0) -> None:
        self._bootstrap = bootstrap
        self._timeout_s = timeout_s

    async def newest(self) -> Sealed | None:
        """The last checkpoint on the topic."""
        for record in reversed(await self._bounded(self._read(_LAST))):
            with contextlib.suppress(CheckpointInvalid):
                return Sealed.of(record["note"])
        return None

    async def notes(self) -> list[str]:
        """All notes that the topic still has."""
        return [record["note"] for record in await self._bounded(self._read(None))]

    async def append(self, notes: Sequence[str]) -> None:
        """Return when all replicas have them."""
        await self._bounded(self._append(notes))

    async def _bounded(self, work: Awaitable[T]) -> T:
        try:
            # An idempotent producer waits for ever while the broker is away.
            return await asyncio.wait_for(work, self._timeout_s)
        except (KafkaError, TimeoutError, OSError, CodecError) as error:
            raise CheckpointUndelivered(type(error).__name__) from None

    async def _read(self, last: int | None) -> list[dict[str, Any]]:
        """The records of the topic, or the last so many of them."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self._bootstrap, enable_auto_commit=False, fetch_max_wait_ms=100)
        await consumer.start()
        try:
            consumer.assign([_AT])
            first = (await consumer.beginning_offsets([_AT]))[_AT]
            end = (await consumer.end_offsets([_AT]))[_AT]
            consumer.seek(_AT, first if last is None else max(first, end - last))
            records: list[dict[str, Any]] = []
            while await consumer.position(_AT) < end:
                for batch in (await consumer.getmany(timeout_ms=1_000)).values():
                    records += [_decoded(record.value) for record in batch]
            return records
        finally:
            await consumer.stop()

    async def _append(self, notes: Sequence[str]) -> None:
        producer = AIOKafkaProducer(bootstrap_servers=self._bootstrap, acks="all", enable_idempotence=True)
        await producer.start()
        try:
            for note in notes:
                record = _record(note)
                value, key = codec.encode("audit_checkpoint", record), record["day"].encode()
                await producer.send_and_wait(_AT.topic, value=value, key=key, partition=_AT.partition)
        finally:
            await producer.stop()


def _decoded(value: bytes | None) -> dict[str, Any]:
    """What is no checkpoint comes as an empty one, for the verification to say so."""
    try:
        return codec.decode_as("audit_checkpoint", value)
    except CodecError:
        return {"note": ""}


def _record(note: str) -> dict[str, Any]:
    made = Sealed.of(note).checkpoint
    return {
        "sequence": made.sequence,
        "day": str(date_of(made.day)),
        "timestamp": made.time_ms,
        "records": made.records,
        "note": note,
    }
