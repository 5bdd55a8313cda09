"""Carries alerts to one receiver: tries again, in time gives up, and leaves the record on the dead letter topic then."""

from __future__ import annotations

import asyncio
import logging
import random

from aiokafka import ConsumerRecord

from processors.clock import Clock
from processors.delivery import metrics
from processors.delivery.alert import Alert
from processors.delivery.dead_letters import DeadLetters
from processors.delivery.errors import DeadLetterFailed, Refused, Unavailable
from processors.delivery.retry import LONGEST_WAIT_S, Attempts
from processors.delivery.sender import Sender

log = logging.getLogger(__name__)

_DEAD_LETTER_PAUSE_S = 1.0


class Courier:
    """Makes at most ``concurrency`` attempts at once. Returns from ``carry`` when there is nothing left to do."""

    def __init__(self, sender: Sender, dead_letters: DeadLetters, concurrency: int, clock: Clock) -> None:
        self._sender = sender
        self._receiver = sender.receiver
        self._dead_letters = dead_letters
        self._clock = clock
        self._room = asyncio.Semaphore(concurrency)
        self._not_before_s = 0.0

    async def carry(self, alert: Alert, record: ConsumerRecord) -> None:
        """Return when the alert is delivered, left out, or a dead letter. Raises Gone."""
        if not self._sender.wants(alert):
            return
        try:
            await self._until_taken(alert, record.timestamp / 1000)
        except Refused as error:
            log.warning("%s: an alert becomes a dead letter: %s", self._receiver.name, error.reason)
            await self.bury(record, error.reason)
            self._sender.give_up(alert)
            return
        metrics.DELIVERED.labels(self._receiver.name).inc()
        metrics.LATENCY.labels(self._receiver.name).observe(max(0.0, (self._clock() - record.timestamp) / 1000))

    async def bury(self, record: ConsumerRecord, error: str) -> None:
        """Write a dead letter, however long that takes: its record is not committed before."""
        while True:
            try:
                await self._dead_letters.write(record, self._receiver.name, error)
            except DeadLetterFailed as failure:
                log.warning("%s: %s", self._receiver.name, failure)
                await asyncio.sleep(_DEAD_LETTER_PAUSE_S)
            else:
                metrics.DEAD.labels(self._receiver.name, error).inc()
                return

    async def _until_taken(self, alert: Alert, written_s: float) -> None:
        """Raises Refused, also where it is given up, and Gone."""
        attempts = Attempts(self._now_s(), written_s, self._receiver.give_up_after_s)
        failures = 0
        while True:
            try:
                async with self._room:
                    await self._until_welcome()
                    await self._sender.send(alert)
                    return
            except Unavailable as error:
                pause_s = attempts.pause_s(failures, self._now_s(), error.retry_after_s, random.random)
                self._stand_back(error)
                if pause_s is None:
                    raise Refused(error.reason) from None
                metrics.RETRIED.labels(self._receiver.name, error.reason).inc()
                failures += 1
            await asyncio.sleep(pause_s)

    def _stand_back(self, error: Unavailable) -> None:
        """What a receiver says by Retry-After holds for all that it gets."""
        if error.retry_after_s is not None:
            self._not_before_s = self._now_s() + min(error.retry_after_s, LONGEST_WAIT_S)

    async def _until_welcome(self) -> None:
        while True:
            rest_s = self._not_before_s - self._now_s()
            if rest_s <= 0:
                return
            await asyncio.sleep(rest_s)

    def _now_s(self) -> float:
        return self._clock() / 1000
