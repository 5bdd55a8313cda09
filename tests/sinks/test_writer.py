"""Rows reach the table once each, whatever happens on the way."""

from __future__ import annotations

import os
import uuid

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sinks.errors import EngineUnavailable
from sinks.log_ends import not_asked
from tests.sinks.samples import Row, event, row
from tests.sinks.warehouse import Warehouse


def batch(warehouse: Warehouse, client_id: str, count: int) -> list[Row]:
    return [row("event", event(client_id, f"e{n}"), warehouse.next_offset(), partition=n % 3) for n in range(count)]


def physical(warehouse: Warehouse, client_id: str) -> int:
    """Rows that lie in the table, replays counted."""
    ((count,),) = warehouse.session.rows(f"SELECT count() FROM viworks.events WHERE client_id = '{client_id}'")
    return int(count)


def test_all_members_arrive_as_they_were(warehouse: Warehouse) -> None:
    sent = event("w-members", "e1", error_code=None, signature=bytes(range(64)))
    (at,) = warehouse.fill("events", "event", sent)
    ((*values,),) = warehouse.session.rows(
        "SELECT _topic, _partition, _offset, event_type, severity, source_ip, target_ip, error_code, hex(signature), "
        "toUnixTimestamp64Milli(timestamp) FROM viworks.events WHERE client_id = 'w-members'"
    )
    assert values[:3] == ["viworks.events.v1", at.partition, at.offset]
    assert values[3:8] == ["authentication_failure", "high", "198.51.100.0/24", None, None]
    assert values[8:] == [bytes(range(64)).hex().upper(), sent["timestamp"]]


def test_a_batch_given_again_to_a_new_process_adds_nothing(warehouse: Warehouse) -> None:
    rows = batch(warehouse, "w-again", 30)
    warehouse.write("events", rows[:17])
    warehouse.write("events", rows)
    warehouse.write("events", rows[5:])
    assert physical(warehouse, "w-again") == 30


def test_a_batch_that_was_taken_without_our_knowing_adds_nothing(warehouse: Warehouse) -> None:
    rows = batch(warehouse, "w-token", 5)
    warehouse.write("events", rows)
    unaware = warehouse.writer("events")
    unaware._held_up_to = dict.fromkeys(range(3), -1)
    unaware.write(rows, not_asked)
    unaware.close()
    assert physical(warehouse, "w-token") == 5


def test_a_topic_that_was_made_anew_loses_nothing_to_its_former_rows(warehouse: Warehouse) -> None:
    former = [row("event", event("w-anew", f"former-{offset}"), offset, partition=2_000) for offset in (3, 9)]
    for each in former:
        warehouse.write("events", [each], {2_000: 10})
    warehouse.write("events", [row("event", event("w-anew", "new"), 3, partition=2_000)], {2_000: 4})
    assert physical(warehouse, "w-anew") == 3


@pytest.mark.parametrize("size", [1, 2, 7, 40])
def test_bad_rows_cost_only_themselves(warehouse: Warehouse, size: int) -> None:
    client_id = f"w-bad-{size}"
    rows = batch(warehouse, client_id, size)
    bad = {0, size // 2, size - 1}
    damaged = [each._replace(value=(each.value or b"")[:-9]) if n in bad else each for n, each in enumerate(rows)]
    refused = warehouse.write("events", damaged)
    assert [each.record.offset for each in refused] == sorted(rows[n].offset for n in bad)
    assert {each.reason.partition(":")[0] for each in refused} == {"RowsRefused"}
    assert physical(warehouse, client_id) == size - len(bad)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=80), st.integers(0, 60))
def test_no_bytes_whatever_change_a_neighbour(warehouse: Warehouse, noise: bytes, cut: int) -> None:
    client_id = f"w-noise-{uuid.uuid4()}"
    rows = batch(warehouse, client_id, 3)
    value = rows[1].value or b""
    warehouse.write("events", [rows[0], rows[1]._replace(value=value[: 5 + cut] + noise), rows[2]])
    found = warehouse.session.rows(
        f"SELECT event_id, _offset FROM viworks.events WHERE client_id = '{client_id}' AND _offset != {rows[1].offset}"
    )
    assert sorted(found) == [("e0", rows[0].offset), ("e2", rows[2].offset)]


def test_an_engine_that_does_not_answer_is_no_reason_to_refuse_a_row(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_memory(name: str) -> int:
        raise OSError("no more files")

    rows = batch(warehouse, "w-away", 2)
    writer = warehouse.writer("events")
    with monkeypatch.context() as patched:
        patched.setattr(os, "memfd_create", no_memory)
        with pytest.raises((EngineUnavailable, OSError)):
            writer.write(rows, not_asked)
    assert writer.write(rows, not_asked) == []
    writer.close()
    assert physical(warehouse, "w-away") == 2
