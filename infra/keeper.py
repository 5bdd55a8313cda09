"""Keeps a service running: starts it again whenever it ends, after a wait that doubles from one failure to the next."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from infra.errors import InfraError
from infra.service import Service

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0
# A service that lived this long has recovered, so that its next end is a first one again.
RECOVERED_S = 60.0


def backoff_s(failures: int) -> float:
    """Seconds to wait before the start after ``failures`` failed ones in a row."""
    return min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(failures, 16))


class Keeper:
    """Keeps one service. Says what happens through ``say``, and calls ``changed`` when a process id did."""

    def __init__(
        self, service: Service, start_timeout_s: float, say: Callable[[str], None], changed: Callable[[], None]
    ) -> None:
        self.service = service
        self._start_timeout_s = start_timeout_s
        self._say = say
        self._changed = changed
        self._failures = 0
        self._started_s = 0.0

    async def start(self) -> None:
        """The first start, whose failure is the caller's.

        Raises:
            InfraError: the service did not start.
        """
        await self.service.start(self._start_timeout_s)
        self._started_s = time.monotonic()

    async def keep(self) -> None:
        """Restart the service whenever it ends, until cancelled."""
        while True:
            status = await self.service.wait()
            self._changed()
            if time.monotonic() - self._started_s > RECOVERED_S:
                self._failures = 0
            await self._revive(f"{self.service.name} ended ({_in_words(status)})")

    async def _revive(self, what: str) -> None:
        while True:
            wait_s = backoff_s(self._failures)
            self._failures += 1
            self._say(f"{what}; starting it again in {wait_s:.1f} s")
            await asyncio.sleep(wait_s)
            try:
                await self.start()
            except (InfraError, OSError) as error:
                what = str(error)
                continue
            self._changed()
            self._say(f"{self.service.name} runs again")
            return


def _in_words(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"status {status}"
