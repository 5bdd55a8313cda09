"""The demo fleet: simulated clients that use the client library against the edge's loopback port.

Each client keeps its key under ``<data>/demo``, so a second start continues with the same clients. ``viworks demo stop ID``
puts a marker into ``<data>/demo/stopped``; a client with a marker falls silent, as if its machine were switched off.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from infra.settings import InfraSettings
from viworks import Client, ClientError, Device, Identity, Metrics

log = logging.getLogger(__name__)

_SESSION_CHANCE = 0.05
_EVENT_CHANCE = 0.02
_WEATHER = (
    ("authentication_failure", "low", "wrong password"),
    ("connection_attempt", "info", "connection from a new network"),
    ("policy_violation", "medium", "split tunnel switched on"),
    ("certificate_error", "medium", "the node's certificate ends within a week"),
    ("system_error", "low", "the tunnel driver was restarted"),
)


def client_ids(count: int) -> list[str]:
    """The names of the demo clients."""
    return [f"demo-{number:04d}" for number in range(1, count + 1)]


def marker(data_dir: Path, client_id: str) -> Path:
    """The file whose presence silences a demo client."""
    return data_dir / "demo" / "stopped" / client_id


async def run(settings: InfraSettings, count: int, ready: Callable[[], None]) -> None:
    """Run the fleet until cancelled; ``ready`` is called once every client had its first heartbeat accepted."""
    clients = [_DemoClient(settings, client_id) for client_id in client_ids(count)]
    async with asyncio.TaskGroup() as group:
        for client in clients:
            group.create_task(client.run())
        for client in clients:
            await client.live.wait()
        ready()


class _DemoClient:
    """One simulated endpoint. Its behaviour depends on its name alone, not on the run."""

    def __init__(self, settings: InfraSettings, client_id: str) -> None:
        self.live = asyncio.Event()
        self._id = client_id
        self._marker = marker(settings.data_dir, client_id)
        self._identity = Identity.load_or_create(settings.data_dir / "demo" / f"{client_id}.key", client_id)
        self._random = random.Random(client_id)  # noqa: S311 - weather, not secrets
        self._node = f"node-{self._random.randint(1, 5):03d}"
        self._started = time.monotonic()
        self._session: tuple[str, int] | None = None
        self._client = Client(
            f"http://127.0.0.1:{settings.edge_port}",
            self._identity,
            device=Device("Linux", "6.1", f"device-{client_id}", f"hash-{client_id}"),
            node_id=self._node,
        )

    async def run(self) -> None:
        """Heartbeat for ever; whatever goes wrong is logged and tried again an interval later."""
        interval_s = 1.0
        async with self._client:
            while True:
                if self._marker.exists():
                    self.live.set()  # silent as it was told: the fleet is complete without it
                else:
                    interval_s = await self._beat(interval_s)
                await asyncio.sleep(interval_s * self._random.uniform(0.95, 1.0))

    async def _beat(self, interval_s: float) -> float:
        try:
            registration = self._client.registration or await self._client.register()
            await self._client.heartbeat(self._metrics())
            self.live.set()
            await self._live_a_little()
        except ClientError as error:
            log.warning("%s: %s", self._id, error)
            return interval_s
        return float(registration.config.heartbeat_interval)

    def _metrics(self) -> Metrics:
        cpu, memory = self._random.uniform(1, 60), self._random.uniform(20, 80)
        return Metrics(time.monotonic() - self._started, round(memory, 1), round(cpu, 1), self._random.randint(0, 4096))

    async def _live_a_little(self) -> None:
        if self._random.random() < _SESSION_CHANCE:
            await self._toggle_session()
        if self._random.random() < _EVENT_CHANCE:
            kind, severity, text = self._random.choice(_WEATHER)
            await self._client.report_event(kind, severity, text, source_ip=self._address(), error_code="DEMO")

    async def _toggle_session(self) -> None:
        now_ms = time.time_ns() // 1_000_000
        session, self._session = self._session, None
        if session is None:
            session = self._session = (str(uuid.uuid4()), now_ms)
        session_id, start_ms = session
        await self._client.report_session(
            session_id,
            "vpn_connection",
            "active" if self._session else "disconnected",
            start_time=start_ms,
            end_time=None if self._session else now_ms,
            node_id=self._node,
            client_ip=self._address(),
            internal_ip="10.8.0.7",
            user_agent="ViWorkS-demo/1.0.0",
        )

    def _address(self) -> str:
        return f"198.51.100.{self._random.randint(1, 254)}"
