"""Row 3: rows per second from Kafka into ClickHouse, exactly once, against row-wise inserts of the same rows.

The bound decodes the same Kafka values and inserts them by rows, see ``bench.row_insert``. Both feed the same views.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from bench.measured import Measured, output_of, wait_for_port
from bench.report import Row
from infra.key_files import ensure_keys
from infra.ports import free_port
from infra.sql_tokens import local_token

ROUNDS = 3
POLL_S = 0.05
# The parts' own counts: a query over the rows would take processor time from the sink that is being measured.
_STORED = "SELECT sum(rows) FROM system.parts WHERE database = 'viworks' AND table = 'heartbeats' AND active"


async def measure(bootstrap: str, scratch: Path, count: int) -> Row:
    """Interleaved rounds of row-wise inserts and the sink; medians. The topic must hold ``count`` records of ``fill``."""
    by_rows, inserts, sink = [], [], []
    for number in range(ROUNDS):
        whole, insert = await asyncio.to_thread(_by_rows, bootstrap, scratch / f"rows-{number}", count)
        by_rows.append(whole)
        inserts.append(insert)
        sink.append(await asyncio.to_thread(_sink, bootstrap, scratch / f"sink-{number}", count))
    note = f"by rows {_all(by_rows)}/s, of which the insert alone {_all(inserts)}/s; sink {_all(sink)}/s"
    return Row("sink: rows/s Kafka to ClickHouse", median(sink), median(by_rows), 4.0, note)


def _all(rates: Sequence[float]) -> str:
    return ", ".join(f"{rate:,.0f}" for rate in rates)


def _by_rows(bootstrap: str, data_dir: Path, count: int) -> tuple[float, float]:
    keys = ensure_keys(data_dir)
    printed = output_of(["-m", "bench.row_insert", str(data_dir), str(keys.storage_key), bootstrap, str(count)])
    whole, insert = map(float, printed.split())
    return whole, insert


def _sink(bootstrap: str, data_dir: Path, count: int) -> float:
    keys, port = ensure_keys(data_dir), free_port()
    environment = {
        **keys.environment(),
        "VIWORKS_KAFKA": bootstrap,
        "VIWORKS_DATA_DIR": str(data_dir),
        "VIWORKS_SINK_GROUP": f"bench-{data_dir.name}",
        "VIWORKS_SQL_PORT": str(port),
        "VIWORKS_CLICKHOUSE": "",
    }
    with Measured(["-m", "infra", "run", "sink"], environment, data_dir.with_suffix(".log")) as process:
        wait_for_port(port, process)
        return _rate(_connect(port, data_dir), process, count)


def _connect(port: int, data_dir: Path) -> Client:
    token = local_token(data_dir, "admin")
    return clickhouse_connect.get_client(host="127.0.0.1", port=port, username="bench", password=token)


def _rate(client: Client, process: Measured, count: int, within_s: float = 120.0) -> float:
    """Rows per second between the first rows that are seen and the last one."""
    first: tuple[float, int] | None = None
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline and process.alive:
        rows = _count(client)
        if rows and first is None:
            first = (time.perf_counter(), rows)
        if rows == count and first is not None:
            if rows == first[1]:
                raise RuntimeError("all rows came at once: measure with more of them")
            return (rows - first[1]) / (time.perf_counter() - first[0])
        time.sleep(POLL_S)
    raise RuntimeError("the sink did not store every row")


def _count(client: Client) -> int:
    try:
        return int(client.query(_STORED).result_rows[0][0])
    except ClickHouseError:
        return 0
