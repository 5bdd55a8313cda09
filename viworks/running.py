"""A client's life in the background: heartbeats, deliveries, rotation and renewal, and a farewell at the end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

from viworks import drafts
from viworks.drafts import Metrics
from viworks.errors import ClientError
from viworks.machinery import Machinery
from viworks.server_clock import ClockWatch, sleep_counting_ms
from viworks.tasks import say_if_failed
from viworks.upkeep import Chores, Upkeep

log = logging.getLogger(__name__)

MetricsSource = Callable[[], Metrics]


class Running:
    """One run of a client.

    Args:
        status: what the heartbeats say.
        keeps_keys: whether a new key would outlive the process.
    """

    def __init__(
        self, client_id: str, parts: Machinery, metrics: MetricsSource, status: Callable[[], str], *, keeps_keys: bool
    ) -> None:
        self._client_id = client_id
        self._parts = parts
        self._metrics = metrics
        self._status = status
        self._jitter = parts.timing.fraction()
        chores = self._chores() if keeps_keys else {}
        self._upkeep = Upkeep(self, parts.standing, parts.timing, chores, self._watch, parts.reporting.note)
        self._task: asyncio.Task[None] | None = None

    @property
    def first_heartbeat(self) -> asyncio.Event:
        """Set once a heartbeat was accepted."""
        return self._upkeep.first

    async def run(self) -> None:
        """Until cancelled."""
        self._parts.deliver()
        await self._upkeep.run()

    def start(self) -> None:
        """The same in the background."""
        self._task = asyncio.create_task(self.run())
        self._task.add_done_callback(say_if_failed)

    async def stop(self) -> None:
        """End it without a word."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def say_offline(self) -> None:
        """Silence that was announced is no alert. Nothing where no heartbeat was accepted, or the server is away."""
        if self.first_heartbeat.is_set() and not self._parts.away:
            with contextlib.suppress(ClientError):
                await self._beat("offline")

    async def beat(self) -> int:
        """Send a heartbeat; the version of the policies that its answer named."""
        return await self._beat(self._status())

    async def fetch(self, named: int) -> None:
        """Fetch the policies of a version that was named."""
        await self._parts.policies(named)

    async def tidy(self) -> None:
        """Write down what is unsaved and what was found."""
        await self._parts.tidy()

    async def _beat(self, status: str) -> int:
        parts = self._parts
        metrics, status = self._usable(status)
        return await parts.beat(lambda: drafts.heartbeat(self._client_id, metrics, status, parts.link.clock()))

    def _usable(self, status: str) -> tuple[Metrics, str]:
        """The caller's figures and status; a fault of the caller's must not make the client count as offline."""
        try:
            metrics = self._metrics()
            drafts.heartbeat(self._client_id, metrics, status, self._parts.link.clock())
        except Exception:
            log.exception("the metrics or the status of a heartbeat cannot be used; it says error")
            return Metrics(0, 0, 0, 0), status if status in ("offline", "maintenance") else "error"
        return metrics, status

    def _chores(self) -> Chores:
        parts = self._parts
        return {
            "rotation of the key": (parts.rotation_is_due, parts.rotate),
            "renewal of the certificate": (lambda: parts.renewal_is_due(self._jitter), parts.renew),
        }

    def _watch(self) -> ClockWatch:
        return ClockWatch(self._parts.timing.wall_ms(), sleep_counting_ms())
