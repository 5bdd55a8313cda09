"""What is asked for, and what comes of an answer, however it is cut into pieces."""

from __future__ import annotations

import pytest

from sinks.proof.reading import Choice, RowName, keys_query, rows_of, rows_query
from tests.sinks.samples import client_key, event
from tests.sinks.warehouse import Warehouse

ANSWER = b'{"r_client_id":"a","r__offset":"7","r_end_time":null}\n{"r_client_id":"b\xff","r__offset":8,"r_end_time":"5"}\n'


@pytest.mark.parametrize("size", [1, 7, len(ANSWER)])
def test_rows_come_whole_out_of_any_pieces(size: int) -> None:
    pieces = [ANSWER[start : start + size] for start in range(0, len(ANSWER), size)]
    first, second = rows_of(pieces)
    assert first == {"client_id": "a", "_offset": 7, "end_time": None}
    assert second == {"client_id": "b\N{REPLACEMENT CHARACTER}", "_offset": 8, "end_time": 5}


@pytest.mark.parametrize(
    "text", ["", "events", "clients:t:0:1", "events:t:x:1", "events:t:0:-1", "events:t's:0:1", "events:t:0:1\n"]
)
def test_what_names_no_row_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="TABLE:TOPIC:PARTITION:OFFSET"):
        RowName.parse(text)


def test_a_choice_finds_its_rows_only(warehouse: Warehouse) -> None:
    (row,) = warehouse.fill("events", "event", event("proof-read", "e1"))
    later = event("proof-read", "e2")
    warehouse.fill("events", "event", later | {"received_at": later["received_at"] + 60_000})
    name = RowName.parse(f"events:{row.topic}:{row.partition}:{row.offset}")
    for choice, ids in (
        (Choice("proof-read"), ["e1", "e2"]),
        (Choice("proof-read", since_ms=later["received_at"] + 30_000), ["e2"]),
        (Choice(row=name), ["e1"]),
        (Choice("proof-read' OR 1 = 1 --"), []),
        (Choice("proof-read\\' OR 1 = 1 --"), []),
    ):
        found = warehouse.ask(rows_query("events", choice))
        assert sorted(each["r_event_id"] for each in found) == ids, choice


def test_a_limit_holds(warehouse: Warehouse) -> None:
    warehouse.fill("events", "event", event("proof-limit", "e1"), event("proof-limit", "e2"))
    assert [len(warehouse.ask(rows_query("events", Choice("proof-limit", limit=limit)))) for limit in (0, 1)] == [2, 1]


def test_the_history_is_of_one_client_or_of_all(warehouse: Warehouse) -> None:
    warehouse.fill("client_keys", "client_key", client_key("proof-a"), client_key("proof-b"))
    assert [each["r_client_id"] for each in warehouse.ask(keys_query("proof-a"))] == ["proof-a"]
    assert {"proof-a", "proof-b"} <= {each["r_client_id"] for each in warehouse.ask(keys_query(None))}
