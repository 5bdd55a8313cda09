"""The spool for an event loop: one thread does the waiting for the disk, and one commit serves all who came meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from viworks.errors import SpoolFailed, SpoolFull
from viworks.spool.record import Record
from viworks.spool.store import Spool

T = TypeVar("T")
_MOST_AT_ONCE = 256


class SpoolDesk:
    """Use ``run`` for every call of the spool: they never overlap."""

    def __init__(self, spool: Spool) -> None:
        self.spool = spool
        self._thread = ThreadPoolExecutor(1, "viworks-spool")
        self._waiting: list[tuple[Record, asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None
        self._closed = False

    async def run(self, call: Callable[[], T]) -> T:
        """The result of a call in the spool's thread. Raises SpoolFailed once it is closed."""
        if self._closed:
            raise SpoolFailed("the spool is closed")
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)

    async def append(self, record: Record) -> None:
        """Accept a record: on the disk when this returns.

        Raises:
            SpoolFull: nothing less grave could make room.
            SpoolFailed: the disk does not take it.
        """
        accepted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((record, accepted))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write())
        await accepted

    async def close(self) -> None:
        """Write what waits, and let another process open the spool."""
        try:
            if self._writer is not None:
                await asyncio.shield(self._writer)
        finally:
            closing = asyncio.get_running_loop().run_in_executor(self._thread, self.spool.close)
            self._closed = True
            try:
                await asyncio.shield(closing)  # also of a caller who does not wait for it
            finally:
                self._thread.shutdown()

    async def _write(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:_MOST_AT_ONCE], self._waiting[_MOST_AT_ONCE:]
            records = [record for record, _ in batch]
            try:
                places = await self.run(lambda records=records: self.spool.append(records))  # type: ignore[misc]
            except Exception as error:  # noqa: BLE001 - whoever waits gets it
                outcomes: list[Exception | None] = [error] * len(batch)
            else:
                full = SpoolFull("the spool is full of messages that are no less grave")
                outcomes = [full if place is None else None for place in places]
            _tell([accepted for _, accepted in batch], outcomes)
        self._writer = None


def _tell(waiting: list[asyncio.Future[None]], outcomes: list[Exception | None]) -> None:
    for accepted, outcome in zip(waiting, outcomes, strict=True):
        if accepted.done():
            continue
        if outcome is None:
            accepted.set_result(None)
        else:
            accepted.set_exception(outcome)
