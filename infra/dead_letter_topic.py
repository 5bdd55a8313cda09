"""Reads the dead letter topic: in bounded memory, in bounded time, as far as it reached when the reading began."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from infra.dead_letters import Letter, Mark, Stage, read
from infra.errors import BrokerUnreachable, DeadLetterUnknown
from infra.kafka_probe import require_answer
from schemas.topics import DLQ

WITHIN_S = 120.0
_PROBE_S = 5.0
_AT_ONCE = 200
_PARTITION = TopicPartition(DLQ.name, 0)


class DeadLetterTopic:
    """Use as an async context manager. All readings together may take ``within_s`` seconds.

    Raises, on entry and by every method:
        BrokerUnreachable: no broker answers, or not in time.
    """

    def __init__(self, bootstrap: str, within_s: float = WITHIN_S) -> None:
        self._bootstrap = bootstrap
        self._within_s = within_s
        self._consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, fetch_max_wait_ms=100)

    async def __aenter__(self) -> DeadLetterTopic:
        try:
            await require_answer(self._bootstrap, _PROBE_S)
            self._deadline_s = asyncio.get_running_loop().time() + self._within_s
            async with self._bounded():
                await self._consumer.start()
                self._consumer.assign([_PARTITION])
                await self._consumer.position(_PARTITION)  # a first position that arrives late would undo a later seek
        except BaseException:
            await self._consumer.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def scan(self, start: int = 0, until: int | None = None) -> AsyncIterator[Letter | Mark]:
        """What stands from ``start`` on, up to (not including) ``until``, by default all that is there now."""
        first, end = await self.reach()
        end, at = min(end, until) if until is not None else end, max(start, first)
        self._consumer.seek(_PARTITION, at)
        while at < end:
            for record in await self._next():
                if record.offset < end:
                    yield read(record)
            async with self._bounded():
                at = await self._consumer.position(_PARTITION)

    async def reach(self) -> tuple[int, int]:
        """The first offset that is kept, and the one after the newest."""
        async with self._bounded():
            first = await self._consumer.beginning_offsets([_PARTITION])
            end = await self._consumer.end_offsets([_PARTITION])
        return first[_PARTITION], end[_PARTITION]

    async def letter(self, offset: int) -> tuple[Letter, bytes | None]:
        """One letter and its value. Raises DeadLetterUnknown where none is there."""
        first, end = await self.reach()
        if first <= offset < end:
            self._consumer.seek(_PARTITION, offset)
            for record in await self._next(1):
                found = read(record)
                if isinstance(found, Letter) and found.offset == offset:
                    return found, record.value
        raise DeadLetterUnknown(
            f"No dead letter stands at offset {offset}: `viworks dlq list` shows those that there are; they are kept for"
            f" {(DLQ.retention_ms or 0) // 86_400_000} days."
        )

    async def stages(self, start: int, until: int) -> dict[int, Stage]:
        """How far replays are whose marks stand between ``start`` and ``until``, by letter."""
        found: dict[int, Stage] = {}
        async for each in self.scan(start, until):
            if isinstance(each, Mark) and found.get(each.letter) is not Stage.DONE:
                found[each.letter] = each.stage
        return found

    async def _next(self, count: int = _AT_ONCE) -> list[ConsumerRecord]:
        async with self._bounded():
            found = await self._consumer.getmany(_PARTITION, timeout_ms=1_000, max_records=count)
        return list(found.get(_PARTITION, []))

    @contextlib.asynccontextmanager
    async def _bounded(self) -> AsyncIterator[None]:
        where = f"The dead letters cannot be read from {self._bootstrap}"
        try:
            async with asyncio.timeout_at(self._deadline_s):
                yield
        except TimeoutError:
            raise BrokerUnreachable(f"{where} within {self._within_s:.0f} s: ask again, or for fewer.") from None
        except KafkaError as error:
            raise BrokerUnreachable(f"{where}: {type(error).__name__}.") from None
