"""The registry as the edge sees it: ask over Kafka, wait for the verdict.

The registry processor is the one owner of a client id; an edge only carries the question and the answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from types import TracebackType
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from ingest.clock import Clock
from ingest.errors import RegistryUnavailable
from ingest.metrics import REGISTRY_WAIT
from ingest.producer import BatchingProducer
from ingest.readiness import AWAY, OK, SILENT, following
from schemas import codec
from schemas.errors import CodecError
from schemas.topics import REGISTRATIONS, VERDICTS

log = logging.getLogger(__name__)

_MAX_PENDING = 10_000


class Verdict(NamedTuple):
    """What the registry says; ``details`` depend on the outcome."""

    outcome: str
    key_epoch: int
    details: dict[str, Any]


class RegistryLink:
    """Questions to the registry and the verdicts that come back. Use as an async context manager."""

    def __init__(self, bootstrap: str, producer: BatchingProducer, edge: str, timeout_s: float, clock: Clock) -> None:
        self._producer = producer
        self._edge = edge
        self._timeout_s = timeout_s
        self._pending: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="latest", fetch_max_wait_ms=250
        )
        self._clock = clock
        self._answered = True
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> RegistryLink:
        await self._consumer.start()
        partitions = [TopicPartition(VERDICTS.name, number) for number in range(VERDICTS.partitions)]
        self._consumer.assign(partitions)
        await self._consumer.seek_to_end(*partitions)
        for partition in partitions:
            await self._consumer.position(partition)
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._reader is not None:
            self._reader.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reader
        await self._consumer.stop()

    def state(self) -> str:
        """What ``/readyz`` says: ``away`` where verdicts cannot be read, ``silent`` where the last one never came."""
        if self._reader is None or self._reader.done():
            return AWAY
        state = following(self._consumer, self._clock)
        return state if self._answered or state != OK else SILENT

    async def ask(self, schema: str, key: str, record: dict[str, Any]) -> Verdict:
        """Put a record of this schema to the owner of the key and return its verdict.

        Raises:
            BrokerUnavailable: the question was not stored.
            RegistryUnavailable: no verdict in time.
        """
        if len(self._pending) >= _MAX_PENDING:
            raise RegistryUnavailable("too many requests wait; try again later")
        request_id = record["request_id"]
        outcome, started = "none", time.perf_counter()
        verdict = self._pending[request_id] = asyncio.get_running_loop().create_future()
        try:
            value = codec.encode(schema, record)
            async with asyncio.timeout(self._timeout_s):
                await self._producer.send(REGISTRATIONS, key.encode(), value)
                decided: dict[str, Any] = await verdict
            self._answered, outcome = True, decided["outcome"]
        except TimeoutError:
            self._answered = False
            raise RegistryUnavailable("the request was not decided in time; try again") from None
        finally:
            del self._pending[request_id]
            REGISTRY_WAIT.labels(outcome).observe(time.perf_counter() - started)
        return Verdict(decided["outcome"], decided["key_epoch"], json.loads(decided["details"]))

    async def _read(self) -> None:
        while True:
            try:
                async for message in self._consumer:
                    self._receive(message.value)
            except KafkaError as error:
                log.warning("reading verdicts: %s", type(error).__name__)
                await asyncio.sleep(1.0)

    def _receive(self, value: bytes | None) -> None:
        try:
            verdict = codec.decode_as("verdict", value)
        except CodecError as error:
            log.warning("a verdict could not be read: %s", error)
            return
        waiting = self._pending.get(verdict["request_id"])
        if verdict["edge"] == self._edge and waiting is not None and not waiting.done():
            waiting.set_result(verdict)
