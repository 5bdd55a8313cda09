"""The aiokafka producer behind the edge's batches: started, rebuilt where it cannot go on, stopped in bounded time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, KafkaTimeoutError

log = logging.getLogger(__name__)

_REBUILD_PAUSE_S = 1.0
_CLOSE_S = 1.0
_MAX_REQUEST_BYTES = 900 * 1024  # a broker takes 1 MiB by default, the batch's own header included

KeyedValue = tuple[bytes | None, bytes]


class KafkaLink:
    """Idempotent, acknowledged by all in-sync replicas."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._producer: AIOKafkaProducer | None = None
        self._mending = asyncio.Lock()

    async def start(self) -> None:
        """Raises KafkaError where no broker answers."""
        self._producer = await self._started()

    async def stop(self, timeout_s: float) -> None:
        """End; what is not acknowledged within the time is given up."""
        await _stop(self._producer, timeout_s)

    async def produce(self, topic: str, partition: int, records: Sequence[KeyedValue]) -> None:
        """Hand over all records, then wait for their acknowledgements, for ever while the broker is away.

        Raises:
            KafkaError: given up; ``mend`` makes the link work again unless it is a KafkaTimeoutError.
        """
        producer = self._producer
        if producer is None:
            raise KafkaTimeoutError("the producer is being rebuilt")
        waiting = []
        builder = producer.create_batch()
        for key, value in records:
            if builder.append(key=key, value=value, timestamp=None) is None:
                waiting.append(await producer.send_batch(builder, topic, partition=partition))
                builder = producer.create_batch()
                builder.append(key=key, value=value, timestamp=None)
        waiting.append(await producer.send_batch(builder, topic, partition=partition))
        for future in waiting:
            await future

    def connected(self) -> bool:
        """Whether there is a connection to any broker. A broker's death closes its own at once."""
        if self._producer is None:
            return False
        connections = self._producer.client._conns  # no public call tells without making a connection
        return any(connection.connected() for connection in connections.values())

    async def mend(self) -> None:
        """After an error that idempotence cannot get over (aiokafka 1017) only a new producer goes on."""
        broken = self._producer
        async with self._mending:
            if self._producer is not broken or broken is None:
                return
            self._producer = None
            await _stop(broken, _CLOSE_S)
            while self._producer is None:
                try:
                    self._producer = await self._started()
                except KafkaError:
                    await asyncio.sleep(_REBUILD_PAUSE_S)

    async def _started(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap,
            acks="all",
            enable_idempotence=True,
            linger_ms=0,
            max_batch_size=_MAX_REQUEST_BYTES,
            request_timeout_ms=10_000,
            retry_backoff_ms=100,
        )
        try:
            await producer.start()
        except BaseException:
            await _stop(producer, _CLOSE_S)
            raise
        return producer


async def _stop(producer: AIOKafkaProducer | None, timeout_s: float) -> None:
    """Stop in bounded time: ``AIOKafkaProducer.stop`` waits for ever for batches that a broker never acknowledges."""
    if producer is None:
        return
    try:
        async with asyncio.timeout(timeout_s):
            await producer.stop()
    except (KafkaError, TimeoutError):
        task = producer._sender.sender_task  # no public call ends the sender without the flush
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        await producer.client.close()
