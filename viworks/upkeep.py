"""What a running client does by itself: heartbeats in the rhythm of the policy, and what falls due with time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from viworks import policy
from viworks.beating import Beat, Chore, beaten, held_back, may_try, missed
from viworks.errors import CircuitOpen, ClientError, Refused
from viworks.findings import Finding, FindingKind
from viworks.server_clock import ClockWatch, jump_ms
from viworks.standing import Standing
from viworks.timing import Timing

log = logging.getLogger(__name__)

Chores = Mapping[str, tuple[Callable[[], bool], Callable[[], Awaitable[object]]]]
"""By name: whether it is due, and how it is done."""


class Beating(Protocol):
    """What the upkeep needs of its client."""

    async def beat(self) -> int:
        """Send a heartbeat; the version of the policies that its answer named."""
        ...

    async def fetch(self, named: int) -> None:
        """Fetch the policies of a version that was named."""
        ...

    async def tidy(self) -> None:
        """Write down what is unsaved and what was found."""
        ...


class Upkeep:
    """The loop. ``first`` is set once the first heartbeat was accepted."""

    def __init__(
        self,
        client: Beating,
        standing: Standing,
        timing: Timing,
        chores: Chores,
        watch: Callable[[], ClockWatch],
        note: Callable[[Finding], None],
    ) -> None:
        self.first = asyncio.Event()
        self._client = client
        self._standing = standing
        self._timing = timing
        self._chores = chores
        self._due = dict.fromkeys(chores, Chore())
        self._watch = watch
        self._watched = watch()
        self._note = note
        self._beat = Beat()
        self._named = 0

    async def run(self) -> None:
        """Beat until cancelled."""
        while True:
            await self._timing.sleep(await self.step() / 1000)

    async def step(self) -> int:
        """One heartbeat and what is due with it; the wait before the next in milliseconds."""
        self._look_at_the_clock()
        try:
            wait_ms = await self._heartbeat()
            for name in self._chores:
                await self._chore(name)
        except ClientError as error:
            log.debug("the client's upkeep: %s", error)
            wait_ms = self._missed(error)
        await self._tidy()
        return wait_ms

    async def _heartbeat(self) -> int:
        """A new interval counts from the heartbeat on whose answer it was named: the policies are fetched at once."""
        if self._standing.policy.reports("heartbeat"):
            self._named = max(self._named, await self._client.beat())
            self.first.set()
            if policy.is_news(self._standing.policy, self._named):
                await self._client.fetch(self._named)
        else:  # its answers would tell of new policies
            await self._client.fetch(self._named)
            self.first.set()
        self._beat, wait_ms = beaten(self._standing.policy.interval_s, self._timing.fraction())
        return wait_ms

    def _missed(self, error: ClientError) -> int:
        interval_s, fraction = self._standing.policy.interval_s, self._timing.fraction()
        if isinstance(error, CircuitOpen):
            return held_back(interval_s, fraction, int(error.retry_after_s * 1000))
        asked_s = error.retry_after_s if isinstance(error, Refused) else None
        asked_ms = None if asked_s is None else int(asked_s * 1000)
        self._beat, wait_ms = missed(self._beat, interval_s, fraction, asked_ms)
        return wait_ms

    async def _chore(self, name: str) -> None:
        is_due, carry_out = self._chores[name]
        if not is_due():
            return
        self._due[name], now = may_try(self._due[name], self._timing.monotonic_ms(), self._timing.fraction())
        if not now:
            return
        try:
            await carry_out()
            self._due[name] = Chore()
        except ClientError as error:
            log.warning("%s: %s; it will be tried again", name, error)

    async def _tidy(self) -> None:
        try:
            await self._client.tidy()
        except ClientError as error:
            log.warning("the client's spool: %s", error)

    def _look_at_the_clock(self) -> None:
        before, self._watched = self._watched, self._watch()
        if jumped_ms := jump_ms(before, self._watched):
            way = "forward" if jumped_ms > 0 else "back"
            self._note(Finding(FindingKind.CLOCK_JUMP, f"the clock was set {way} by {abs(jumped_ms) // 1000} s"))
