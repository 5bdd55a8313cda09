"""Refused requests, counted by reason: one record a reason, client and interval.

So an attacker cannot flood the topic.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from dataclasses import dataclass
from typing import NamedTuple

from ingest.clock import Clock
from ingest.errors import BrokerUnavailable
from ingest.metrics import REJECTIONS as REFUSED
from ingest.producer import BatchingProducer
from schemas import codec
from schemas.topics import REJECTIONS

log = logging.getLogger(__name__)

_MAX_KEYS = 1_000
_MAX_CLAIMED_CHARS = 128


class Rejection(NamedTuple):
    """What is counted together."""

    client_id: str
    authenticated: bool
    endpoint: str
    reason: str
    status: int


@dataclass(slots=True)
class _Count:
    count: int
    first_ms: int
    last_ms: int


class Rejections:
    """Counts rejections and writes the counts out at intervals."""

    def __init__(self, producer: BatchingProducer, edge: str, clock: Clock) -> None:
        self._producer = producer
        self._edge = edge
        self._clock = clock
        self._counts: dict[Rejection, _Count] = {}

    def count(self, rejection: Rejection) -> None:
        """Count one. When too many kinds are open, the client's name is dropped before the count is."""
        REFUSED.labels(rejection.endpoint, rejection.reason).inc()
        now_ms = self._clock()
        if rejection not in self._counts and len(self._counts) >= _MAX_KEYS:
            rejection = rejection._replace(client_id="", authenticated=False)
        entry = self._counts.setdefault(rejection, _Count(0, now_ms, now_ms))
        entry.count += 1
        entry.last_ms = now_ms

    async def run(self, interval_s: float) -> None:
        """Write the counts out for ever; what Kafka does not take now stays counted."""
        while True:
            await asyncio.sleep(interval_s)
            await self.flush()

    async def flush(self) -> None:
        """Write all open counts out."""
        counts, self._counts = self._counts, {}
        written = [self._write(rejection, entry) for rejection, entry in counts.items()]
        await asyncio.gather(*written)

    async def _write(self, rejection: Rejection, entry: _Count) -> None:
        record = {
            **rejection._asdict(),
            "rejection_id": str(uuid.uuid4()),
            "count": entry.count,
            "first_at": entry.first_ms,
            "timestamp": entry.last_ms,
            "edge": self._edge,
        }
        try:
            await self._producer.send(REJECTIONS, rejection.client_id.encode(), codec.encode("rejection", record))
        except BrokerUnavailable:
            self._put_back(rejection, entry)

    def _put_back(self, rejection: Rejection, entry: _Count) -> None:
        if rejection not in self._counts and len(self._counts) >= _MAX_KEYS:
            rejection = rejection._replace(client_id="", authenticated=False)
        newer = self._counts.get(rejection)
        if newer is None:
            self._counts[rejection] = entry
        else:
            newer.count += entry.count
            newer.first_ms = min(newer.first_ms, entry.first_ms)


def claimed_client_id(header: bytes | None) -> str:
    """A client id that nobody has proved, made fit for a row: printable ASCII of the protocol's alphabet, or empty."""
    text = (header or b"").decode("latin-1")
    fit = 0 < len(text) <= _MAX_CLAIMED_CHARS and all(c.isascii() and (c.isalnum() or c in "._:@-") for c in text)
    return text if fit else ""
