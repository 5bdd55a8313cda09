"""Row ``live``: a fleet that beats every 30 s against everything, on this machine's processors, the fleet's own included.

``python -m bench live --clients 100000 --seconds 300``: nobody may be taken for offline, the parts may not lag by more than
two seconds, and all processes together, the simulator too, may take 4 GB.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from bench.live_lag import Lag, analyst
from bench.measured import Measured
from bench.report import Limit, Row
from infra.ports import free_port
from ingest.tokens import TokenKeys

INTERVAL_S = 30
LAG_LIMIT_MS, MEMORY_LIMIT_GB = 2_000.0, 4.0
_PORTS = ("EDGE_PORT", "EDGE_TLS_PORT", "SQL_PORT", "CONSOLE_PORT", "KAFKA_PORT", "METRICS_PORT")
_START_S = 120.0
_PAGE, _TICKS_PER_S = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_CLK_TCK")


class Use(NamedTuple):
    """Processor seconds by part, and the most memory of all together (bytes)."""

    cpu_s: dict[str, float]
    memory: int


async def measure(scratch: Path, clients: int, seconds: float) -> list[Row | Limit]:
    """Start everything, beat, and look on. Linux only: what processes take is read from ``/proc``."""
    environment = {f"VIWORKS_{name}": str(free_port()) for name in _PORTS}
    # The whole fleet comes from one address here.
    environment |= {"VIWORKS_ADDRESS_RATE_PER_S": "100000", "VIWORKS_HEARTBEAT_INTERVAL_S": str(INTERVAL_S)}
    with _running(scratch, environment) as run:
        lag, edge_port = Lag(), int(environment["VIWORKS_EDGE_PORT"])
        token_keys = scratch / "data" / "secrets" / "token-keys.json"
        sql = await asyncio.to_thread(analyst, int(environment["VIWORKS_SQL_PORT"]), Path(run["sql_token_file"]))
        watching = asyncio.create_task(lag.watch(run["kafka"], edge_port, TokenKeys.from_file(token_keys), sql))
        command = ["-m", "bench.live_clients", str(edge_port), str(token_keys), str(clients), str(INTERVAL_S), str(seconds)]
        fleet, use = await _fleet(command, run["pids"], watching)
        # What is decided late is decided by then.
        await asyncio.sleep(2)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    return list(_rows(clients, seconds, fleet, lag, use))


@contextmanager
def _running(scratch: Path, environment: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """``viworks up``; what it says of itself once all is ready."""
    data = scratch / "data"
    with Measured(["-m", "infra", "up", "--data", str(data)], environment, scratch / "up.log") as process:
        deadline_s = time.monotonic() + _START_S
        while not (data / "run.json").exists():
            if not process.alive or time.monotonic() > deadline_s:
                raise RuntimeError(f"viworks up is not ready: {(scratch / 'up.log').read_text()[-2_000:]}")
            time.sleep(0.1)
        yield json.loads((data / "run.json").read_text())


async def _fleet(command: list[str], pids: Mapping[str, Any], watching: asyncio.Task[None]) -> tuple[dict[str, Any], Use]:
    """Run the fleet to its end, and look at all processes every two seconds."""
    process = await asyncio.create_subprocess_exec(sys.executable, *command, stdout=asyncio.subprocess.PIPE)
    everybody = {"fleet": [process.pid], **{name: _listed(value) for name, value in pids.items()}}
    output = asyncio.ensure_future(process.communicate())
    before, cpu_s, most = _cpu_s(everybody), dict[str, float](), 0
    while not output.done():
        await asyncio.wait([output], timeout=2.0)
        if watching.done():
            process.terminate()
            watching.result()
        if not output.done():
            most = max(most, sum(_resident(pid) for part in everybody.values() for pid in part))
            cpu_s = {name: total - before[name] for name, total in _cpu_s(everybody).items()}
    if process.returncode:
        raise RuntimeError(f"the fleet ended with {process.returncode}")
    report: dict[str, Any] = json.loads((await output)[0])
    return report, Use(cpu_s, most)


def _listed(value: Any) -> list[int]:
    return [pid for pid in (value if isinstance(value, list) else [value]) if pid]


def _cpu_s(everybody: Mapping[str, list[int]]) -> dict[str, float]:
    return {name: sum(map(_cpu_of, part)) for name, part in everybody.items()}


def _cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def _resident(pid: int) -> int:
    """Shared pages count for each process that has them, so the sum is rather too high."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE


def _rows(clients: int, seconds: float, fleet: dict[str, Any], lag: Lag, use: Use) -> Iterator[Row | Limit]:
    beats, refused = fleet["sent"]["heartbeat"], sum(verdict["count"] for verdict in fleet["verdicts"])
    false = len(set(lag.offline))
    latency = fleet["latency_ms"]["heartbeat"]
    note = (
        f"{seconds:,.0f} s at {INTERVAL_S} s, {beats:,} heartbeats, {refused:,} not accepted, {false} taken for offline; "
        f"from when they were due p50 {latency['p50']:,.0f} ms, p99 {latency['p99']:,.0f} ms, "
        f"of which by the fleet itself {fleet['lateness_ms']['p99']:,.0f} ms"
    )
    yield Row(f"live clients on {os.cpu_count()} processors", clients - false - refused, clients, 1.0, note)
    lags = {"processors": [*lag.processors_ms, *lag.unanswered], "sink": lag.sink_ms}
    note = ", ".join(
        f"{name} median {_middle(found):,.0f} ms, most {max(found, default=0):,.0f} ms" for name, found in lags.items()
    )
    worst = max((max(found) for found in lags.values() if found), default=float("inf"))
    yield Limit("lag behind the edge", worst, LAG_LIMIT_MS, "ms", note)
    total_s = seconds + INTERVAL_S
    note = ", ".join(f"{name} {used / total_s:.2f}" for name, used in use.cpu_s.items())
    own = fleet["cpu"]["us_per_request"]
    yield Limit(
        "memory of all processes",
        use.memory / 1e9,
        MEMORY_LIMIT_GB,
        "GB",
        f"processors: {note}; the fleet {own:.0f} us a request",
    )


def _middle(values: list[float]) -> float:
    return sorted(values)[len(values) // 2] if values else 0.0
