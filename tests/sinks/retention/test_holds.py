"""Rows under a hold outlive their time, whoever would drop them; auditors read them, analysts do not; a release ends it."""

from __future__ import annotations

import pytest

from sinks.errors import EngineUnavailable, HoldIncomplete, OrderRefused
from sinks.holds import store
from sinks.retention.entries import Reason
from sinks.sql_port.roles import ANALYST, AUDITOR
from sinks.tables import DATABASE, RETENTIONS
from tests.sinks.retention.conftest import Vault
from tests.sinks.retention.rows import FILLED, expiry_ms, named, stored, write
from tests.sinks.retention.test_manifest import Ending
from tests.sinks.samples import DAY_MS, HOUR_MS, now_ms
from tests.sinks.warehouse import Warehouse

_DENIED = 497


def kept(warehouse: Warehouse, table: str, name: str) -> int:
    return int(warehouse.session.rows(f"SELECT count() FROM {DATABASE}.held_{table} FINAL WHERE {named(name)}")[0][0])


def past_ms(warehouse: Warehouse, table: str) -> int:
    """Expired for longer than ClickHouse's own TTL waits, in a month of its own: a merge with younger rows would keep it."""
    return expiry_ms(warehouse, table) - 64 * DAY_MS


def let_clickhouse_drop(warehouse: Warehouse, table: str) -> None:
    warehouse.session.command(f"SYSTEM START MERGES {DATABASE}.{table}")
    warehouse.session.command("SYSTEM START TTL MERGES")
    warehouse.session.command(f"OPTIMIZE TABLE {DATABASE}.{table} FINAL")


@pytest.mark.parametrize("table", FILLED)
def test_a_row_under_a_hold_survives_its_time_and_its_neighbour_does_not(vault: Vault, table: str) -> None:
    mine, other = f"held-{table}", f"free-{table}"
    at = past_ms(vault.warehouse, table)
    write(vault.warehouse, table, mine, at)
    write(vault.warehouse, table, other, at)
    assert vault.order("hold.set", "case-1", client_ids=[mine])[table] == 1
    let_clickhouse_drop(vault.warehouse, table)
    assert stored(vault.warehouse, table, mine) == 1, "ClickHouse itself must not drop what no pass has copied"
    assert vault.sweep().faults == {}
    assert [stored(vault.warehouse, table, name) for name in (mine, other)] == [0, 0]
    assert [kept(vault.warehouse, table, name) for name in (mine, other)] == [1, 0]
    assert vault.verified().faults == []


def test_without_a_hold_clickhouse_drops_the_same_row(vault: Vault) -> None:
    """What the test above would be worth nothing without."""
    write(vault.warehouse, "events", "free-again", past_ms(vault.warehouse, "events"))
    let_clickhouse_drop(vault.warehouse, "events")
    assert stored(vault.warehouse, "events", "free-again") == 0


def test_what_comes_after_a_hold_was_set_is_kept_too(vault: Vault) -> None:
    assert vault.order("hold.set", "case-2", client_ids=["held-later"], tables=["events"]) == {"events": 0}
    write(vault.warehouse, "events", "held-later", past_ms(vault.warehouse, "events"))
    for _ in range(2):
        vault.sweep()
    assert (stored(vault.warehouse, "events", "held-later"), kept(vault.warehouse, "events", "held-later")) == (0, 1)


def test_a_hold_by_time_keeps_everybodys_rows_of_the_span(vault: Vault) -> None:
    at = past_ms(vault.warehouse, "events")
    for name, moment in (("span-before", at - HOUR_MS), ("span-in", at), ("span-after", at + HOUR_MS)):
        write(vault.warehouse, "events", name, moment)
    assert vault.order("hold.set", "case-3", tables=["events"], since_ms=at, until_ms=at + 1) == {"events": 1}
    vault.sweep()
    assert [kept(vault.warehouse, "events", f"span-{which}") for which in ("before", "in", "after")] == [0, 1, 0]


def test_rollups_are_kept_whole(vault: Vault) -> None:
    at = past_ms(vault.warehouse, "heartbeat_rollups") // 60_000 * 60_000
    for number in range(3):
        write(vault.warehouse, "heartbeats", "held-rolled", at + number)
    assert vault.order("hold.set", "case-4", client_ids=["held-rolled"])["heartbeat_rollups"] == 1
    vault.sweep()
    assert stored(vault.warehouse, "heartbeat_rollups", "held-rolled") == 0
    sql = f"SELECT heartbeats FROM {DATABASE}.held_heartbeat_rollups FINAL WHERE {named('held-rolled')}"
    assert vault.session.rows(sql)[0][0] == 3


