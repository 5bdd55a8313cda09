"""Clients with a spool against the fake server, on a clock and a chance of the test's own."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.viworks.fake_server import FakeServer
from tests.viworks.spools import box
from viworks import Bounds, Client, Device, Identity, KeyStore, Metrics, Spool, Timing

DEVICE = Device("Linux", "6.1", "device-7", "hash-7")
METRICS = Metrics(uptime=12, memory_usage=41.0, cpu_usage=3.5, network_activity=80)
NOW_MS = 1_800_000_000_000


@dataclass
class Clock:
    """Sleeping moves it on at once; ``naps`` are the waits in seconds."""

    wall_ms: int = NOW_MS
    steady_ms: int = 0
    naps: list[float] = field(default_factory=list)

    def timing(self, fraction: float = 0.5) -> Timing:
        return Timing(
            monotonic_ms=lambda: self.steady_ms, wall_ms=lambda: self.wall_ms, sleep=self.sleep, fraction=lambda: fraction
        )

    async def sleep(self, wait_s: float) -> None:
        self.naps.append(wait_s)
        self.wall_ms += int(wait_s * 1000)
        self.steady_ms += int(wait_s * 1000)
        await asyncio.sleep(0)


def store() -> KeyStore:
    return KeyStore.in_memory(Identity("c-1", b"s" * 32))


def client_at(directory: Path, server: FakeServer, clock: Clock | None = None, **settings: Any) -> Client:
    """A client whose spool lies in the directory; its keys are ``keys``, or new ones in memory."""
    bounds = settings.pop("bounds", Bounds())
    keys = settings.pop("keys", None) or store()
    timing = (clock or Clock()).timing()
    spool = Spool(directory, box(), bounds)
    return Client("http://127.0.0.1:1", keys, device=DEVICE, transport=server, spool=spool, timing=timing, **settings)


def told(server: FakeServer) -> list[str]:
    """What kinds of findings the server has, in the order of their arrival."""
    codes = (message["details"].get("error_code", "") for message in server.stored.values() if "details" in message)
    return [code for code in codes if code]
