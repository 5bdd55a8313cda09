"""The sink's metrics are documented, and say how far it is behind."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import re
import time
import urllib.request
import uuid
from pathlib import Path
from typing import Any

from prometheus_client import REGISTRY
from prometheus_client.metrics import MetricWrapperBase

from infra.kafka import EmbeddedKafka
from infra.ports import free_port
from sinks import metrics
from sinks.consumer import SinkConsumer
from sinks.lane import Lane
from sinks.settings import SinkSettings
from sinks.tables import TABLES
from tests.deadline import eventually
from tests.sinks.samples import row, session
from tests.sinks.sink_process import produce
from tests.sinks.test_lane import Table

OPERATIONS = Path(__file__).parents[2] / "docs/operations.md"
DECLARED = {name: metric for name, metric in vars(metrics).items() if isinstance(metric, MetricWrapperBase)}


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_the_documentation_has_each_metric_and_no_other() -> None:
    rows = []
    for metric in DECLARED.values():
        described = metric.describe()[0]
        name = described.name + ("_total" if described.type == "counter" else "")
        labels = ", ".join(metric._labelnames)
        rows.append(f"| `{name}` | {described.type} | {labels} | {described.documentation.rstrip('.')} |")
    assert [line for line in OPERATIONS.read_text().splitlines() if line.startswith("| `viworks_sink_")] == rows


def test_each_metric_has_its_comment() -> None:
    source = inspect.getsource(metrics)
    for name in DECLARED:
        assert re.search(rf'^{name} = .*?\)\n"""', source, re.DOTALL | re.MULTILINE), name


async def test_the_port_serves_them_while_it_is_open() -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/metrics"
    with metrics.served("127.0.0.1", port):
        assert b"viworks_sink_partitions" in await asyncio.to_thread(_body, url)
    with contextlib.suppress(OSError):
        await asyncio.to_thread(_body, url)
        raise AssertionError("still open")


def _body(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return bytes(answer.read())


async def test_lag_rises_while_a_table_takes_nothing_and_ends_when_it_does(kafka: EmbeddedKafka) -> None:
    async def undelivered(refused: Any) -> None:
        raise AssertionError("nothing was to be refused")

    table = Table()
    table.open.clear()
    settings = SinkSettings(kafka=kafka.bootstrap, sink_group=f"lag-{uuid.uuid4()}", sink_metrics_port=1, sink_linger_ms=1)
    sessions = next(each for each in TABLES if each.name == "sessions")
    async with SinkConsumer(settings, [Lane(sessions, table, undelivered, settings)]) as consumer:
        running = asyncio.create_task(consumer.run())
        try:
            await produce(kafka.bootstrap, [row("session", session(f"lag-{number}", "s"), 0) for number in range(50)])
            produced_s = time.monotonic()
            await eventually(lambda: value("viworks_sink_lag_records", table="sessions") >= 50, 20)
            await eventually(lambda: value("viworks_sink_lag_seconds", table="sessions") > 0, 20)
            assert value("viworks_sink_waiting_bytes", table="sessions") >= 0
            table.open.set()
            await eventually(lambda: value("viworks_sink_lag_records", table="sessions") == 0, 20)
            await eventually(lambda: value("viworks_sink_lag_seconds", table="sessions") == 0, 20)
            assert value("viworks_sink_records_total", table="sessions") >= 50
            assert value("viworks_sink_partitions") == 8
            assert time.monotonic() - produced_s < 60
        finally:
            table.open.set()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