def test_rows_that_cannot_be_copied_keep_their_part(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    vault.order("hold.set", "case-5", client_ids=["held-stuck"], tables=["events"])
    write(vault.warehouse, "events", "held-stuck", past_ms(vault.warehouse, "events"))
    monkeypatch.setattr("sinks.retention.drops.keeping.copy", lambda *_: None)
    monkeypatch.setattr("sinks.retention.sweeper.keeping.copy", lambda *_: None)
    assert HoldIncomplete.__name__ in vault.sweep().faults["events"]
    assert stored(vault.warehouse, "events", "held-stuck") == 1


def test_a_release_deletes_what_no_other_hold_names_and_the_manifest_says_so(vault: Vault) -> None:
    for name in ("held-one", "held-both"):
        write(vault.warehouse, "events", name, past_ms(vault.warehouse, "events"))
    vault.order("hold.set", "case-6", client_ids=["held-one", "held-both"], tables=["events"])
    vault.order("hold.set", "case-7", client_ids=["held-both"], tables=["events"])
    vault.sweep()
    assert vault.order("hold.release", "case-6") == {"events": 1}
    assert [kept(vault.warehouse, "events", name) for name in ("held-one", "held-both")] == [0, 1]
    (entry,) = vault.done(f"{DATABASE}.held_events")
    assert (entry.dropped.reason, entry.dropped.cause, entry.dropped.rows) == (Reason.HOLD_RELEASE, "case-6", 1)
    assert "case-6" not in [hold.name for hold in store.active(vault.session)]
    assert not has_ttl(vault, "events")
    vault.order("hold.release", "case-7")
    assert kept(vault.warehouse, "events", "held-both") == 0
    assert has_ttl(vault, "events")
    assert vault.verified().faults == []


def test_a_release_that_is_cut_short_is_finished_by_the_order_that_comes_again(vault: Vault) -> None:
    write(vault.warehouse, "events", "held-cut", past_ms(vault.warehouse, "events"))
    vault.order("hold.set", "case-8", client_ids=["held-cut"], tables=["events"])
    whole = vault.session
    vault.session = Ending(whole, f"ALTER TABLE {DATABASE}.held_events DELETE", after=True)  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        vault.order("hold.release", "case-8")
    vault.session = whole
    vault.start_anew()
    vault.order("hold.release", "case-8")
    report = vault.verified()
    assert (report.faults, report.open, kept(vault.warehouse, "events", "held-cut")) == ([], {}, 0)


@pytest.mark.parametrize(
    ("name", "body", "reason"),
    [
        ("bad name", {"client_ids": ["c"]}, "a hold's name"),
        ("empty", {}, "names clients, a span"),
        ("table", {"client_ids": ["c"], "tables": ["clients"]}, "no hold can be on clients"),
        ("span", {"since_ms": 2, "until_ms": 1}, "ends after it begins"),
        ("number", {"since_ms": "1) OR 1=1"}, "number of milliseconds"),
        ("client", {"client_ids": [""]}, "names up to"),
    ],
)
def test_a_hold_that_says_nothing_is_refused(vault: Vault, name: str, body: dict[str, object], reason: str) -> None:
    with pytest.raises(OrderRefused, match=reason):
        vault.order("hold.set", name, **body)
    assert store.active(vault.session) == []


def test_a_name_is_taken_once_and_the_same_order_comes_twice(vault: Vault) -> None:
    hostile = "x') OR ('1'='1"
    for _ in range(2):
        vault.order("hold.set", "case-9", client_ids=[hostile], tables=["events"])
    with pytest.raises(OrderRefused, match="names other rows"):
        vault.order("hold.set", "case-9", client_ids=["somebody-else"], tables=["events"])
    (hold,) = store.active(vault.session)
    assert (hold.client_ids, hold.covers(hostile), hold.covers("somebody-else")) == ((hostile,), True, False)
    with pytest.raises(OrderRefused, match="there is no hold"):
        vault.order("hold.release", "case-10")


def test_auditors_read_what_is_held_and_analysts_do_not(vault: Vault, warehouse: Warehouse) -> None:
    write(warehouse, "events", "held-read", past_ms(warehouse, "events"))
    vault.order("hold.set", "case-11", client_ids=["held-read"], tables=["events"])
    vault.sweep()
    sql = f"SELECT event_id FROM held_events WHERE {named('held-read')}"
    assert warehouse.ask(sql, role=AUDITOR) == [{"event_id": "held-read"}]
    assert warehouse.refusal(sql, role=ANALYST) == _DENIED
    assert warehouse.refusal("SELECT * FROM holds", role=ANALYST) == _DENIED
    assert warehouse.ask(f"SELECT 1 FROM events WHERE {named('held-read')}") == []


def test_columns_that_a_later_version_adds_are_kept_too(vault: Vault, warehouse: Warehouse) -> None:
    warehouse.session.command(f"ALTER TABLE {DATABASE}.rejections ADD COLUMN later String DEFAULT 'new' COMMENT 'a test'")
    try:
        write(warehouse, "rejections", "held-column", now_ms())
        vault.order("hold.set", "case-12", client_ids=["held-column"], tables=["rejections"])
        sql = f"SELECT later FROM {DATABASE}.held_rejections WHERE {named('held-column')}"
        assert warehouse.session.rows(sql)[0][0] == "new"
    finally:
        # Dropping a column waits for a rewrite of the parts.
        warehouse.session.command(f"SYSTEM START MERGES {DATABASE}.rejections")
        for table in ("rejections", "held_rejections"):
            warehouse.session.command(f"ALTER TABLE {DATABASE}.{table} DROP COLUMN IF EXISTS later")


def test_a_deletion_that_does_not_end_is_an_engine_that_is_away(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sinks.retention.drops.delete", away)
    write(vault.warehouse, "heartbeats", "row-by-row", expiry_ms(vault.warehouse, "heartbeats") - HOUR_MS)
    assert "heartbeats_now" in vault.sweep().faults
    monkeypatch.undo()
    assert vault.sweep().faults == {}
    assert (vault.verified().open, stored(vault.warehouse, "heartbeats_now", "row-by-row")) == ({}, 0)


def away(*_: object) -> None:
    raise EngineUnavailable("a deletion is not done yet")


def has_ttl(vault: Vault, table: str) -> bool:
    sql = f"SELECT engine_full FROM system.tables WHERE database = '{DATABASE}' AND name = '{table}'"
    definition = str(vault.session.rows(sql)[0][0])
    assert RETENTIONS[table].interval
    return " TTL " in definition
