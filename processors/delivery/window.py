"""The records under way to one receiver: any number of alerts at once, the statuses of one alert one after another."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from typing import Any

from aiokafka import ConsumerRecord

from processors.delivery.alert import Alert, read_alert
from processors.delivery.courier import Courier
from processors.delivery.dead_letters import addressee
from processors.delivery.progress import DoneBefore, Progress
from schemas.errors import CodecError

log = logging.getLogger(__name__)


class Window:
    """Bounded by its user, who adds no more than there is ``room`` for."""

    def __init__(self, courier: Courier, receiver: str, most: int) -> None:
        self.progress = Progress()
        self._courier = courier
        self._receiver = receiver
        self._most = most
        self._done_before: Mapping[int, DoneBefore] = {}
        self._last: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def room(self) -> int:
        """How many records more may be added."""
        return self._most - len(self._tasks)

    @property
    def drained(self) -> bool:
        """Whether there is room for many more."""
        return self.room * 2 >= self._most

    def add(self, record: ConsumerRecord) -> None:
        """Take a record, in the order of its partition's offsets."""
        self.progress.take(record.partition, record.offset, record.timestamp)
        if addressee(record) not in (None, self._receiver) or self._is_done(record):
            self.progress.finish(record.partition, record.offset)
            return
        try:
            alert = read_alert(record.value)
        except CodecError as error:
            self._start(self._bury(record, error))
            return
        task = self._start(self._carry(alert, record, self._last.get(alert.alert_id)))
        self._last[alert.alert_id] = task
        task.add_done_callback(lambda done: self._forget(alert.alert_id, done))

    def begin(self, done: Mapping[int, DoneBefore]) -> None:
        """Learn what earlier owners of the partitions, by number, have done."""
        self._done_before = done

    def _is_done(self, record: ConsumerRecord) -> bool:
        done = self._done_before.get(record.partition)
        return done is not None and done.covers(record.offset)

    async def run(self) -> None:
        """Wait for ever. Raises what ended a record's way: Gone, or a fault of the program."""
        await self._failed

    async def cancel(self) -> None:
        """Leave all as it stands: whoever has the partitions next gets what is not committed."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.progress.clear()

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._end)
        return task

    def _end(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) and not self._failed.done():
            self._failed.set_exception(error)

    def _forget(self, alert_id: str, task: asyncio.Task[None]) -> None:
        if self._last.get(alert_id) is task:
            del self._last[alert_id]

    async def _carry(self, alert: Alert, record: ConsumerRecord, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])
        await self._courier.carry(alert, record)
        self.progress.finish(record.partition, record.offset)

    async def _bury(self, record: ConsumerRecord, error: CodecError) -> None:
        log.warning("%s: a record of the alerts topic is no alert", self._receiver)
        await self._courier.bury(record, type(error).__name__)
        self.progress.finish(record.partition, record.offset)
