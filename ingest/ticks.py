"""The edge's sign of life in every partition of the heartbeats (DESIGN §2, liveness clock).

A tick of time T says: all heartbeats that this edge accepted before T stand before it in this partition. It goes through the
very queue that the heartbeats go through, so that it cannot overtake them.
"""

from __future__ import annotations

import asyncio
import logging

from ingest.clock import Clock
from ingest.errors import BrokerUnavailable
from ingest.producer import BatchingProducer
from schemas import codec
from schemas.topics import HEARTBEATS

log = logging.getLogger(__name__)


class Ticks:
    """Writes the ticks of one edge."""

    def __init__(self, producer: BatchingProducer, edge: str, clock: Clock) -> None:
        self._producer = producer
        self._edge = edge
        self._clock = clock
        self._sequence = 0

    async def write_forever(self, interval_s: float) -> None:
        """Write ticks until cancelled. One that cannot be stored is left out; the next one says more."""
        while True:
            self._write(last=False)
            await asyncio.sleep(interval_s)

    def farewell(self) -> None:
        """Say that the edge ends, after its last heartbeat: nobody waits for its ticks any more.

        Where it cannot be stored, the edge counts as silent, like one that crashed.
        """
        self._write(last=True)

    def _write(self, *, last: bool) -> None:
        self._sequence += 1
        tick = {"edge": self._edge, "timestamp": self._clock(), "sequence": self._sequence, "last": last}
        value = codec.encode("tick", tick)
        try:
            for partition in range(HEARTBEATS.partitions):
                self._producer.enqueue(HEARTBEATS, partition, None, value)
        except BrokerUnavailable:
            log.info("a tick was left out: the broker is away")
