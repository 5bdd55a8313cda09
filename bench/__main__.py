"""``python -m bench``: prints the figures of the design beside their bounds, all measured in this run."""

from __future__ import annotations

import asyncio
import os
import platform
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from bench import alerting, audit, edge, heartbeats, liveness, recovery, sink, visible
from bench.report import HEADER, Limit, Row
from infra.kafka import EmbeddedKafka
from infra.key_files import ensure_keys
from infra.ports import free_port
from infra.topics import create_topics

HEARTBEATS = 400_000


async def main() -> None:
    """Run every row on one embedded broker in a scratch directory."""
    print(f"Python {platform.python_version()}, {os.cpu_count()} processors, {platform.platform()}")
    print(HEADER)
    with tempfile.TemporaryDirectory(prefix="viworks-bench-") as directory:
        scratch = Path(directory)
        _print(await audit.measure(scratch))
        await _on_a_broker(scratch / "readers", _readers)
        await _on_a_broker(scratch / "recovery", _recovery)
        await _on_a_broker(scratch / "visible", _visible)
        await _on_a_broker(scratch / "edge", _edge)
        await _on_a_broker(scratch / "alerting", _alerting)


async def _on_a_broker(scratch: Path, rows: Callable[[str, Path], Awaitable[None]]) -> None:
    broker = EmbeddedKafka(scratch, free_port())
    await broker.start()
    try:
        await create_topics(broker.bootstrap, 1)
        await rows(broker.bootstrap, scratch)
    finally:
        await broker.stop()


async def _readers(bootstrap: str, scratch: Path) -> None:
    count = await heartbeats.fill(bootstrap, HEARTBEATS)
    _print(await liveness.measure(bootstrap, scratch, count))
    _print(await sink.measure(bootstrap, scratch, count))


async def _recovery(bootstrap: str, scratch: Path) -> None:
    _print(await recovery.measure(bootstrap, scratch))


async def _visible(bootstrap: str, scratch: Path) -> None:
    _print(await visible.measure(bootstrap, scratch))


async def _edge(bootstrap: str, scratch: Path) -> None:
    _print(await asyncio.to_thread(edge.measure, bootstrap, ensure_keys(scratch / "keys"), scratch))


async def _alerting(bootstrap: str, scratch: Path) -> None:
    for row in await alerting.measure(bootstrap, ensure_keys(scratch / "keys"), scratch):
        _print(row)


def _print(row: Row | Limit) -> None:
    print(row.text(), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
