"""A table is rebuilt from Kafka while the sink runs; what it cannot rebuild it leaves as it was."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path

import msgspec
import pytest
from aiokafka import AIOKafkaProducer

from infra.kafka import EmbeddedKafka
from sinks.errors import ReplayFailed
from sinks.replay import PREFIX, Order, Outcome, order_path, outcome_path, rebuild
from tests.deadline import eventually
from tests.sinks.samples import Row, event, heartbeat, now_ms, rejection, row
from tests.sinks.sink_process import SinkProcess, produce
from tests.sinks.warehouse import Warehouse


def spans_of(rows: list[object]) -> dict[int, tuple[int, int]]:
    found: dict[int, tuple[int, int]] = {}
    for each in rows:
        low, high = found.get(each.partition, (each.offset, each.offset + 1))  # type: ignore[attr-defined]
        found[each.partition] = (min(low, each.offset), max(high, each.offset + 1))  # type: ignore[attr-defined]
    return found


async def test_rows_come_back_and_no_neighbour_changes(kafka: EmbeddedKafka, warehouse: Warehouse) -> None:
    name, other = f"replay-{uuid.uuid4()}", f"replay-other-{uuid.uuid4()}"
    sent = [rejection(f"{name}-{n}", client_id=name, count=n) for n in range(60)]
    rows = await produce(kafka.bootstrap, [row("rejection", each, 0) for each in sent])
    warehouse.fill("rejections", "rejection", rejection(other, client_id=other))
    assert not warehouse.write("rejections", rows)
    warehouse.session.command(f"DELETE FROM viworks.rejections WHERE client_id = '{name}' AND count BETWEEN 10 AND 19")
    forged = f"UPDATE status = 999 WHERE client_id = '{name}' AND count < 5 SETTINGS mutations_sync = 1"
    warehouse.session.command(f"ALTER TABLE viworks.rejections {forged}")
    order = Order(uuid.uuid4().hex, "rejections", spans_of(list(rows)))
    outcome = await rebuild(warehouse.engine, warehouse.session, kafka.bootstrap, order)
    assert (outcome.rows, outcome.rows_before, outcome.refused, outcome.fault) == (60, 50, 0, "")
    counted = (
        f"SELECT client_id, count() FROM viworks.rejections WHERE client_id IN ('{name}', '{other}') GROUP BY client_id"
    )
    assert dict(warehouse.session.rows(counted)) == {name: 60, other: 1}
    spoilt = f"SELECT count() FROM viworks.rejections WHERE client_id = '{name}' AND status = 999"
    assert warehouse.session.rows(spoilt)[0][0] == 0
    about = "SELECT name, comment FROM system.tables WHERE name IN ('rejections', '_replay_rejections')"
    ((table, comment),) = warehouse.session.rows(about)
    assert (table, comment[:20]) == ("rejections", "Requests that an edg")


async def test_views_are_fed_after_a_swap(kafka: EmbeddedKafka, warehouse: Warehouse) -> None:
    name = f"replay-fed-{uuid.uuid4()}"
    beats = [row("heartbeat", heartbeat(name, timestamp=now_ms() + n), 0) for n in range(5)]
    rows = await produce(kafka.bootstrap, beats)
    assert not warehouse.write("heartbeats", rows)
    order = Order(uuid.uuid4().hex, "heartbeats", spans_of(list(rows)))
    assert (await rebuild(warehouse.engine, warehouse.session, kafka.bootstrap, order)).rows == 5
    counted = f"SELECT sum(heartbeats) FROM viworks.heartbeat_rollups WHERE client_id = '{name}'"
    assert warehouse.session.rows(counted)[0][0] == 5
    warehouse.fill("heartbeats", "heartbeat", heartbeat(name, timestamp=now_ms() + 10))
    assert warehouse.session.rows(counted)[0][0] == 6


async def test_the_end_of_the_log_is_no_silence(kafka: EmbeddedKafka, warehouse: Warehouse) -> None:
    """What Kafka cannot have is not waited for: neither records after its newest, nor a marker, which no consumer brings."""
    name = f"replay-end-{uuid.uuid4()}"
    rows = await produce(kafka.bootstrap, [row("rejection", rejection(f"{name}-{n}", client_id=name), 0) for n in range(3)])
    assert not warehouse.write("rejections", rows)
    at = rows[-1]
    marked = await produce_in_a_transaction(kafka.bootstrap, at)
    for first, end in ((at.offset, marked + 1_000_000), (marked, marked + 2), (marked + 1_000, marked + 2_000)):
        order = Order(uuid.uuid4().hex, "rejections", {at.partition: (first, end)})
        with pytest.raises(ReplayFailed, match="every record"):
            await rebuild(warehouse.engine, warehouse.session, kafka.bootstrap, order)
    counted = f"SELECT count() FROM viworks.rejections WHERE client_id = '{name}'"
    assert warehouse.session.rows(counted)[0][0] == 3


async def produce_in_a_transaction(bootstrap: str, like: Row) -> int:
    """Put a copy of the record behind it; its offset, which the transaction's marker follows."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=uuid.uuid4().hex)
    await producer.start()
    try:
        async with producer.transaction():
            placed = await producer.send_and_wait(like.topic, like.value, key=like.key, partition=like.partition)
        return int(placed.offset)
    finally:
        await producer.stop()


