"""Two sinks that both believe to have a partition of a server: whatever is late, each row is written once."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from schemas.registry import latest_schema
from sinks.claims import Claims
from sinks.columns import Columns, plain
from sinks.container import container, fields_of
from sinks.engine import Reading, ServerEngine, Session
from sinks.errors import EngineUnavailable, Fenced
from sinks.log_ends import not_asked
from sinks.tables import TABLES
from sinks.writer import TableWriter
from tests.sinks.http_engine import served
from tests.sinks.samples import Row, client, event, heartbeat, liveness, row
from tests.sinks.samples import session as session_report
from tests.sinks.warehouse import Warehouse

EVENTS = next(table for table in TABLES if table.name == "events")
EVENT = latest_schema("event").id
SAMPLES = {
    "heartbeats": heartbeat("claims"),
    "sessions": session_report("claims", "s1"),
    "events": event("claims", "e1"),
    "liveness_transitions": liveness("claims", "online"),
    "clients": client("claims"),
}


@pytest.fixture(scope="module")
def server(warehouse: Warehouse) -> Iterator[ServerEngine]:
    with served(warehouse.engine) as dsn:
        yield ServerEngine(dsn)


@pytest.fixture
def session(server: ServerEngine) -> Iterator[Session]:
    opened = server.session()
    yield opened
    opened.close()


def writer(server: ServerEngine) -> TableWriter:
    return TableWriter(server, EVENTS, Claims(EVENTS))


def fenced(session: Session, claims: Claims) -> Reading:
    return Columns(EVENTS, claims).reading(session, fields_of(EVENT))


def rows(client_id: str, partition: int, first: int, count: int) -> list[Row]:
    return [row("event", event(client_id, f"e{n}"), n, partition) for n in range(first, first + count)]


def stored(warehouse: Warehouse, client_id: str) -> tuple[int, int]:
    sql = f"SELECT count(), uniqExact(_offset) FROM viworks.events WHERE client_id = '{client_id}' SETTINGS final = 0"
    ((count, different),) = warehouse.session.rows(sql)
    return count, different


def test_who_wakes_up_late_is_refused_and_then_leaves_out_what_is_there(warehouse: Warehouse, server: ServerEngine) -> None:
    sent = rows("claims-late", 4_001, 0, 50)
    frozen, successor = writer(server), writer(server)
    frozen.write(sent[:10], not_asked)
    successor.write(sent[7:40], not_asked)
    with pytest.raises(Fenced):
        frozen.write(sent[10:30], not_asked)
    assert stored(warehouse, "claims-late") == (40, 40)
    frozen.write(sent[10:30], not_asked)
    with pytest.raises(Fenced):
        successor.write(sent[40:], not_asked)
    successor.write(sent[40:], not_asked)
    assert stored(warehouse, "claims-late") == (50, 50)
    for each in (frozen, successor):
        each.close()


def test_what_a_successor_wrote_while_one_slept_is_no_former_log(warehouse: Warehouse, server: ServerEngine) -> None:
    """The table is ahead of all that the sleeper has fetched; only Kafka's end after the table was read tells why."""
    sent = rows("claims-ahead", 4_012, 0, 60)
    stored_so_far = 20
    frozen, successor = writer(server), writer(server)
    frozen.write(sent[:10], not_asked)
    successor.write(sent[10:20], not_asked)

    class Reading(ServerEngine):
        """The successor writes once more before the sleeper reads what the table holds."""

        def session(self) -> Session:
            session = server.session()
            ask = session.rows

            def asked(sql: str) -> Sequence[Sequence[object]]:
                nonlocal stored_so_far
                if "max(_offset)" in sql and stored_so_far == 20:
                    unfenced = TableWriter(server, EVENTS)
                    unfenced.write(sent[20:40], not_asked)
                    unfenced.close()
                    stored_so_far = 40
                return ask(sql)

            session.rows = asked  # type: ignore[method-assign]
            return session

    woken = TableWriter(Reading(""), EVENTS, Claims(EVENTS))
    woken.write(sent[10:30], lambda partitions: dict.fromkeys(partitions, stored_so_far))
    assert stored(warehouse, "claims-ahead") == (40, 40)
    for each in (frozen, successor, woken):
        each.close()


def test_an_insert_that_runs_is_waited_for(warehouse: Warehouse, server: ServerEngine, session: Session) -> None:
    """It passed its check before the claim; what it brings has to be seen by the one who claims."""
    sent = rows("claims-slow", 4_002, 0, 20)
    former = Claims(EVENTS)
    former.take(session, [4_002])
    reading = fenced(session, former)
    slow = Reading(reading.columns, f"{reading.condition} AND sleepEachRow(0.05) = 0")
    late = threading.Thread(target=_insert, args=(server, sent[:15], slow))
    late.start()
    running = "SELECT count() FROM system.processes WHERE query LIKE 'INSERT INTO viworks.events %sleepEachRow%'"
    while not warehouse.session.rows(running)[0][0]:
        assert late.is_alive()
    successor = writer(server)
    successor.write(sent, not_asked)
    late.join()
    assert stored(warehouse, "claims-slow") == (20, 20)
    successor.close()


