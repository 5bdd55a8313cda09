"""A client is erased where everything runs: broker, registry, sink. A legal hold wins, and the audit verifies afterwards."""

from __future__ import annotations

import asyncio
import base64
import secrets
import time
import uuid
from pathlib import Path

import pytest
from clickhouse_connect.driver import Client

from infra import administration
from infra.erasure import Erasing
from infra.errors import OrderRefused
from infra.kafka import EmbeddedKafka
from schemas.topics import WAREHOUSE_ORDERS
from sinks.audit import sql_source
from sinks.audit.report import verify
from sinks.audit.signing_key import read_public_keys
from sinks.audit.timeline import Copy
from tests.deadline import eventually
from tests.processors.harness import worker_settings, working
from tests.processors.samples import registration
from tests.sinks.samples import event, heartbeat, row
from tests.sinks.sink_process import SinkProcess, produce


def named_in(client: Client, text: str) -> set[str]:
    """The tables that show the text in any column."""
    tables = client.query("SELECT name FROM system.tables WHERE database = 'viworks' AND NOT startsWith(name, '_')")
    asked = "SELECT countIf(position(toString(tuple(*)), '{}') > 0) FROM viworks.{}"
    return {name for (name,) in tables.result_rows if client.query(asked.format(text, name)).result_rows[0][0]}


async def test_nothing_names_an_erased_client(kafka: EmbeddedKafka, tmp_path: Path) -> None:
    name = f"erased-{uuid.uuid4()}"
    key = tmp_path / "audit.key"
    key.write_text(base64.b64encode(secrets.token_bytes(32)).decode())
    settings = {"audit_key_file": str(key), "audit_checkpoint_interval_s": "1"}
    async with (
        working(worker_settings(kafka.bootstrap, tmp_path / "workers")),
        SinkProcess(kafka.bootstrap, tmp_path, f"sinks-{name}", **settings) as sink,
    ):
        await produce(kafka.bootstrap, [row("registration", registration(name), 0)])
        await produce(kafka.bootstrap, [row("heartbeat", heartbeat(name), 0), row("event", event(name, "e"), 0)])
        client = await sink.client()
        for table in ("clients", "client_keys", "registrations", "heartbeats", "events", "liveness_transitions"):
            await sink.count(client, table, name, 1, within_s=30)
        await eventually(lambda: asyncio.to_thread(audited, client, name), 30, "the audit record of its registration")

        erasing = Erasing(kafka.bootstrap, client, "tester", settle_s=0.5, within_s=30)
        await order(kafka, "case-7", "hold.set", client_ids=[name], tables=[])
        with pytest.raises(OrderRefused, match="case-7"):
            await erasing.erase(name, "asked for")
        assert "clients" in await asyncio.to_thread(named_in, client, name), "a refusal changes nothing"
        await order(kafka, "case-7", "hold.release")

        done = await erasing.erase(name, f"{name} asked for it")
        assert done["deleted"]["events"] == 1
        assert done["kept"] == 0
        again = await erasing.erase(name, "")
        assert again["deleted"] == {}
        assert again["pseudonym"] != done["pseudonym"]
        assert await asyncio.to_thread(named_in, client, name) == set()
        await eventually(
            lambda: asyncio.to_thread(audited, client, done["pseudonym"], 3), 30, "its records, by its pseudonym"
        )
        await eventually(lambda: asyncio.to_thread(sound, client, sink.directory / "data"), 30, "the log verifies")


async def order(kafka: EmbeddedKafka, subject: str, action: str, **body: object) -> None:
    verdict = await administration.order(kafka.bootstrap, subject, action, body, "tester", topic=WAREHOUSE_ORDERS)
    administration.carried_out(verdict)


def audited(client: Client, subject: str, count: int = 1) -> bool:
    rows = client.query("SELECT count() FROM audit WHERE subject = {s:String}", parameters={"s": subject}).result_rows
    return bool(rows[0][0] >= count)


def sound(client: Client, data: Path) -> bool:
    copies = [Copy("table", sql_source.notes(client))]
    report = verify(
        sql_source.tables(client), copies, read_public_keys(data / "audit" / "public-keys"), time.time_ns() // 1_000_000
    )
    assert [fault.sentence for fault in report.faults if "without a checkpoint" not in fault.sentence] == []
    return report.records > 0 and not report.faults