async def test_what_kafka_does_not_have_any_more_changes_nothing(kafka: EmbeddedKafka, tmp_path: Path) -> None:
    """Through the running sink, as the command does it; then an order that can be carried out."""
    name = f"replay-sink-{uuid.uuid4()}"
    async with SinkProcess(kafka.bootstrap, tmp_path, f"sinks-{uuid.uuid4()}") as sink:
        rows = await produce(kafka.bootstrap, [row("event", event(name, f"e{n}"), 0) for n in range(30)])
        analyst = await sink.client()
        await sink.count(analyst, "events", name, 30, within_s=60)
        spans = spans_of(list(rows))
        beyond = {number: (first, end + 1_000_000) for number, (first, end) in spans.items()}
        refused = await carried_out(tmp_path / "data", Order("beyond", "events", beyond), within_s=60)
        assert refused.fault.startswith("ReplayFailed")
        left = f"SELECT count() FROM system.tables WHERE startsWith(name, '{PREFIX}')"
        assert await asyncio.to_thread(analyst.command, left) == 0
        compacted = await carried_out(tmp_path / "data", Order("compacted", "clients", spans), within_s=30)
        assert "compacted" in compacted.fault
        audit = await carried_out(tmp_path / "data", Order("audit", "audit_log", spans), within_s=30)
        assert "never" in audit.fault
        outcome = await carried_out(tmp_path / "data", Order("good", "events", spans), within_s=30)
        assert (outcome.fault, outcome.rows, outcome.rows_before) == (
            "",
            sum(e - f for f, e in spans.values()),
            outcome.rows,
        )
        more = await produce(kafka.bootstrap, [row("event", event(name, f"more{n}"), 0) for n in range(5)])
        assert await sink.count(analyst, "events", name, 35, within_s=60) == 30 + len(more)
        assert await sink.stop() == 0
    assert await sink.ask_files(left) == "0"


async def carried_out(data_dir: Path, order: Order, within_s: float) -> Outcome:
    new = order_path(data_dir).with_suffix(".tmp")
    new.write_bytes(msgspec.json.encode(order))
    await asyncio.to_thread(new.replace, order_path(data_dir))
    await eventually(lambda: not order_path(data_dir).exists(), within_s, "the order was carried out")
    outcome = msgspec.json.decode(outcome_path(data_dir).read_bytes(), type=Outcome)
    assert outcome.order_id == order.order_id
    return outcome
