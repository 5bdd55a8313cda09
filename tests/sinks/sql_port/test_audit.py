"""Every query is an audit record; none of its values is; and no answer leaves without it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
import uuid
from typing import Any

import httpx2
import pytest
from aiokafka import AIOKafkaConsumer

from infra.kafka import EmbeddedKafka
from infra.ports import free_port
from schemas import codec
from schemas.topics import AUDIT
from sinks.errors import AuditUnavailable
from sinks.sql_port.audit import KafkaTrail, QueryFacts
from sinks.sql_port.tokens import Bearer
from tests.deadline import eventually
from tests.sinks.sql_port.port import Port

MARKER = "value-that-nobody-else-may-read"


async def audited(port: Port, sql: str, role: str = "analyst", **parameters: str) -> list[tuple[str, dict[str, Any]]]:
    """Outcome and details of each record of a query."""
    query_id = str(uuid.uuid4())
    async with port.http(role) as http:
        with contextlib.suppress(httpx2.RemoteProtocolError):
            await http.post("/", content=sql, params={"query_id": query_id, **parameters})
    return [(record["outcome"], json.loads(record["details"])) for record in port.trail.of(query_id)]


async def test_a_record_says_who_asked_what_of_which_table(port: Port) -> None:
    sql = f"SELECT client_id FROM viworks.events WHERE client_id IN ('{MARKER}', {{p:String}}) AND timestamp > 5 LIMIT 3"
    ((outcome, details),) = await audited(port, sql, param_p=MARKER)
    assert (outcome, details["role"], details["tables"], details["rows"], details["code"]) == (
        "answered", "analyst", ["viworks.events"], 0, 0,
    )  # fmt: skip
    assert MARKER not in str(port.trail.records)
    assert "client_id IN" in details["query"]
    assert details["elapsed_ms"] >= 0
    record = port.trail.records[-1]
    assert (record["actor"], record["action"]) == ("sql:the-analyst", "query")
    ((_, again),) = await audited(port, sql.replace("LIMIT 3", "LIMIT 8").replace(MARKER, "other"), param_p="x")
    assert again["query_hash"] == details["query_hash"]


@pytest.mark.parametrize(
    ("sql", "outcome", "code"),
    [
        ("SELECT 1", "answered", 0),
        ("SHOW TABLES", "answered", 0),
        (f"SELECT throwIf(1, '{MARKER}')", "failed", 395),
        (f"SELECT '{MARKER}' FROM viworks.audit", "refused", 497),
        (f"INSERT INTO events (client_id) VALUES ('{MARKER}')", "refused", 164),
        (f"SELEC '{MARKER}'", "failed", 62),
    ],
)
async def test_what_is_refused_or_fails_is_on_it_too(port: Port, sql: str, outcome: str, code: int) -> None:
    assert [(found, details["code"]) for found, details in await audited(port, sql)] == [(outcome, code)]
    assert MARKER not in str(port.trail.records)


async def test_a_large_answer_has_its_beginning_and_its_end(port: Port) -> None:
    (began, _), (ended, details) = await audited(port, "SELECT number FROM numbers(900000)")
    assert (began, ended, details["rows"], details["bytes"]) == ("began", "answered", 900_000, 6_188_890)
    (_, _), (ended, details) = await audited(port, "SELECT throwIf(number = 990000) FROM numbers(1000000)")
    assert (ended, details["code"]) == ("failed", 395)


@pytest.mark.parametrize("sql", ["SELECT 'data'", "SELECT 'data' FROM numbers(900000)", "SHOW TABLES"])
async def test_without_a_record_there_is_no_answer(port: Port, sql: str) -> None:
    port.trail.away = True
    async with port.http() as http:
        answer = await http.post("/", content=sql)
        assert (answer.status_code, answer.headers["x-clickhouse-exception-code"]) == (503, "209")
        assert "data" not in answer.text.replace("database", "")
        assert answer.headers["retry-after"] == "1"
        port.trail.away = False
        assert (await http.post("/", content="SELECT 1")).text == "1\n"


def facts() -> QueryFacts:
    return QueryFacts(Bearer("somebody", "analyst"), str(uuid.uuid4()), str(uuid.uuid4()))


async def on_the_topic(bootstrap: str, subjects: set[str]) -> list[dict[str, Any]]:
    """The audit records of these queries."""
    consumer = AIOKafkaConsumer(AUDIT.name, bootstrap_servers=bootstrap, auto_offset_reset="earliest", fetch_max_wait_ms=50)
    await consumer.start()
    found: dict[str, dict[str, Any]] = {}

    async def all_found() -> bool:
        for batch in (await consumer.getmany(timeout_ms=200)).values():
            records = [codec.decode_as("audit", record.value) for record in batch]
            found.update({record["subject"]: record for record in records if record["subject"] in subjects})
        return subjects == set(found)

    try:
        await eventually(all_found, 10, "audit records")
    finally:
        await consumer.stop()
    return list(found.values())


async def test_the_broker_has_it(kafka: EmbeddedKafka) -> None:
    one = facts()
    async with KafkaTrail(kafka.bootstrap, 5.0, lambda: 1_700_000_000_000) as trail:
        await trail.record(one, "answered")
        (record,) = await on_the_topic(kafka.bootstrap, {one.query_id})
    assert (record["actor"], record["action"], record["outcome"]) == ("sql:somebody", "query", "answered")
    assert record["timestamp"] == 1_700_000_000_000


async def test_a_broker_that_is_away_costs_a_bounded_wait_and_no_record(kafka: EmbeddedKafka) -> None:
    door = free_port()
    one, other = facts(), facts()
    async with KafkaTrail(f"127.0.0.1:{door}", 0.5, lambda: 1) as trail:
        began_s = time.monotonic()
        with pytest.raises(AuditUnavailable):
            await trail.record(one, "answered")
        assert time.monotonic() - began_s < 5
        trail.record_later(other, "cancelled")
        async with _forwarded(door, kafka.bootstrap):
            (record,) = await on_the_topic(kafka.bootstrap, {other.query_id})
            await eventually(lambda: not trail.waiting, 5, "nothing waits")
    assert record["outcome"] == "cancelled"


async def test_too_many_that_wait_stop_the_rest(kafka: EmbeddedKafka) -> None:
    async with KafkaTrail(f"127.0.0.1:{free_port()}", 5.0, lambda: 1, most_waiting=3) as trail:
        for _ in range(3):
            trail.record_later(facts(), "cancelled")
        began_s = time.monotonic()
        with pytest.raises(AuditUnavailable, match="too many"):
            await trail.record(facts(), "answered")
        assert time.monotonic() - began_s < 4


@contextlib.asynccontextmanager
async def _forwarded(port: int, bootstrap: str) -> Any:
    """Meanwhile the broker is there."""
    host, _, to = bootstrap.partition(":")

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection(host, int(to))
        await asyncio.gather(_copy(reader, there_writer), _copy(there_reader, writer))

    server = await asyncio.start_server(forward, "127.0.0.1", port)
    async with server:
        yield


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await source.read(65536):
            target.write(data)
    target.close()
