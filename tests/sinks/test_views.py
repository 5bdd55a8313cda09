"""What analysts see: replays collapsed, sessions merged, nothing that has expired."""

from __future__ import annotations

import pytest

from tests.sinks.samples import (
    DAY_MS,
    HOUR_MS,
    alert,
    client,
    event,
    heartbeat,
    liveness,
    now_ms,
    registration,
    rejection,
    session,
)
from tests.sinks.warehouse import Warehouse


def test_the_first_row_under_an_event_id_stays(warehouse: Warehouse) -> None:
    first = event("v-event", "e1", severity="low")
    later = event("v-event", "e1", severity="critical", timestamp=first["timestamp"] + 5)
    warehouse.fill("events", "event", first, first, later)
    assert warehouse.one("SELECT severity FROM events WHERE client_id = 'v-event'") == {"severity": "low"}


def test_a_heartbeat_sent_again_is_one_row(warehouse: Warehouse) -> None:
    sent = heartbeat("v-beat")
    warehouse.fill("heartbeats", "heartbeat", sent, sent | {"received_at": sent["received_at"] + 900})
    assert len(warehouse.ask("SELECT 1 FROM heartbeats WHERE client_id = 'v-beat'")) == 1


def test_the_newest_registration_of_a_client_wins(warehouse: Warehouse) -> None:
    warehouse.fill("clients", "client", client("v-client", version="1"), client("v-client", version="2", node_id=None))
    assert warehouse.one("SELECT version, node_id FROM clients WHERE client_id = 'v-client'") == {
        "version": "2",
        "node_id": None,
    }


def test_each_distinct_report_stays_and_replays_collapse(warehouse: Warehouse) -> None:
    active = session("v-reports", "s1")
    ended = active | session("v-reports", "s1", status="disconnected", end_time=active["start_time"] + 5_000)
    replay = active | {"received_at": active["received_at"] + 7 * DAY_MS - 1}
    warehouse.fill("sessions", "session", active, ended, active, replay)
    rows = warehouse.ask("SELECT status FROM sessions WHERE client_id = 'v-reports' ORDER BY _offset")
    assert [each["status"] for each in rows] == ["active", "disconnected"]


def test_a_late_active_does_not_reopen_a_session(warehouse: Warehouse) -> None:
    start = now_ms() - 90_000
    warehouse.fill(
        "sessions",
        "session",
        session("v-merged", "s1", start_time=start),
        session("v-merged", "s1", start_time=start, status="terminated", end_time=start + 30_000),
        session("v-merged", "s1", start_time=start, user_agent="late"),
        session("v-merged", "s1", start_time=start, status="error", end_time=start + 60_000),
    )
    merged = warehouse.one("SELECT status, duration_s, reports FROM sessions_merged WHERE client_id = 'v-merged'")
    assert merged == {"status": "terminated", "duration_s": 30, "reports": 4}


def test_an_open_session_has_no_end(warehouse: Warehouse) -> None:
    warehouse.fill("sessions", "session", session("v-open", "s1"))
    merged = warehouse.one("SELECT status, end_time, duration_s FROM sessions_merged WHERE client_id = 'v-open'")
    assert merged == {"status": "active", "end_time": None, "duration_s": None}


def test_session_statistics_count_those_that_ended(warehouse: Warehouse) -> None:
    start = now_ms() - 10_000
    for number, status in enumerate(["active", "disconnected", "terminated", "error"]):
        end = None if status == "active" else start + 2_000
        sent = session("v-stats", f"s{number}", node_id="v-node", start_time=start, status=status, end_time=end)
        warehouse.fill("sessions", "session", sent)
    found = warehouse.one(
        "SELECT sessions, active, succeeded, failed, success_rate, avg_duration_s FROM session_stats "
        "WHERE node_id = 'v-node'"
    )
    assert found.pop("success_rate") == pytest.approx(2 / 3)
    assert {name: int(value) for name, value in found.items()} == {
        "sessions": 4,
        "active": 1,
        "succeeded": 2,
        "failed": 1,
        "avg_duration_s": 2,
    }


def test_the_fleet_shows_the_verdict_and_the_newest_heartbeat(warehouse: Warehouse) -> None:
    now = now_ms()
    warehouse.fill("clients", "client", client("v-fleet", version="3"), client("v-silent"))
    warehouse.fill(
        "heartbeats",
        "heartbeat",
        heartbeat("v-fleet", timestamp=now, cpu_usage=77.0),
        heartbeat("v-fleet", timestamp=now - 30_000),
    )
    columns = ("client_id", "state", "cpu_usage", "node_id", "version")
    fleet = f"SELECT {', '.join(columns)} FROM fleet_now WHERE client_id IN ('v-fleet', 'v-silent') ORDER BY client_id"
    assert [tuple(each[name] for name in columns) for each in warehouse.ask(fleet)] == [
        ("v-fleet", "online", 77, "node-1", "3"),
        ("v-silent", "unknown", None, "node-1", "1.0.0"),
    ]
    warehouse.fill("liveness_transitions", "liveness", liveness("v-fleet", "online"), liveness("v-fleet", "offline"))
    assert [each["state"] for each in warehouse.ask(fleet)] == ["offline", "unknown"]


