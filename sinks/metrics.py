"""The sink's metrics, all of them, in one list. ``docs/operations.md`` has the same list, and a test compares the two."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

from prometheus_client import Counter, Gauge, Histogram, start_http_server

LAG_RECORDS = Gauge("viworks_sink_lag_records", "Records on Kafka that are not in the table yet.", ["table"])
"""Of the partitions that this process has: add up over all sinks."""

LAG_SECONDS = Gauge("viworks_sink_lag_seconds", "How long ago the oldest such record was produced.", ["table"])
"""0 where there is none in memory. By the record's own timestamp, so a topic with old records begins high."""

WAITING_BYTES = Gauge("viworks_sink_waiting_bytes", "Memory of records that wait for their insert.", ["table"])
"""Near ``VIWORKS_SINK_BUFFER_BYTES`` the table's partitions are paused."""

PAUSED = Gauge("viworks_sink_paused", "1 while the table's partitions are paused.", ["table"])
"""ClickHouse takes the table's rows more slowly than they come, or not at all."""

RECORDS = Counter("viworks_sink_records", "Records done: in the table, passed over, or dead letters.", ["table"])
"""Control records are among them. A batch that is given again after a crash counts again."""

DEAD_LETTERS = Counter("viworks_sink_dead_letters", "Records that the table does not take.", ["table", "reason"])
"""By the error's class; each is on ``viworks.dlq.v1``."""

RETRIES = Counter("viworks_sink_retries", "Attempts that failed for a reason outside the records.", ["table", "reason"])
"""``EngineUnavailable``, ``Fenced`` or ``DeadLetterUndelivered``; the batch is tried again without end."""

INSERT_SECONDS = Histogram(
    "viworks_sink_insert_seconds",
    "Time to write a batch, retries and dead letters included.",
    ["table"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
"""Its count is the number of batches."""

PARTITIONS = Gauge("viworks_sink_partitions", "Partitions that this process has.")
"""Over all sinks of a group they add up to the partitions of all topics."""

REBALANCES = Counter("viworks_sink_rebalances", "Times that partitions were given to this process.")
"""Rising steadily: processes come and go, or one does not answer within the session timeout."""


def tell_lag(table: str, records: int, oldest_ms: int | None) -> None:
    """Set what a table's lag is: in records, and by the timestamp of the oldest of them in memory."""
    LAG_RECORDS.labels(table).set(records)
    LAG_SECONDS.labels(table).set(max(0.0, time.time() - oldest_ms / 1000) if records and oldest_ms is not None else 0.0)


@contextlib.contextmanager
def served(host: str, port: int) -> Iterator[None]:
    """Serve them at ``http://host:port/metrics`` meanwhile; not at all for port 0. Raises OSError for a port in use."""
    if not port:
        yield
        return
    server, thread = start_http_server(port, host)
    try:
        yield
    finally:
        _end(server, thread)


def _end(server: object, thread: threading.Thread) -> None:
    for call in ("shutdown", "server_close"):
        getattr(server, call)()
    thread.join()
