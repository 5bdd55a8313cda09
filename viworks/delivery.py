"""Brings what is in the spool to the server: batch after batch, at a pace that both sides bear, until all has arrived."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from viworks import answers
from viworks.backoff import Backoff, BackoffPolicy, failed, retry_after_ms
from viworks.errors import AnswerLost, CircuitOpen, ClientError, Refused, SpoolError
from viworks.protection import Protection
from viworks.server_link import ServerLink
from viworks.spool import SpoolDesk, Spooled
from viworks.timing import Timing
from viworks.verdicts import BatchAnswer, Fates, fates

MOST_LINES, MOST_BYTES = 500, 1024 * 1024
"""Half of what the server takes: signing and sealing anew add to a record."""
FIRST_LINES = 16
"""Of the first batch: a process that never lives long enough for a large one gets something done all the same."""
ASK_EVERY_MS = 60_000
_SERVER_ERRORS, _CONTENT_TOO_LARGE = 500, 413
WAITS = BackoffPolicy(base_ms=500, cap_ms=60_000)
_SPREAD_INTERVALS, _MOST_SPREAD_MS = 2, 600_000


@dataclass(frozen=True, slots=True)
class Pace:
    """How many records go at once, and how often in a row that failed."""

    lines: int = MOST_LINES
    backoff: Backoff = field(default_factory=Backoff)


def may_have_broken(status: int) -> bool:
    """Whether an answer leaves open that it was the batch on which the server broke, or that it was too long."""
    return status >= _SERVER_ERRORS or status == _CONTENT_TOO_LARGE


def slowed(pace: Pace, fraction: float, asked_ms: int | None = None, *, broken: bool = False) -> tuple[Pace, int]:
    """A batch did not get through: the wait before the next.

    Args:
        broken: the server may have broken on it (``may_have_broken``, or it was sent and the answer was lost): half as many
            next time, so that a record that breaks the server is found. A server that was not reached says nothing of it.
    """
    backoff, wait_ms = failed(WAITS, pace.backoff, fraction, asked_ms)
    return Pace(max(1, pace.lines // 2) if broken else pace.lines, backoff), wait_ms


def held_back(interval_s: int, fraction: float, open_ms: int) -> int:
    """The breaker let no batch go, and will in ``open_ms``: the wait before the next. No failure.

    A random part of two heartbeat intervals more: a fleet of which everybody has something to deliver adds no more requests
    than half of its heartbeats.
    """
    return open_ms + int(min(_SPREAD_INTERVALS * 1000 * interval_s, _MOST_SPREAD_MS) * fraction)


def quickened(pace: Pace) -> Pace:
    """A batch got through."""
    return Pace(min(MOST_LINES, pace.lines * 2))


class Delivery:
    """One client's deliveries, one at a time.

    Attributes:
        failure: why the last batch did not get through; None once one did.
        rest_until_ms: until when the server wants to hear nothing (of the clock that nobody sets).
    """

    def __init__(
        self,
        desk: SpoolDesk,
        link: ServerLink,
        timing: Timing,
        protection: Callable[[], Protection],
        registration: Callable[[], Awaitable[object]],
        interval_s: Callable[[], int],
    ) -> None:
        self.failure: ClientError | None = None
        self.rest_until_ms = 0
        self._desk = desk
        self._link = link
        self._timing = timing
        self._protection = protection
        self._registration = registration
        self._interval_s = interval_s
        self._pace = Pace(FIRST_LINES)
        self._tries: dict[int, int] = {}
        self._behind: set[int] = set()
        self._ask_after_ms = 0
        self._turn = asyncio.Lock()
        self._news = asyncio.Event()

    def wake(self) -> None:
        """Something was put into the spool, or the server is back."""
        self._news.set()

    async def run(self, tidy: Callable[[], Awaitable[None]]) -> None:
        """Deliver until cancelled; ``tidy`` writes down what came to light meanwhile."""
        while True:
            self._news.clear()
            try:
                wait_ms = await self.step()
                await tidy()
            except SpoolError as error:  # a disk that is full today has room tomorrow
                self.failure, wait_ms = error, WAITS.cap_ms
            if wait_ms is None:
                await self._news.wait()
            elif wait_ms:
                await self._timing.sleep(wait_ms / 1000)

    async def flush(self) -> bool:
        """Deliver until the spool is empty, or a batch does not get through; whether it is empty."""
        while (wait_ms := await self.step()) == 0:
            pass
        return wait_ms is None

    async def step(self) -> int | None:
        """Deliver one batch: the wait before the next in milliseconds, None where nothing waits. Raises SpoolFailed."""
        async with self._turn:
            batch = await self._next()
            if not batch:
                return None
            try:
                batch = await self._protected(batch)
                response = await self._link.send_batch([each.record for each in batch])
                results = answers.read(response.body, BatchAnswer).results
            except SpoolError:
                raise
            except ClientError as error:
                return await self._failed(error, batch)
            server_ms = self._link.clock() if self._link.heard_time else None
            asked_ms = retry_after_ms(response.headers, self._timing.wall_ms())
            return await self._settle(fates(batch, results, self._tries, server_ms), asked_ms)

    async def _next(self) -> list[Spooled]:
        lines, behind = self._pace.lines, self._behind
        spool = self._desk.spool
        batch = await self._desk.run(lambda: spool.waiting(lines, MOST_BYTES, behind))
        if not batch and behind:  # those that were put behind come last
            behind.clear()
            batch = await self._desk.run(lambda: spool.waiting(lines, MOST_BYTES))
        return batch

    async def _protected(self, batch: list[Spooled]) -> list[Spooled]:
        """Sealed for the SOC's present key; what had to be sealed now is written down first, so that what is sent twice
        is the same twice."""
        await self._registration()  # its answer names the key to seal for
        protection = self._protection()
        sealed = {each.seq: each for each in batch if each.record.sealed_for != protection.key_id and protection.key_id}
        for seq, (_, record) in sealed.items():
            message = protection.sealed(record.kind, record.message)
            sealed[seq] = Spooled(seq, record.with_message(message, protection.key_id))
        if sealed:
            spool = self._desk.spool
            await self._desk.run(lambda: spool.replace(list(sealed.values())))
        found = (sealed.get(each.seq, each) for each in batch)
        return [Spooled(seq, record.with_message(protection.cut(record.kind, record.message))) for seq, record in found]

    async def _settle(self, sorted_: Fates, asked_ms: int | None) -> int:
        self.failure = None
        spool = self._desk.spool
        if sorted_.arrived or sorted_.lost or sorted_.aside:
            await self._desk.run(lambda: spool.settle(sorted_.arrived, sorted_.lost, sorted_.aside))
        if sorted_.redated:
            await self._desk.run(lambda: spool.replace(sorted_.redated))
        for seq in (*sorted_.arrived, *sorted_.lost, *sorted_.aside):
            self._tries.pop(seq, None)
        return await self._paced(sorted_, asked_ms)

    async def _paced(self, sorted_: Fates, asked_ms: int | None) -> int:
        self._rest(asked_ms)
        for seq in (*sorted_.doubtful, *(each.seq for each in sorted_.redated)):
            self._tries[seq] = self._tries.get(seq, 0) + 1
        if sorted_.doubtful:
            self._behind.update(sorted_.doubtful)
            await self._ask_anew()
        if sorted_.arrived and not sorted_.later:
            self._pace = quickened(self._pace)
            return 0
        progress = sorted_.lost or sorted_.aside or sorted_.redated
        if progress and not (sorted_.later or sorted_.doubtful):
            return 0
        # The others of a batch of which some must wait would have to wait too.
        backoff, wait_ms = failed(WAITS, self._pace.backoff, self._timing.fraction(), asked_ms)
        self._pace = replace(self._pace, backoff=Backoff() if sorted_.arrived else backoff)
        return wait_ms

    async def _ask_anew(self) -> None:
        """A new registration brings the present sealing key, scopes and API key; now and then."""
        now_ms = self._timing.monotonic_ms()
        if now_ms < self._ask_after_ms:
            return
        self._ask_after_ms = now_ms + ASK_EVERY_MS
        try:
            async with self._link.changing_keys:
                await self._link.register()
        except ClientError as error:
            self.failure = error

    async def _failed(self, error: ClientError, batch: list[Spooled]) -> int:
        self.failure = error
        fraction = self._timing.fraction()
        if isinstance(error, CircuitOpen):
            return held_back(self._interval_s(), fraction, int(error.retry_after_s * 1000))
        asked_ms, broken = None, isinstance(error, AnswerLost)
        if isinstance(error, Refused):
            asked_ms = None if error.retry_after_s is None else int(error.retry_after_s * 1000)
            broken = may_have_broken(error.status)
            await self._suspect(error, batch)
        self._rest(asked_ms)
        self._pace, wait_ms = slowed(self._pace, fraction, asked_ms, broken=broken)
        return wait_ms

    def _rest(self, asked_ms: int | None) -> None:
        self.rest_until_ms = self._timing.monotonic_ms() + (asked_ms or 0)

    async def _suspect(self, refusal: Refused, batch: list[Spooled]) -> None:
        """A record that the server refuses or breaks on when it comes alone must not stop the others."""
        if len(batch) > 1:
            return
        seq = batch[0].seq
        if refusal.type == answers.BODY_TOO_LARGE:
            spool = self._desk.spool
            await self._desk.run(lambda: spool.settle([], {}, {seq: "body-too-large"}))
        elif refusal.status == 500:
            self._behind.add(seq)