def test_rollups_add_up_to_the_heartbeats(warehouse: Warehouse) -> None:
    minute = now_ms() // 60_000 * 60_000
    beats = [
        heartbeat("v-roll", timestamp=minute + n * 1_000, cpu_usage=10.0 * n, status="error" if n else "online")
        for n in range(3)
    ]
    warehouse.fill("heartbeats", "heartbeat", *beats)
    found = warehouse.one(
        "SELECT heartbeats, errors, cpu_usage, cpu_usage_max FROM heartbeat_rollups WHERE client_id = 'v-roll'"
    )
    assert {name: int(value) for name, value in found.items()} == {
        "heartbeats": 3,
        "errors": 2,
        "cpu_usage": 10,
        "cpu_usage_max": 20,
    }
    assert warehouse.ask("SELECT * FROM error_rates WHERE source = 'heartbeat' AND errors > 0")


def test_availability_is_the_share_of_time_online(warehouse: Warehouse) -> None:
    yesterday = now_ms() // DAY_MS * DAY_MS - DAY_MS
    states = [
        ("online", 0),
        ("offline", 6 * HOUR_MS),
        ("online", 12 * HOUR_MS),
        ("maintenance", 18 * HOUR_MS),
        ("online", DAY_MS),
    ]
    warehouse.fill(
        "liveness_transitions", "liveness", *(liveness("v-avail", state, timestamp=yesterday + at) for state, at in states)
    )
    day = warehouse.one(
        "SELECT online_s, offline_s, maintenance_s, availability FROM availability "
        "WHERE client_id = 'v-avail' ORDER BY day LIMIT 1"
    )
    assert day["availability"] == pytest.approx(2 / 3)
    assert (day["online_s"], day["offline_s"], day["maintenance_s"]) == (12 * 3600, 6 * 3600, 6 * 3600)


def test_late_counts_as_online_and_gone_as_nothing(warehouse: Warehouse) -> None:
    yesterday = now_ms() // DAY_MS * DAY_MS - DAY_MS
    states = [("online", 0), ("late", 6 * HOUR_MS), ("offline", 8 * HOUR_MS), ("gone", 16 * HOUR_MS), ("online", DAY_MS)]
    warehouse.fill(
        "liveness_transitions", "liveness", *(liveness("v-late", state, timestamp=yesterday + at) for state, at in states)
    )
    day = warehouse.one(
        "SELECT online_s, offline_s, gone_s, availability FROM availability WHERE client_id = 'v-late' ORDER BY day LIMIT 1"
    )
    assert (day["online_s"], day["offline_s"], day["gone_s"]) == (8 * 3600, 8 * 3600, 8 * 3600)
    assert day["availability"] == pytest.approx(1 / 2)


def test_the_fleet_says_since_when_and_why(warehouse: Warehouse) -> None:
    at = now_ms() - 60_000
    warehouse.fill("clients", "client", client("v-since"), client("v-unsaid"))
    warehouse.fill(
        "liveness_transitions",
        "liveness",
        liveness("v-since", "maintenance", timestamp=at, since=at, reason="reported"),
        liveness("v-since", "maintenance", timestamp=at + 5_000, since=at, reason="maintenance_expired"),
        liveness("v-unsaid", "late", timestamp=at, since=None, reason="late"),
    )
    fleet = "SELECT state, state_reason, toUnixTimestamp64Milli(assumeNotNull(state_since)) AS since FROM fleet_now"
    assert warehouse.one(f"{fleet} WHERE client_id = 'v-since'") == {
        "state": "maintenance",
        "state_reason": "maintenance_expired",
        "since": at,
    }
    assert warehouse.one(f"{fleet} WHERE client_id = 'v-unsaid'") == {"state": "late", "state_reason": "late", "since": at}


def test_an_alert_is_one_line_from_firing_to_resolved(warehouse: Warehouse) -> None:
    at = now_ms()
    firing, resolved = (
        alert("v-alert", "a1", "firing", timestamp=at - 5_000),
        alert("v-alert", "a1", "resolved", timestamp=at),
    )
    warehouse.fill("alerts", "alert", firing, resolved, firing)
    assert len(warehouse.ask("SELECT 1 FROM alerts WHERE client_id = 'v-alert'")) == 2
    found = warehouse.one("SELECT status, duration_s, rule FROM alert_timeline WHERE client_id = 'v-alert'")
    assert found == {"status": "resolved", "duration_s": 5, "rule": "offline"}


