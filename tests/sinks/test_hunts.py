"""The hunts and service levels, on rows whose answers are known. Each has a neighbour that must not be found."""

from __future__ import annotations

import pytest

from tests.sinks.samples import DAY_MS, HOUR_MS, event, liveness, now_ms, session
from tests.sinks.warehouse import Warehouse

MINUTE_MS = 60_000
# The middle of an hour and of ten minutes, so that what is near it falls into the same ones.
NOON = (now_ms() // DAY_MS - 1) * DAY_MS + 12 * HOUR_MS + 5 * MINUTE_MS


def test_an_address_that_fails_at_many_clients(warehouse: Warehouse) -> None:
    failures = [
        event(f"h-shared-{number}", "e", timestamp=NOON + number, source_ip_pseudonym="h-many") for number in range(3)
    ]
    alone = [event("h-shared-0", f"a{number}", timestamp=NOON, source_ip_pseudonym="h-alone") for number in range(3)]
    other_type = event("h-shared-9", "e", timestamp=NOON, source_ip_pseudonym="h-alone", event_type="system_error")
    warehouse.fill("events", "event", *failures, *alone, other_type)
    found = warehouse.ask(
        "SELECT source_ip_pseudonym, toUInt32(clients) AS clients, toUInt32(failures) AS failures, "
        "arraySort(client_ids) AS ids FROM hunt_shared_sources WHERE source_ip_pseudonym IN ('h-many', 'h-alone')"
    )
    ids = ["h-shared-0", "h-shared-1", "h-shared-2"]
    assert found == [{"source_ip_pseudonym": "h-many", "clients": 3, "failures": 3, "ids": ids}]


def test_failures_that_a_session_follows(warehouse: Warehouse) -> None:
    for client_id, offsets in (("h-through", (1, 2, 14)), ("h-few", (1, 2)), ("h-old", (1, 2, 16)), ("h-later", (1, 2, -1))):
        warehouse.fill(
            "events",
            "event",
            *(
                event(client_id, f"e{number}", timestamp=NOON - minutes * MINUTE_MS, source_ip_pseudonym="h-same")
                for number, minutes in enumerate(offsets)
            ),
        )
        warehouse.fill("sessions", "session", session(client_id, "s", start_time=NOON, client_ip_pseudonym="h-same"))
    warehouse.fill("sessions", "session", session("h-through", "failed", start_time=NOON, status="error", end_time=NOON))
    found = warehouse.one(
        "SELECT client_id, session_id, toUInt32(failures) AS failures, toUInt32(failures_from_this_address) AS same "
        "FROM hunt_failures_then_success WHERE client_id IN ('h-through', 'h-few', 'h-old', 'h-later')"
    )
    assert found == {"client_id": "h-through", "session_id": "s", "failures": 3, "same": 3}


def test_a_client_whose_targets_widen(warehouse: Warehouse) -> None:
    days = [("a",), ("a", "b"), ("a", "b", "c", "d", "e", "f")]
    warehouse.fill(
        "events",
        "event",
        *(
            event("h-wide", f"{day}-{target}", timestamp=NOON - (2 - day) * DAY_MS, target_ip_pseudonym=f"h-{target}")
            for day, targets in enumerate(days)
            for target in targets
        ),
    )
    rows = warehouse.ask(
        "SELECT toUInt32(targets) AS t, toUInt32(new_targets) AS n, usual_targets AS u "
        "FROM hunt_widening_targets WHERE client_id = 'h-wide' ORDER BY day"
    )
    assert [(row["t"], row["n"], row["u"]) for row in rows] == [(1, 1, None), (2, 1, 1.0), (6, 4, 1.5)]


def test_sessions_of_several_clients_from_one_address(warehouse: Warehouse) -> None:
    for client_id, minutes, address in (("h-a", 0, "h-nat"), ("h-b", 3, "h-nat"), ("h-c", 30, "h-nat"), ("h-d", 0, "h-own")):
        sent = session(client_id, "s", start_time=NOON + minutes * MINUTE_MS, client_ip_pseudonym=address)
        warehouse.fill("sessions", "session", sent)
    found = warehouse.one(
        "SELECT client_ip_pseudonym AS address, arraySort(client_ids) AS ids FROM hunt_shared_addresses "
        "WHERE client_ip_pseudonym IN ('h-nat', 'h-own')"
    )
    assert found == {"address": "h-nat", "ids": ["h-a", "h-b"]}


def test_a_session_at_an_unusual_hour(warehouse: Warehouse) -> None:
    usual = [session("h-night", f"s{day}", start_time=NOON - day * DAY_MS) for day in range(1, 12)]
    at_night = session("h-night", "night", start_time=NOON - 9 * HOUR_MS)
    new_client = session("h-new", "night", start_time=NOON - 9 * HOUR_MS)
    warehouse.fill("sessions", "session", *usual, at_night, new_client)
    found = warehouse.one(
        "SELECT client_id, session_id, hour, toUInt32(sessions_before) AS before FROM hunt_unusual_hours "
        "WHERE client_id IN ('h-night', 'h-new')"
    )
    assert found == {"client_id": "h-night", "session_id": "night", "hour": 3, "before": 11}


def test_service_levels_count_no_maintenance(warehouse: Warehouse) -> None:
    day = (now_ms() // DAY_MS - 1) * DAY_MS
    states = [("online", 0), ("maintenance", 12 * HOUR_MS), ("online", 13 * HOUR_MS), ("offline", 20 * HOUR_MS)]
    states += [("online", 20 * HOUR_MS + 5 * MINUTE_MS), ("online", DAY_MS)]
    records = [liveness("h-slo", state, timestamp=day + at) for state, at in states]
    warehouse.fill("liveness_transitions", "liveness", *records)
    found = warehouse.one("SELECT * FROM availability_slo WHERE client_id = 'h-slo' ORDER BY day LIMIT 1")
    assert (found["counted_s"], found["down_s"]) == (23 * 3600, 300)
    assert (found["met_99"], found["met_99_9"]) == (1, 0)
    assert found["budget_99_left_s"] == pytest.approx(23 * 36 - 300)


def test_quantiles_of_durations(warehouse: Warehouse) -> None:
    ended = [
        session(
            "h-stats", f"s{number}", node_id="h-node", start_time=NOON, end_time=NOON + number * 1000, status="disconnected"
        )
        for number in range(1, 6)
    ]
    warehouse.fill("sessions", "session", *ended)
    found = warehouse.one("SELECT * FROM session_stats WHERE node_id = 'h-node'")
    names = ("p25_duration_s", "median_duration_s", "p75_duration_s", "max_duration_s")
    assert [found[name] for name in names] == [2, 3, 4, 5]
    assert found["p99_duration_s"] == pytest.approx(4.96)


@pytest.mark.parametrize(
    ("view", "mine"),
    [
        ("hunt_shared_sources", "source_ip_pseudonym = 'h-expired'"),
        ("hunt_failures_then_success", "client_id = 'h-expired'"),
        ("hunt_widening_targets", "client_id = 'h-expired'"),
        ("hunt_shared_addresses", "client_ip_pseudonym = 'h-expired'"),
        ("hunt_unusual_hours", "client_id = 'h-expired'"),
        ("session_stats", "node_id = 'h-expired'"),
    ],
)
def test_no_hunt_serves_an_expired_row(warehouse: Warehouse, view: str, mine: str) -> None:
    """The same rows are found as long as they are fresh; read without the SQL port's filters, as on a server."""
    warehouse.session.command("SYSTEM STOP TTL MERGES")
    sql = f"SELECT count() FROM viworks.{view} WHERE {mine}"
    if not warehouse.session.rows("SELECT 1 FROM viworks.sessions WHERE client_ip_pseudonym = 'h-expired'"):
        fill_for_every_hunt(warehouse, "h-expired", 800 * DAY_MS)
    assert list(warehouse.session.rows(sql)) == [(0,)]
    fresh = mine.replace("h-expired", "h-fresh")
    if not warehouse.session.rows("SELECT 1 FROM viworks.sessions WHERE client_ip_pseudonym = 'h-fresh'"):
        fill_for_every_hunt(warehouse, "h-fresh", 0)
    ((found,),) = warehouse.session.rows(f"SELECT count() FROM viworks.{view} WHERE {fresh}")
    assert found > 0


def fill_for_every_hunt(warehouse: Warehouse, name: str, age_ms: int) -> None:
    at = NOON - age_ms
    place = {"client_ip_pseudonym": name, "node_id": name, "received_at": at}
    usual = [session(name, f"s{number}", start_time=at - number * DAY_MS, **place) for number in range(1, 12)]
    unusual = [session(name, "night", start_time=at - 9 * HOUR_MS, **place), session(name, "last", start_time=at, **place)]
    other = session(f"{name}-2", "s", start_time=at, **place)
    warehouse.fill("sessions", "session", *usual, *unusual, other)
    addresses = {"source_ip_pseudonym": name, "target_ip_pseudonym": name, "received_at": at, "timestamp": at - 1}
    failures = [event(name, f"e{number}", **addresses) for number in range(3)]
    warehouse.fill("events", "event", *failures, event(f"{name}-2", "e", **addresses))
