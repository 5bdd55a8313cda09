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


async def tick_forever(producer: BatchingProducer, edge: str, interval_s: float, clock: Clock) -> None:
    """Write ticks until cancelled. One that cannot be stored is left out; the next one says more."""
    sequence = 0
    while True:
        sequence += 1
        value = codec.encode("tick", {"edge": edge, "timestamp": clock(), "sequence": sequence})
        try:
            for partition in range(HEARTBEATS.partitions):
                producer.enqueue(HEARTBEATS, partition, None, value)
        except BrokerUnavailable:
            log.info("a tick was left out: the broker is away")
        await asyncio.sleep(interval_s)
