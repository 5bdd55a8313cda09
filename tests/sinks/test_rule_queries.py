"""`viworks rules sql`: what fires a shipped rule is found in the warehouse too, and what only looks like it is not."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from infra.rule_queries import rule_query
from processors.alerting.signals import Signal
from processors.rules.loading import load_rules, read_rules
from processors.rules.model import Rule
from schemas.topics import DAY_MS
from sinks.sql_port.roles import ANALYST, AUDITOR
from tests.processors.rules.feed import MINUTE, event
from tests.processors.rules.test_default_rules import CASES
from tests.sinks import samples
from tests.sinks.warehouse import Warehouse

RULES = {rule.id: rule for rule in read_rules(None).rules}
DAY_S = DAY_MS // 1000
# What the processors alone see: no table holds it, so the query asks for the alerts that were told.
TOLD_ONLY = ("identity_clone", "identity_conflict", "ingest_blind")
TABLES = ("events", "liveness_transitions", "heartbeats", "clients", "alerts")


@pytest.fixture
def empty(warehouse: Warehouse) -> Warehouse:
    """Rules about the whole fleet see whatever there is."""
    for table in TABLES:
        warehouse.session.command(f"TRUNCATE TABLE viworks.{table}")
    return warehouse


def put(warehouse: Warehouse, signals: Iterable[Signal]) -> None:
    """The records that lead to these signals, the last of them a moment ago."""
    all_ = [*signals]
    by = samples.now_ms() - 1_000 - max(each.timestamp for each in all_)
    owners = {each.client_id: samples.client(each.client_id, node_id=each.node_id) for each in all_ if each.client_id}
    write(warehouse, "clients", "client", owners.values())
    for source, (table, schema, record) in RECORDS.items():
        write(warehouse, table, schema, [record(each, each.timestamp + by) for each in all_ if each.source == source])


def write(warehouse: Warehouse, table: str, schema: str, records: Iterable[dict[str, Any]]) -> None:
    rows = [samples.row(schema, record, warehouse.next_offset(), 1_000) for record in records]
    if rows:
        assert not warehouse.write(table, rows)


def of_event(signal: Signal, at: int) -> dict[str, Any]:
    fields = {"source_ip": None, "source_ip_pseudonym": None, "error_code": None, **signal.fields}
    return samples.event(signal.client_id, str(fields.pop("event_id")), timestamp=at, received_at=at, **fields)


def of_liveness(signal: Signal, at: int) -> dict[str, Any]:
    fields = {name: signal.fields[name] for name in ("reason", "previous_state")}
    return samples.liveness(signal.client_id, str(signal.fields["state"]), timestamp=at, **fields)


def of_heartbeat(signal: Signal, at: int) -> dict[str, Any]:
    fields = dict(signal.fields)
    skew = int(fields.pop("skew_ms") or 0)
    return samples.heartbeat(signal.client_id, timestamp=at + skew, received_at=at, **fields)


Record = Callable[[Signal, int], dict[str, Any]]
RECORDS: dict[str, tuple[str, str, Record]] = {
    "events": ("events", "event", of_event),
    "liveness": ("liveness_transitions", "liveness", of_liveness),
    "heartbeats": ("heartbeats", "heartbeat", of_heartbeat),
}


def ask(warehouse: Warehouse, rule: Rule) -> list[dict[str, Any]]:
    role = AUDITOR if rule.source == "audit" else ANALYST
    return warehouse.ask(rule_query(rule, DAY_S), role=role)


@pytest.mark.parametrize("name", [name for name in CASES if name not in TOLD_ONLY and RULES[name].source != "audit"])
def test_what_fires_a_rule_is_found_and_what_only_looks_like_it_is_not(name: str, empty: Warehouse) -> None:
    put(empty, CASES[name].fires)
    found = ask(empty, RULES[name])
    assert len(found) == 1, found
    assert CASES[name].client_id in ("", found[0].get("client_id"))
    for table in TABLES:
        empty.session.command(f"TRUNCATE TABLE viworks.{table}")
    put(empty, CASES[name].quiet)
    assert ask(empty, RULES[name]) == []


@pytest.mark.parametrize("name", TOLD_ONLY)
def test_what_no_table_holds_is_asked_of_the_alerts(name: str, empty: Warehouse) -> None:
    empty.fill("alerts", "alert", samples.alert("c", name, "firing", rule=name), samples.alert("c", "x", "firing", rule="x"))
    assert [row["alert_id"] for row in ask(empty, RULES[name])] == [name]


def test_audit_rules_are_the_auditors(empty: Warehouse) -> None:
    assert ask(empty, RULES["audit_broken"]) == []
    empty.session.command(
        "INSERT INTO viworks.audit_unchained (audit_id, timestamp, action, outcome)"
        " VALUES ('rule-query', now64(3), 'audit.verify', 'failed'), ('rule-query-2', now64(3), 'audit.verify', 'accepted')"
    )
    assert [row["action"] for row in ask(empty, RULES["audit_broken"])] == ["audit.verify"]
    query = rule_query(RULES["audit_broken"], DAY_S)
    assert empty.refusal(query, role=ANALYST) == 497


SEQUENCES = """
rules:
- id: ordered
  title: first, then second
  severity: low
  source: events
  correlation:
    type: temporal_ordered
    timespan: 10m
    steps:
    - {name: first, detection: {event_type: certificate_error}}
    - {name: second, detection: {event_type: system_error}}
- id: together
  title: both
  severity: low
  source: events
  correlation:
    type: temporal
    timespan: 10m
    steps:
    - {name: first, detection: {event_type: certificate_error}}
    - {name: second, detection: {event_type: system_error}}
- id: unanswered
  title: nothing follows
  severity: low
  source: events
  detection: {event_type: certificate_error}
  correlation: {type: absence, timespan: 10m, expected: {event_type: system_error}}
- id: worded
  title: words that would break out of a text
  severity: low
  source: events
  detection: {error_code: ["it's", 'a\\b'], user_agent|contains: "'", source_ip: null, event_type|not: system_error}
"""


def moments(*kinds: tuple[str, int]) -> list[Signal]:
    return [event(at, event_type=kind) for kind, at in [*kinds, ("connection_attempt", 60 * MINUTE)]]


@pytest.mark.parametrize(
    ("signals", "found"),
    [
        (moments(("certificate_error", 0), ("system_error", 10 * MINUTE)), {"ordered", "together"}),
        (moments(("system_error", 0), ("certificate_error", 10 * MINUTE)), {"together", "unanswered"}),
        (moments(("certificate_error", 0), ("system_error", 10 * MINUTE + 1)), {"unanswered"}),
        ([event(0, error_code="it's", user_agent="o'k"), event(1, error_code="a\\b", user_agent="'")], {"worded"}),
        ([event(0, error_code="it's", user_agent="ok"), event(1, error_code="a\\b", user_agent="'", source_ip="x")], set()),
    ],
)
def test_sequences_absence_and_any_text(signals: list[Signal], found: set[str], empty: Warehouse) -> None:
    put(empty, signals)
    rules = load_rules(SEQUENCES, "test.yaml").rules
    assert {rule.id for rule in rules if ask(empty, rule)} == found


def test_a_query_names_its_rule_and_is_one_statement() -> None:
    for rule in RULES.values():
        query = rule_query(rule, DAY_S)
        assert query.startswith(f"-- {rule.id}: ")
        assert re.search(r"^SELECT ", query, re.MULTILINE)
        assert ";" not in query
