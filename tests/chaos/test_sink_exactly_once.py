"""Whatever befalls the sink and its broker, each record on Kafka is in its table once, and counted once in the rollups."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path

import pytest

from infra.kafka import EmbeddedKafka
from infra.ports import free_port
from infra.topics import create_topics
from tests.chaos.sink_havoc import SESSION_TIMEOUT_S, WRONG_MINUTES, SinkHavoc
from tests.deadline import eventually
from tests.figures import Tell
from tests.sinks.sink_process import SinkProcess

_SHORT = {"sink_killed": 2, "broker_killed": 1, "rebalanced": 1, "zombie": 1}
_LONG = {"sink_killed": 150, "broker_killed": 50, "rebalanced": 50, "zombie": 20}
_EVENTS = 1_000_000


@pytest.mark.parametrize(
    ("rounds", "burst"),
    [(_SHORT, 500), pytest.param(_LONG, _EVENTS // (sum(_LONG.values()) + _LONG["rebalanced"]) + 1, marks=pytest.mark.long)],
    ids=["short", "long"],
)
async def test_nothing_is_lost_or_doubled(tmp_path: Path, rounds: dict[str, int], burst: int, tell: Tell) -> None:
    group = f"sinks-{uuid.uuid4()}"
    broker = EmbeddedKafka(tmp_path / "broker", free_port())
    await broker.start()
    sink = SinkProcess(
        broker.bootstrap, tmp_path, group, sink_session_timeout_s=str(SESSION_TIMEOUT_S), sink_batch_rows="1000"
    )
    try:
        await create_topics(broker.bootstrap, 1)
        await sink.start()
        havoc = SinkHavoc(broker, sink, group, burst, seed=len(rounds) + burst)
        await havoc.run(**rounds)
        ends = await havoc.log_ends()
        analyst = await sink.client()
        stored = "SELECT sum(rows) FROM system.parts WHERE database = 'viworks' AND table = 'heartbeats' AND active"
        await eventually(lambda: _at_least(analyst, stored, sum(ends.values())), 120, "all rows are stored")
        assert await sink.stop() == 0, sink.log.read_text()
        await _check(sink, ends, havoc, tell)
    finally:
        await sink.kill()
        await broker.stop()


async def _at_least(analyst: object, sql: str, count: int) -> bool:
    return int(await asyncio.to_thread(analyst.command, sql)) >= count  # type: ignore[attr-defined]


async def _check(sink: SinkProcess, ends: dict[int, int], havoc: SinkHavoc, tell: Tell) -> None:
    assert sum(ends.values()) >= havoc.sent
    table = "viworks.heartbeats"
    offsets = f"SELECT concat(_partition, ':', uniqExact(_offset)) AS line FROM {table} GROUP BY _partition"
    lines = await sink.ask_files(f"SELECT arrayStringConcat(groupArray(line), ' ') FROM ({offsets})")
    places = dict(line.split(":") for line in lines.split())
    rows = int(await sink.ask_files(f"SELECT count() FROM {table}"))
    different = int(await sink.ask_files(f"SELECT uniqExact(_topic, _partition, _offset) FROM {table}"))
    counted = int(await sink.ask_files("SELECT sum(heartbeats) FROM viworks.heartbeat_rollups"))
    by_id = int(await sink.ask_files(f"SELECT uniqExact(client_id, timestamp) FROM {table}"))
    wrong = await sink.ask_files(WRONG_MINUTES)
    kafka = sum(ends.values())
    tell(
        f"{havoc.told}; {kafka:,} heartbeats on Kafka ({havoc.sent:,} acknowledged): {kafka - different:,} lost, "
        f"{rows - different:,} doubled by topic, partition and offset, {rows - by_id:,} by id, "
        f"{counted - rows:,} doubled in the rollups, {wrong} minutes wrong"
    )
    assert places == {str(partition): str(end) for partition, end in ends.items() if end}
    assert (rows, different, by_id, counted, int(wrong)) == (kafka, kafka, kafka, kafka, 0)
