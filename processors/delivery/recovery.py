"""What a receiver was told before: read back when partitions come to this process."""

from __future__ import annotations

import contextlib
from collections.abc import Collection

from aiokafka import TopicPartition

from processors.delivery.alert import read_alert
from processors.delivery.alertmanager import FiringBook
from processors.delivery.kafka import checkpoints, history
from processors.delivery.progress import DoneBefore
from schemas.errors import CodecError


async def recover(
    bootstrap: str, group: str, assigned: Collection[TopicPartition], book: FiringBook | None, since_ms: int
) -> dict[int, DoneBefore]:
    """What earlier owners have done, by partition; the book, where there is one, has then what still fires since a time.

    Raises:
        KafkaError, TimeoutError: Kafka does not say.
    """
    committed = await checkpoints(bootstrap, group)
    done = {at: DoneBefore(committed[at]) for at in assigned if at in committed}
    if book is not None:
        book.clear()
        async for record in history(bootstrap, since_ms, {at: each.end for at, each in done.items()}):
            if done[TopicPartition(record.topic, record.partition)].covers(record.offset):
                with contextlib.suppress(CodecError):
                    book.restore(read_alert(record.value))
    return {at.partition: each for at, each in done.items()}
