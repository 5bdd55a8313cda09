"""A client is erased: no column of any table names it, others keep what is theirs, and the audit still verifies."""

from __future__ import annotations

import json
import secrets
from typing import Any

import pytest

from sinks import erasure
from sinks.audit.pseudonyms import clients_of, renamed
from sinks.errors import ErasureFailed
from sinks.holds.hold import hold_of
from tests.sinks.audit.log import AuditLog, audit_row
from tests.sinks.samples import (
    alert,
    audit,
    client,
    client_key,
    event,
    heartbeat,
    liveness,
    registration,
    rejection,
    session,
)
from tests.sinks.warehouse import Warehouse

REST = ("audit_log", "audit_checkpoints", "schema_migrations")


def named_in(warehouse: Warehouse, text: str) -> set[str]:
    """The tables whose rows have the text in any column, however they show it."""
    tables = warehouse.session.rows(
        "SELECT name FROM system.tables "
        "WHERE database = 'viworks' AND engine LIKE '%MergeTree' AND NOT startsWith(name, '_')"
    )
    found = "SELECT countIf(position(toString(tuple(*)), '{}') > 0) FROM viworks.{} SETTINGS final = 0"
    return {name for (name,) in tables if warehouse.session.rows(found.format(text, name))[0][0]}


@pytest.fixture
def log(warehouse: Warehouse) -> AuditLog:
    for table in ("audit_log", "audit_checkpoints"):
        ((definition,),) = warehouse.session.rows(f"SELECT create_table_query FROM system.tables WHERE name = '{table}'")
        warehouse.session.command(f"DROP TABLE viworks.{table} SYNC")
        warehouse.session.command(definition)
    return AuditLog(warehouse)


def fill(warehouse: Warehouse, name: str, other: str) -> None:
    """Everything that names a client, and what somebody else's rows may say of it."""
    warehouse.fill("heartbeats", "heartbeat", heartbeat(name), heartbeat(other))
    warehouse.fill("sessions", "session", session(name, "s"), session(other, f"with {name}"))
    warehouse.fill("events", "event", event(name, "e"), event(other, f"{name}/1", user_agent=f"{name},{name}."))
    warehouse.fill("liveness_transitions", "liveness", liveness(name, "online"), liveness(other, "online"))
    warehouse.fill("clients", "client", client(name), client(other, capabilities=["vpn", name]))
    warehouse.fill("client_keys", "client_key", client_key(name))
    warehouse.fill("registrations", "registration", registration(name))
    warehouse.fill("rejections", "rejection", rejection(f"r-{name}", client_id=name))
    mass = json.dumps({"clients": [name, other, f"{name}0"]})
    about = [
        alert(name, "a", "firing"),
        alert("", f"mass-{secrets.token_hex(4)}", "firing", evidence=mass, summary=f"{name} and 1 other."),
    ]
    warehouse.fill("alerts", "alert", *about)
    warehouse.session.command(
        "INSERT INTO viworks.audit_unchained (audit_id, timestamp, actor, action, subject, details) "
        f"VALUES ('u-1', now(), '{name}', 'client.register', '{name}', '{{}}')"
    )


