"""Follows a compacted topic from its beginning: the edge's copy of what the registry has decided for all edges."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from types import TracebackType
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from schemas import codec
from schemas.errors import CodecError
from schemas.topics import Topic

log = logging.getLogger(__name__)

Apply = Callable[[str, dict[str, Any] | None], None]

_PAUSE_S = 1.0


class TopicFollower:
    """Gives every record, decoded, to ``apply(key, record)``; None is a deletion. Use as an async context manager.

    Entering returns once everything that stood in the topic then has been applied, so that an edge never serves without
    knowing what was revoked before its start. A broker that is away later is waited for: what is known stays in force.
    """

    def __init__(self, bootstrap: str, topic: Topic, apply: Apply, timeout_s: float = 30.0) -> None:
        self._topic = topic
        self._apply = apply
        self._timeout_s = timeout_s
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest", fetch_max_wait_ms=250
        )
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> TopicFollower:
        await self._consumer.start()
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._catch_up()
        except BaseException:
            await self._consumer.stop()
            raise
        self._reader = asyncio.create_task(self._follow())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._reader is not None:
            self._reader.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reader
        await self._consumer.stop()

    @property
    def alive(self) -> bool:
        """Whether the topic is still being followed."""
        return self._reader is not None and not self._reader.done()

    async def _catch_up(self) -> None:
        partitions = [TopicPartition(self._topic.name, number) for number in range(self._topic.partitions)]
        self._consumer.assign(partitions)
        ends = await self._consumer.end_offsets(partitions)
        await self._consumer.seek_to_beginning(*partitions)
        behind = {partition for partition in partitions if ends[partition] > await self._consumer.position(partition)}
        while behind:
            for records in (await self._consumer.getmany(timeout_ms=500)).values():
                for record in records:
                    self._take(record)
            behind = {partition for partition in behind if ends[partition] > await self._consumer.position(partition)}

    async def _follow(self) -> None:
        while True:
            try:
                async for record in self._consumer:
                    self._take(record)
            except KafkaError as error:
                log.warning("following %s: %s", self._topic.name, type(error).__name__)
                await asyncio.sleep(_PAUSE_S)

    def _take(self, record: ConsumerRecord) -> None:
        key = (record.key or b"").decode("utf-8", "replace")
        try:
            value = None if record.value is None else codec.decode_as(self._topic.schemas[0], record.value)
            self._apply(key, value)
        except (CodecError, KeyError, ValueError, TypeError) as error:
            log.error("a record of %s could not be applied: %s", self._topic.name, type(error).__name__)