def test_the_engine_lists_an_insert_before_it_looks_at_its_condition(
    warehouse: Warehouse, server: ServerEngine, session: Session
) -> None:
    """What the whole argument of ``sinks.claims`` stands on: a subquery of a condition is evaluated before all else."""
    looking = Reading({"_offset": "Int64"}, "(SELECT sleep(3)) = 1")
    insert = threading.Thread(target=_insert, args=(server, rows("claims-none", 4_009, 0, 1), looking))
    insert.start()
    listed = "SELECT count() FROM system.processes WHERE query LIKE 'INSERT INTO viworks.events (_offset)%'"
    began_s = time.monotonic()
    while not warehouse.session.rows(listed)[0][0]:
        assert time.monotonic() < began_s + 2.5
    insert.join()
    assert time.monotonic() > began_s + 2.5
    assert stored(warehouse, "claims-none") == (0, 0)


def test_a_statement_that_was_long_on_its_way_inserts_nothing(
    warehouse: Warehouse, server: ServerEngine, session: Session
) -> None:
    former = Claims(EVENTS)
    former.take(session, [4_003])
    reading = fenced(session, former)
    writer(server).write(rows("claims-way", 4_003, 0, 5), not_asked)
    with pytest.raises(Fenced):
        _insert(server, rows("claims-way", 4_003, 0, 3), reading)
    assert stored(warehouse, "claims-way") == (5, 5)


def test_each_claim_is_greater_than_all_before(session: Session) -> None:
    for _ in range(5):
        Claims(EVENTS).take(session, [4_007, 4_008])
    sql = "SELECT partition, groupArray(number) FROM viworks.sink_claims WHERE partition IN (4007, 4008) GROUP BY partition"
    numbers = [sorted(found) for _, found in session.rows(sql)]
    assert numbers == [[1, 2, 3, 4, 5]] * 2


def test_another_partition_fences_nobody(warehouse: Warehouse, server: ServerEngine) -> None:
    one, other = writer(server), writer(server)
    for first in (0, 5, 10):
        one.write(rows("claims-one", 4_004, first, 5), not_asked)
        other.write(rows("claims-other", 4_005, first, 5), not_asked)
    assert stored(warehouse, "claims-one") == stored(warehouse, "claims-other") == (15, 15)


def test_of_many_that_claim_at_once_one_has_it(server: ServerEngine, session: Session) -> None:
    conditions: list[str] = []

    def claim() -> None:
        own, claims = server.session(), Claims(EVENTS)
        with suppress(Fenced):
            claims.take(own, [4_006])
            conditions.append(claims.condition)
        own.close()

    threads = [threading.Thread(target=claim) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [_holds(session, condition) for condition in conditions].count(True) == 1


@pytest.mark.parametrize("name", SAMPLES)
def test_a_reading_stores_what_the_columns_own_types_do(
    warehouse: Warehouse, server: ServerEngine, name: str, tmp_path: Path
) -> None:
    table = next(table for table in TABLES if table.name == name)
    sent = row(table.topic.schemas[0], SAMPLES[name], 1, 4_010)
    schema = latest_schema(table.topic.schemas[0]).id
    (tmp_path / "row.avro").write_bytes(container(schema, [sent]))
    lenient = "SETTINGS input_format_avro_allow_missing_fields = 1"
    warehouse.session.command(f"INSERT INTO {table.qualified} FROM INFILE '{tmp_path}/row.avro' {lenient} FORMAT Avro")
    TableWriter(server, table, Claims(table)).write([sent._replace(partition=4_013)], not_asked)
    TableWriter(warehouse.engine, table).write([sent._replace(partition=4_014)], not_asked)
    sql = f"SELECT * EXCEPT _partition FROM {table.qualified} WHERE _partition IN (4010, 4013, 4014) SETTINGS final = 0"
    by_hand, claimed, embedded = warehouse.session.rows(sql)
    assert by_hand == claimed == embedded


def test_no_dictionary_is_filled_value_by_value(session: Session) -> None:
    read = Columns(EVENTS).reading(session, fields_of(EVENT)).columns
    assert read["event_type"] == read["_topic"] == "String"
    assert "_wire" not in read
    assert plain("LowCardinality(Nullable(String))") == "Nullable(String)"


def _holds(session: Session, condition: str) -> bool:
    try:
        return bool(session.rows(f"SELECT {condition}")[0][0])
    except EngineUnavailable:
        return False


def _insert(server: ServerEngine, sent: list[Row], reading: Reading) -> None:
    session = server.session()
    try:
        session.insert_avro(EVENTS.qualified, [container(EVENT, sent)], f"{sent[0].partition}-by-hand", reading)
    finally:
        session.close()