def test_an_alert_shows_who_takes_care_of_it_and_what_was_kept_back(warehouse: Warehouse) -> None:
    at = now_ms()
    first, second = alert("v-ack", "a4", "firing", timestamp=at - 5_000), alert("v-ack", "a4", "acknowledged", timestamp=at)
    hidden = alert("v-hidden", "a5", "suppressed", timestamp=at, suppressed_by="silence:s1", node_id="n1")
    told = hidden | {"status": "firing", "suppressed_by": None, "timestamp": at + 1_000}
    warehouse.fill("alerts", "alert", first, second | {"actor": "ann"}, hidden)
    columns = "status, acknowledged_by, suppressed_by, node_id, acknowledged_at IS NULL AS open"
    assert warehouse.one(f"SELECT {columns} FROM alert_timeline WHERE client_id = 'v-ack'") == {
        "status": "acknowledged", "acknowledged_by": "ann", "suppressed_by": None, "node_id": None, "open": 0,
    }  # fmt: skip
    assert warehouse.one(f"SELECT {columns} FROM alert_timeline WHERE client_id = 'v-hidden'") == {
        "status": "suppressed", "acknowledged_by": None, "suppressed_by": "silence:s1", "node_id": "n1", "open": 1,
    }  # fmt: skip
    warehouse.fill("alerts", "alert", told)
    found = warehouse.one("SELECT status, suppressed_by FROM alert_timeline WHERE client_id = 'v-hidden'")
    assert found == {"status": "firing", "suppressed_by": None}


def test_the_timeline_joins_events_alerts_and_rejections(warehouse: Warehouse) -> None:
    warehouse.fill("events", "event", event("v-line", "e1"))
    warehouse.fill("alerts", "alert", alert("v-line", "a2", "firing"))
    warehouse.fill("rejections", "rejection", rejection("r1", client_id="v-line"))
    rows = warehouse.ask("SELECT source, name FROM security_timeline WHERE client_id = 'v-line' ORDER BY source")
    assert [(each["source"], each["name"]) for each in rows] == [
        ("alert", "offline"),
        ("event", "authentication_failure"),
        ("rejection", "bad-signature"),
    ]


YEAR_MS = 366 * DAY_MS
EXPIRED = {
    "heartbeats": ("heartbeat", heartbeat("v-old", received_at=now_ms() - DAY_MS - 1_000)),
    "sessions": ("session", session("v-old", "s", received_at=now_ms() - 90 * DAY_MS - 1_000)),
    "liveness_transitions": ("liveness", liveness("v-old", "online", timestamp=now_ms() - 90 * DAY_MS - 1_000)),
    "events": ("event", event("v-old", "e", received_at=now_ms() - 2 * YEAR_MS)),
    "alerts": ("alert", alert("v-old", "a", "firing", timestamp=now_ms() - 2 * YEAR_MS)),
    "rejections": ("rejection", rejection("v-old", client_id="v-old", timestamp=now_ms() - 2 * YEAR_MS)),
    "registrations": ("registration", registration("v-old", received_at=now_ms() - YEAR_MS)),
}


@pytest.fixture
def merges_stopped(warehouse: Warehouse) -> None:
    """So that rows which have expired lie in the tables, as they do until the next merge."""
    warehouse.session.command("SYSTEM STOP TTL MERGES")


@pytest.mark.parametrize("table", EXPIRED)
@pytest.mark.usefixtures("merges_stopped")
def test_an_expired_row_is_never_served(warehouse: Warehouse, table: str) -> None:
    schema, record = EXPIRED[table]
    mine = "client_id = 'v-old'"
    warehouse.fill(table, schema, record)
    assert warehouse.session.rows(f"SELECT 1 FROM viworks.{table} WHERE {mine}"), "the row has to be there to be hidden"
    readings = [
        f"SELECT 1 FROM {table} WHERE {mine}",
        f"SELECT 1 FROM viworks.{table} FINAL PREWHERE {mine}",
        f"SELECT 1 FROM view(SELECT * FROM {table}) WHERE {mine}",
        f"WITH old AS (SELECT * FROM {table} WHERE {mine}) SELECT 1 FROM old",
        f"SELECT 1 WHERE 1 IN (SELECT 1 FROM {table} WHERE {mine})",
        f"SELECT 1 WHERE (SELECT count() FROM {table} WHERE {mine}) > 0",
        f"SELECT 1 FROM (SELECT * FROM {table}) AS t WHERE {mine}",
        f"SELECT 1 FROM numbers(1) AS n JOIN {table} AS t ON 1 = 1 WHERE {mine}",
    ]
    assert [warehouse.ask(sql) for sql in readings] == [[]] * len(readings)


@pytest.mark.parametrize(
    "view", ["sessions_merged", "availability", "availability_slo", "security_timeline", "alert_timeline", "fleet_now"]
)
def test_no_view_serves_an_expired_row(warehouse: Warehouse, view: str) -> None:
    """On a server, too, where the port's filters do not stand before the views: they are read without them here."""
    assert not warehouse.session.rows(f"SELECT 1 FROM viworks.{view} WHERE client_id = 'v-old'")
