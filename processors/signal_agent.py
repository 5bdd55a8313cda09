"""Carries records of one kind to the lookout, and its signals to the rules: events, refusals, the audit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from aiokafka import ConsumerRecord

from processors.alerting.signals import Signal
from processors.decoding import decoded
from processors.outbox import Outbox, signalling
from schemas.topics import Topic


class SignalAgent:
    """``look`` gives the signal of a record of the topic; None where no rule wants it."""

    def __init__(self, topic: Topic, look: Callable[[dict[str, Any]], Signal | None], outbox: Outbox) -> None:
        self._schemas = topic.schemas[:1]
        self._look = look
        self._outbox = outbox

    async def handle(self, partition: int, records: Sequence[ConsumerRecord]) -> None:
        """Pass on what rules want of a batch. Raises DeliveryFailed."""
        rows, dead = decoded(records, self._schemas)
        found = [signal for _, record in rows if (signal := self._look(record)) is not None]
        await self._outbox.write([*dead, *map(signalling, found)])
