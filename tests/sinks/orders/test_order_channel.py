"""From the command line's function through the real broker into the engine of a running sink, and back."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path

from clickhouse_connect.driver import Client

from infra.administration import order
from infra.kafka import EmbeddedKafka
from schemas.topics import WAREHOUSE_ORDERS
from tests.deadline import eventually
from tests.sinks.sink_process import SinkProcess


async def test_an_order_reaches_the_sink_and_is_answered_and_audited(kafka: EmbeddedKafka, tmp_path: Path) -> None:
    subject = f"nothing-{uuid.uuid4()}"
    async with SinkProcess(kafka.bootstrap, tmp_path, f"sinks-{uuid.uuid4()}") as sink:
        verdict = await order(kafka.bootstrap, subject, "test.unknown", {}, "somebody", topic=WAREHOUSE_ORDERS)
        assert (verdict["outcome"], verdict["client_id"]) == ("refused", subject)
        assert "no such order" in verdict["details"]["reason"]
        client = await sink.client()
        found = await eventually(lambda: audited(client, subject), 30, "the audit record of the order")
        assert found == [("somebody", "test.unknown", "refused")]
        ledger = await asyncio.to_thread(client.query, "SELECT action, outcome FROM warehouse_orders")
        assert ("test.unknown", "refused") in ledger.result_rows


async def audited(client: Client, subject: str) -> list[tuple[str, ...]]:
    sql = "SELECT actor, action, outcome FROM audit WHERE subject = {subject:String}"
    result = await asyncio.to_thread(client.query, sql, parameters={"subject": subject})
    return [tuple(row) for row in result.result_rows]
