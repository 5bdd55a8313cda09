"""``python -m bench``: prints the figures of the design beside their bounds, all measured in this run.

``python -m bench live --clients N --seconds S`` runs the row of the live fleet alone; by default, and in the whole, 100,000
clients for five minutes. ``--without-live`` leaves it out of the whole, which then takes half of the time. ``python -m bench
sink`` and ``python -m bench visible`` run one of the sink's rows alone.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from bench import alerting, audit, edge, heartbeats, live, liveness, recovery, sink, visible
from bench.report import HEADER, Limit, Row
from infra.kafka import EmbeddedKafka
from infra.key_files import ensure_keys
from infra.ports import free_port
from infra.topics import create_topics

HEARTBEATS = 400_000
# For the sink, which takes a quarter of those by one insert.
MORE_HEARTBEATS = 400_000

LIVE_CLIENTS, LIVE_S = 100_000, 300.0


async def main(only: str | None, clients: int, seconds: float) -> None:
    """Run every row, or one alone, each group on an embedded broker of its own in a scratch directory."""
    print(f"Python {platform.python_version()}, {os.cpu_count()} processors, {platform.platform()}")
    print(HEADER)
    with tempfile.TemporaryDirectory(prefix="viworks-bench-") as directory:
        scratch = Path(directory)
        if only in _ALONE:
            await _on_a_broker(scratch / only, _ALONE[only])
            return
        if only is None:
            await _rows(scratch)
        if clients:
            await _live(scratch / "live", clients, seconds)


async def _rows(scratch: Path) -> None:
    _print(await audit.measure(scratch))
    await _on_a_broker(scratch / "readers", _readers)
    await _on_a_broker(scratch / "recovery", _recovery)
    await _on_a_broker(scratch / "visible", _visible)
    await _on_a_broker(scratch / "edge", _edge)
    await _on_a_broker(scratch / "alerting", _alerting)


async def _live(scratch: Path, clients: int, seconds: float) -> None:
    await asyncio.to_thread(scratch.mkdir)
    for row in await live.measure(scratch, clients, seconds):
        _print(row)


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
    count += await heartbeats.fill(bootstrap, MORE_HEARTBEATS)
    _print(await sink.measure(bootstrap, scratch, count))


async def _sink(bootstrap: str, scratch: Path) -> None:
    count = await heartbeats.fill(bootstrap, HEARTBEATS + MORE_HEARTBEATS)
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


_ALONE = {"sink": _sink, "visible": _visible}


def _print(row: Row | Limit) -> None:
    print(row.text(), flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("row", nargs="?", choices=["live", *_ALONE], help="this row alone")
    parser.add_argument("--clients", type=int, default=LIVE_CLIENTS)
    parser.add_argument("--seconds", type=float, default=LIVE_S)
    parser.add_argument("--without-live", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    given = _arguments()
    asyncio.run(main(given.row, 0 if given.without_live else given.clients, given.seconds))
