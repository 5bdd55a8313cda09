"""The bound of the sink: clickhouse-connect's row-wise insert of the same rows into the same table.

``python -m bench.row_insert DATA_DIR KEY_FILE COUNT`` prints the rows per second; making the rows does not count.
"""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import clickhouse_connect

from bench.heartbeats import CLIENTS, record
from schemas.topics import HEARTBEATS
from sinks.engine import EmbeddedEngine, open_engine
from sinks.migrate import migrate
from sinks.settings import SinkSettings

BATCH_ROWS = 50_000


def run(data_dir: Path, key_file: Path, count: int) -> float:
    """Rows per second into a fresh embedded engine."""
    engine = open_engine(SinkSettings(data_dir=data_dir, storage_key_file=key_file))
    if not isinstance(engine, EmbeddedEngine):
        raise TypeError("the bound is measured on the embedded engine")
    session = engine.session()
    list(migrate(session))
    names = ["_topic", "_partition", "_offset", *record("x", 0)]
    now = datetime.now(UTC)
    client = clickhouse_connect.get_client(dsn="chdb://", path=engine.connection_string)
    took = 0.0
    for start in range(0, count, BATCH_ROWS):
        rows = [_row(number, now) for number in range(start, min(start + BATCH_ROWS, count))]
        started = time.perf_counter()
        client.insert("viworks.heartbeats", rows, column_names=names)
        took += time.perf_counter() - started
    client.close()
    session.close()
    engine.close()
    return count / took


def _row(number: int, now: datetime) -> list[object]:
    values = record(f"bench-{number % CLIENTS:06d}", 0) | {"timestamp": now, "received_at": now}
    return [HEARTBEATS.name, number % HEARTBEATS.partitions, number, *values.values()]


if __name__ == "__main__":
    print(run(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])))
