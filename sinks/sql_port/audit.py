"""Every query is an audit record, and no answer leaves before the broker has it.

What happened after an answer began to leave (its end, or that the client went away) is a second record. It is tried again
until the broker takes it; while too many of these wait, no query is answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from schemas import codec
from schemas.topics import AUDIT
from sinks.errors import AuditUnavailable
from sinks.sql_port.reader import Shape
from sinks.sql_port.tokens import Bearer

log = logging.getLogger(__name__)

_MOST_WAITING = 1000
_AGAIN_S = 1.0
_MASKED_CHARACTERS = 2000


@dataclass(slots=True)
class QueryFacts:
    """What is known of a query so far. ``mark`` is its id here, ``query_id`` the one that its client gave it."""

    bearer: Bearer
    query_id: str
    mark: str
    shape: Shape | None = None
    rows: int = 0
    size_bytes: int = 0
    recorded: bool = False
    began_s: float = field(default_factory=time.monotonic)

    def record(self, outcome: str, code: int, now_ms: int) -> dict[str, Any]:
        """The audit record. Of the statement it holds the text without its literals, never these."""
        shape = self.shape
        details = {
            "role": self.bearer.role,
            "query_hash": shape.digest if shape else None,
            "query": shape.masked[:_MASKED_CHARACTERS] if shape else None,
            "tables": list(shape.tables) if shape else [],
            "rows": self.rows,
            "bytes": self.size_bytes,
            "elapsed_ms": round((time.monotonic() - self.began_s) * 1000),
            "code": code,
        }
        return {
            "audit_id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"urn:viworks:audit:query:{self.mark}:{outcome}")),
            "timestamp": now_ms,
            "actor": f"sql:{self.bearer.name}",
            "action": "query",
            "subject": self.query_id,
            "outcome": outcome,
            "details": json.dumps(details, separators=(",", ":")),
        }


class Trail(Protocol):
    """Where audit records go."""

    async def record(self, facts: QueryFacts, outcome: str, code: int = 0) -> None:
        """Return when it is kept. Raises AuditUnavailable."""

    def record_later(self, facts: QueryFacts, outcome: str, code: int = 0) -> None:
        """See to it that it is kept."""


class KafkaTrail:
    """The audit topic. Use as an async context manager."""

    def __init__(self, bootstrap: str, wait_s: float, now_ms: Callable[[], int], most_waiting: int = _MOST_WAITING) -> None:
        self._most_waiting = most_waiting
        self._bootstrap = bootstrap
        self._wait_s = wait_s
        self._now_ms = now_ms
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()
        self._waiting: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> KafkaTrail:
        return self

    async def __aexit__(self, *exception: object) -> None:
        if self._waiting:
            await asyncio.wait(self._waiting, timeout=self._wait_s)
        lost = [task for task in self._waiting if not task.done()]
        for task in lost:
            task.cancel()
        if lost:
            log.error("%d audit records of the ends of queries were not taken by the broker", len(lost))
        await self._give_up()

    @property
    def waiting(self) -> int:
        """How many records the broker does not have yet."""
        return len(self._waiting)

    async def record(self, facts: QueryFacts, outcome: str, code: int = 0) -> None:
        """Return when all replicas have it, within the wait of the settings. Raises AuditUnavailable."""
        if len(self._waiting) >= self._most_waiting:
            raise AuditUnavailable("too many records wait")
        await self._send(facts, facts.record(outcome, code, self._now_ms()))

    def record_later(self, facts: QueryFacts, outcome: str, code: int = 0) -> None:
        """Try until the broker has it."""
        task = asyncio.create_task(self._send_until(facts, facts.record(outcome, code, self._now_ms())))
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    async def _send_until(self, facts: QueryFacts, record: dict[str, Any]) -> None:
        while True:
            try:
                return await self._send(facts, record)
            except AuditUnavailable as error:
                log.warning("an audit record waits: %s", error)
                await asyncio.sleep(_AGAIN_S)

    async def _send(self, facts: QueryFacts, record: dict[str, Any]) -> None:
        try:
            # An idempotent producer waits for ever while the broker is away.
            async with asyncio.timeout(self._wait_s):
                producer = await self._started()
                value = codec.encode("audit", record)
                await producer.send_and_wait(AUDIT.name, value=value, key=facts.query_id.encode())
        except (KafkaError, TimeoutError, OSError) as error:
            await self._give_up()
            raise AuditUnavailable(type(error).__name__) from None

    async def _started(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._producer is None:
                producer = AIOKafkaProducer(bootstrap_servers=self._bootstrap, acks="all", enable_idempotence=True)
                try:
                    await producer.start()
                except BaseException:
                    await producer.stop()
                    raise
                self._producer = producer
            return self._producer

    async def _give_up(self) -> None:
        """A producer that failed once may never recover (aio-libs/aiokafka#1017): the next record has a new one."""
        producer, self._producer = self._producer, None
        if producer is not None:
            with contextlib.suppress(KafkaError, TimeoutError, OSError):
                await asyncio.wait_for(producer.stop(), self._wait_s)