def test_no_column_names_it_and_others_keep_their_rows(warehouse: Warehouse, log: AuditLog) -> None:
    name, other = f"gone-{secrets.token_hex(8)}", f"stays-{secrets.token_hex(8)}"
    fill(warehouse, name, other)
    details = json.dumps({"client_id": other, "note": name})
    log.write(
        [audit_row(0, action="client.register", subject=name, actor=name), audit_row(1, subject=other, details=details)]
    )
    log.seal()
    subjects = warehouse.ask(f"SELECT subject FROM viworks.audit WHERE subject = '{name}'")
    assert subjects == [{"subject": name}] * 2, "before it is erased, the audit shows its name"
    assert named_in(warehouse, name) >= {"heartbeats", "heartbeat_rollups", "heartbeats_now", "alerts", "audit_subjects"}
    kept = {table: rows_of(warehouse, table, other) for table in ("heartbeats", "sessions", "events", "clients")}

    ((pseudonym,),) = warehouse.session.rows(f"SELECT pseudonym FROM viworks.audit_subjects WHERE client_id = '{name}'")
    assert erasure.client_of(warehouse.session, pseudonym) == name
    done = erasure.erase(warehouse.session, name, pseudonym)

    assert done.deleted["heartbeats"] == 1
    assert erasure.client_of(warehouse.session, pseudonym) is None
    # A longer name that begins with it is somebody else's.
    warehouse.session.command(
        f"ALTER TABLE viworks.alerts DELETE WHERE position(evidence, '{name}0') > 0 SETTINGS mutations_sync = 2"
    )
    assert named_in(warehouse, name) == {"audit_log"}, "what somebody wrote into a note is left: see the decision"
    assert {table: rows_of(warehouse, table, other) for table in kept} == kept
    assert warehouse.one(f"SELECT user_agent FROM viworks.events WHERE client_id = '{other}'") == {
        "user_agent": f"{pseudonym},{pseudonym}."
    }
    shown = [each["subject"] for each in warehouse.ask("SELECT subject FROM viworks.audit WHERE action = 'client.register'")]
    assert pseudonym in shown
    assert name not in shown
    assert log.seal() == [], "the log is what was signed"
    again = erasure.erase(warehouse.session, name, "")
    assert (again.deleted, again.renamed) == ({}, {})


def test_a_hold_finds_the_records_of_the_audit_under_their_pseudonyms(warehouse: Warehouse, log: AuditLog) -> None:
    log.write([audit_row(number, action="client.register", subject=f"kept-{number}") for number in (0, 1)])
    hold = hold_of("h", {"client_ids": ["kept-1"], "tables": ["audit_log"]}, 0, "somebody", "o-1")
    found = f"SELECT _offset FROM viworks.audit_log WHERE {hold.predicate('audit_log')}"
    assert warehouse.session.rows(found) == [(1,)]


def rows_of(warehouse: Warehouse, table: str, client_id: str) -> int:
    return int(warehouse.session.rows(f"SELECT count() FROM viworks.{table} WHERE client_id = '{client_id}'")[0][0])


def test_a_record_names_its_clients_by_pseudonyms_wherever_they_are_words() -> None:
    record = audit(
        "a",
        action="client.revoke",
        subject="lap.7",
        actor="admin",
        details=json.dumps({"reason": "lap.7 was stolen, with lap.7: see lapx7 and lap.77", "order": {"clients": ["b", 3]}}),
    )
    assert clients_of(record) == {"lap.7", "b"}
    after = renamed(record, {"lap.7": "subject-1", "b": "subject-2"})
    assert (after["subject"], after["actor"]) == ("subject-1", "admin")
    assert json.loads(after["details"]) == {
        "reason": "subject-1 was stolen, with subject-1: see lapx7 and lap.77",
        "order": {"clients": ["subject-2", 3]},
    }
    assert clients_of(after) == set()


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"action": "client.register", "subject": "c", "actor": "c"}, {"c"}),
        ({"action": "client.revoke", "subject": "c", "actor": "admin"}, {"c"}),
        ({"action": "enrolment.claim", "subject": "token", "actor": "c"}, {"c"}),
        ({"action": "query", "subject": "q", "actor": "sql:x"}, set()),
        ({"action": "alert.silence", "subject": "s", "actor": "admin", "details": '{"client_id": "c"}'}, {"c"}),
        ({"action": "policy.set", "subject": "p", "actor": "admin", "details": "no json"}, set()),
        ({"action": "policy.set", "subject": "p", "actor": "admin", "details": "[" * 5_000}, set()),
    ],
)
def test_clients_are_found(changes: dict[str, Any], names: set[str]) -> None:
    assert clients_of(audit("a", **changes)) == names


@pytest.mark.parametrize("text", ["", "a b", "' OR 1", "é", "-x", "x" * 129])
def test_what_is_no_client_id_is_refused(warehouse: Warehouse, text: str) -> None:
    with pytest.raises(ErasureFailed):
        erasure.erase(warehouse.session, text, "")
