"""Row 2: heartbeats per second of one Faust worker against a bare Faust agent on the same topic.

The worker's rate is taken from what it writes: the transitions of the marker clients that stand first and last in every
partition carry the time at which they were produced.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from statistics import median

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from bench.heartbeats import FIRST, LAST
from bench.measured import Measured, output_of
from bench.report import Row
from schemas.topics import HEARTBEATS, LIVENESS

ROUNDS = 3
WORKER_CPU = 0


async def measure(bootstrap: str, scratch: Path, count: int) -> Row:
    """Interleaved rounds of the bare agent and the worker; medians. The topic must hold nothing but ``fill``'s records."""
    bare, worker = [], []
    for number in range(ROUNDS):
        bare.append(await asyncio.to_thread(_bare, bootstrap, count, scratch / f"bare-faust-{number}"))
        worker.append(await _worker(bootstrap, scratch / f"processors-{number}", count))
    note = f"bare agent {', '.join(f'{rate:,.0f}' for rate in bare)}/s; worker {', '.join(f'{r:,.0f}' for r in worker)}/s"
    return Row("liveness: heartbeats/s of one Faust worker", median(worker), median(bare), 3.0, note)


def _bare(bootstrap: str, count: int, data_dir: Path) -> float:
    return float(output_of(["-m", "bench.bare_faust", bootstrap, HEARTBEATS.name, str(count), str(data_dir)], WORKER_CPU))


async def _worker(bootstrap: str, data_dir: Path, count: int) -> float:
    environment = {
        "VIWORKS_KAFKA": bootstrap,
        "VIWORKS_DATA_DIR": str(data_dir),
        "VIWORKS_PROCESSOR_APP_ID": f"bench-{uuid.uuid4().hex}",
    }
    await _forget_clients(bootstrap)
    async with transitions(bootstrap) as consumer:
        log = data_dir.with_suffix(".log")
        with Measured(["-m", "infra", "run", "processors"], environment, log, WORKER_CPU) as process:
            first_ms, last_ms = await _marker_times(consumer, process)
    return count / ((last_ms - first_ms) / 1000)


async def _forget_clients(bootstrap: str) -> None:
    """Take back what the last round wrote: a restored client makes no transition at its first heartbeat."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        partitions = [TopicPartition(LIVENESS.name, number) for number in range(LIVENESS.partitions)]
        await admin.delete_records({partition: RecordsToDelete(before_offset=-1) for partition in partitions})
    finally:
        await admin.close()


@contextlib.asynccontextmanager
async def transitions(bootstrap: str) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer at the end of the liveness topic."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        partitions = [TopicPartition(LIVENESS.name, number) for number in range(LIVENESS.partitions)]
        consumer.assign(partitions)
        await consumer.seek_to_end(*partitions)
        for partition in partitions:
            await consumer.position(partition)
        yield consumer
    finally:
        await consumer.stop()


async def _marker_times(consumer: AIOKafkaConsumer, process: Measured, within_s: float = 300.0) -> tuple[int, int]:
    """When the first of the first markers and the last of the last ones were produced, in milliseconds."""
    first: list[int] = []
    last: list[int] = []
    deadline = time.monotonic() + within_s
    while len(last) < LIVENESS.partitions:
        if time.monotonic() > deadline or not process.alive:
            raise RuntimeError("the worker did not read the topic to its end")
        for records in (await consumer.getmany(timeout_ms=500)).values():
            first += [record.timestamp for record in records if record.key.startswith(FIRST.encode())]
            last += [record.timestamp for record in records if record.key.startswith(LAST.encode())]
    return min(first), max(last)
