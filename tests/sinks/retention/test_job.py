"""The job by a clock that is given: when it looks, and what it tells the audit."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sinks.errors import RecordUndelivered
from sinks.records import Outgoing
from sinks.retention.job import RetentionJob
from sinks.tables import DATABASE
from tests.sinks.retention.conftest import Vault
from tests.sinks.retention.rows import expiry_ms, stored, write
from tests.sinks.retention.test_manifest import Refusing
from tests.sinks.samples import DAY_MS, HOUR_MS, now_ms
from tests.sinks.warehouse import Warehouse


class Audit:
    """What was written; away while ``away``."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []
        self.away = False

    async def write(self, records: list[Outgoing]) -> None:
        if self.away:
            raise RecordUndelivered("NoBroker")
        self.records += [record for _, record in records]

    def of(self, table: str, action: str = "retention_drop") -> list[dict[str, Any]]:
        return [each for each in self.records if (each["action"], each["subject"]) == (action, table)]


class Clock:
    def __init__(self) -> None:
        self.now_ms = now_ms()

    def __call__(self) -> int:
        return self.now_ms


def job(vault: Vault, audit: Audit, clock: Clock) -> RetentionJob:
    return RetentionJob(
        vault.warehouse.engine,
        vault.sweeper,
        vault.manifest,
        audit.write,
        clock,
        data_dir=vault.directory,
        interval_s=600,
    )


async def test_a_pass_is_due_by_the_clock_and_each_drop_is_audited_once(vault: Vault) -> None:
    audit, clock = Audit(), Clock()
    working = job(vault, audit, clock)
    await working.tick()
    write(vault.warehouse, "sessions", "job-audited", expiry_ms(vault.warehouse, "sessions") - HOUR_MS)
    await working.tick()
    assert stored(vault.warehouse, "sessions", "job-audited") == 1
    clock.now_ms += 600_000
    audit.away = True
    await working.tick()
    assert stored(vault.warehouse, "sessions", "job-audited") == 0
    audit.away = False
    before = len(audit.of("sessions"))
    await working.tick()
    (record,) = audit.of("sessions")[before:]
    assert (record["actor"], record["outcome"]) == ("retention", "done")
    details = json.loads(record["details"])
    assert (details["rows"], details["reason"], details["oldest"]) == (1, "retention", details["newest"])
    vault.start_anew()
    await job(vault, audit, clock).tick()
    assert audit.of("sessions")[before:] == [record]


async def test_a_drop_that_fails_and_rows_that_stay_raise_the_alert(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    audit, clock = Audit(), Clock()
    write(vault.warehouse, "sessions", "job-stuck", expiry_ms(vault.warehouse, "sessions") - 5 * DAY_MS)
    working = job(vault, audit, clock)
    session = Refusing(vault.session)
    monkeypatch.setattr(session, "close", lambda: None, raising=False)
    monkeypatch.setattr(type(vault.warehouse.engine), "session", lambda _: session)
    await working.tick()
    failed = [*audit.of("sessions"), *audit.of("sessions", "retention_run"), *audit.of("sessions", "retention_overdue")]
    assert {each["outcome"] for each in failed} == {"failed"}
    assert {each["action"] for each in failed} == {"retention_drop", "retention_run", "retention_overdue"}


async def test_a_manifest_that_cannot_be_written_is_told(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    audit = Audit()
    (vault.directory / "audit.key").unlink()
    write(vault.warehouse, "sessions", "job-keyless", expiry_ms(vault.warehouse, "sessions") - HOUR_MS)
    await job(vault, audit, Clock()).tick()
    assert stored(vault.warehouse, "sessions", "job-keyless") == 1
    assert [(each["action"], each["outcome"]) for each in audit.records] == [("retention_run", "failed")]


def test_the_state_says_what_waits_in_a_table(vault: Vault, warehouse: Warehouse) -> None:
    warehouse.session.command(f"TRUNCATE TABLE {DATABASE}.alerts")
    expiry = expiry_ms(warehouse, "alerts")
    for number, at in enumerate((expiry - HOUR_MS, expiry + DAY_MS)):
        write(warehouse, "alerts", f"state-{number}", at)
    warehouse.session.command(f"SYSTEM START MERGES {DATABASE}.alerts")
    warehouse.session.command(f"OPTIMIZE TABLE {DATABASE}.alerts FINAL")
    (state,) = [each for each in vault.sweep().states if each.table == "alerts"]
    if state.rows == 2:
        assert (state.expired, state.times and state.times.last) == (1, expiry + DAY_MS)
        assert state.next_drop_ms == pytest.approx(now_ms() + DAY_MS, abs=600_000)
    else:
        assert (state.expired, state.rows) == (0, 1), "the two stand in different months"
    sql = f"SELECT rows, expired FROM {DATABASE}.retention_state FINAL WHERE table_name = 'alerts'"
    assert tuple(warehouse.session.rows(sql)[0]) == (state.rows, state.expired)
