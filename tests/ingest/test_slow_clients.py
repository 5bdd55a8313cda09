"""A thousand connections that send next to nothing neither slow a good client down nor fill the memory."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from bench.measured import Measured, wait_for_port
from infra.key_files import KeyFiles
from infra.ports import free_port
from tests.figures import Tell
from tests.ingest.raw_http import connection
from tests.ingest.signed_beats import SignedBeats

EVERY_S = 0.02
BASELINE_S = 7.5
LONGEST_LIFE_S = 12.0
MORE_MIB = 64


class Figures(NamedTuple):
    connections: int
    ended: int
    longest_life_s: float
    open_at_end: int
    baseline_p99_ms: float
    p99_ms: float
    more_mib: float


async def test_two_hundred_slow_connections(bootstrap: str, key_files: KeyFiles, tmp_path: Path, tell: Tell) -> None:
    await prove(bootstrap, key_files, tmp_path, tell, 200, 15.0)


@pytest.mark.long
async def test_a_thousand_for_a_minute(bootstrap: str, key_files: KeyFiles, tmp_path: Path, tell: Tell) -> None:
    await prove(bootstrap, key_files, tmp_path, tell, 1000, 60.0)


async def prove(bootstrap: str, files: KeyFiles, scratch: Path, tell: Tell, count: int, seconds: float) -> None:
    figures = await measure(bootstrap, files, scratch, count, seconds)
    tell(str(figures))
    assert figures.ended >= count * int(seconds / LONGEST_LIFE_S)
    assert figures.longest_life_s <= LONGEST_LIFE_S
    assert figures.open_at_end >= count * 0.9
    assert figures.more_mib <= MORE_MIB
    assert figures.p99_ms <= 2 * figures.baseline_p99_ms


async def measure(bootstrap: str, files: KeyFiles, scratch: Path, count: int, seconds: float) -> Figures:
    port = free_port()
    environment = {
        **files.environment(),
        "VIWORKS_KAFKA": bootstrap,
        "VIWORKS_EDGE_PORT": str(port),
        "VIWORKS_METRICS_PORT": str(free_port()),
        # One client sends more than a client may, to have enough latencies for a percentile.
        "VIWORKS_CLIENT_RATE_PER_S": "1000",
    }
    beats = SignedBeats(files, "t-good")
    with Measured(["-m", "infra", "run", "edge"], environment, scratch / "edge.log") as edge:
        await asyncio.to_thread(wait_for_port, port, edge)
        whole = scratch / "request"
        whole.write_bytes(SignedBeats(files, "t-slow").request())
        process = await slow_clients(port, count, seconds, whole)
        await beat_until(port, beats, lambda: asyncio.sleep(1.0))
        before, _ = await beat_until(port, beats, lambda: asyncio.sleep(BASELINE_S))
        before_mib = edge.rss_bytes() / 2**20
        latencies, slow = await beat_until(port, beats, lambda: outcome(process))
        more_mib = edge.rss_bytes() / 2**20 - before_mib
        # Before and after: what else the machine does comes and goes.
        after, _ = await beat_until(port, beats, lambda: asyncio.sleep(BASELINE_S))
    lives = slow["lives_s"]
    return Figures(count, len(lives), max(lives), slow["open"], p99_ms(before + after), p99_ms(latencies), more_mib)


async def slow_clients(port: int, count: int, seconds: float, request: Path) -> asyncio.subprocess.Process:
    """A process that waits to be told to begin: its start is not what slows the good client down."""
    args = ["-m", "tests.ingest.slow_clients", str(port), str(count), str(seconds), str(request)]
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(sys.executable, *args, stdin=pipe, stdout=pipe)


async def outcome(process: asyncio.subprocess.Process) -> dict[str, Any]:
    output, _ = await process.communicate(b"begin\n")
    assert process.returncode == 0
    found: dict[str, Any] = json.loads(output)
    return found


async def beat_until(port: int, beats: SignedBeats, wait: Callable[[], Awaitable[Any]]) -> tuple[list[float], Any]:
    """Send heartbeats on one connection while ``wait`` waits. Returns their latencies (s) and its result."""
    latencies: list[float] = []
    waiting = asyncio.ensure_future(wait())
    async with connection(port) as raw:
        while not waiting.done():
            began = time.perf_counter()
            await raw.send(beats.request())
            statuses = [answer.status for answer in await raw.answers(1)]
            latencies.append(time.perf_counter() - began)
            assert statuses == [202]
            await asyncio.sleep(max(0.0, EVERY_S - latencies[-1]))
    return latencies, await waiting


def p99_ms(latencies: list[float]) -> float:
    return sorted(latencies)[len(latencies) * 99 // 100] * 1000
