"""The engine as a whole: order, repetition, restarts, other rules, and what it keeps."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from processors.alerting.findings import Change, Finding
from processors.alerting.signals import SOURCES, Signal, Value
from processors.rules.engine import Engine
from processors.rules.language import FIELDS
from processors.rules.loading import load_rules, read_rules
from processors.rules.model import RuleSet
from tests.processors.rules.feed import DAY, MINUTE, NOON, Bench, event, liveness

WINDOWS = """\
rules:
- id: count
  title: %s
  severity: low
  source: events
  detection: {event_type: authentication_failure}
  correlation: {type: event_count, timespan: 10s, condition: {gte: %s}}
- id: distinct
  title: T
  severity: low
  source: events
  detection: {event_type: authentication_failure}
  correlation: {type: value_count, field: client_id, group_by: [source_ip_pseudonym], timespan: 10s, condition: {gte: 3}}
"""
RULES = load_rules(WINDOWS % ("T", 4), "r")

# Mostly what rules ask for, so that they do match.
SCALARS = st.sampled_from(
    [
        "authentication_failure",
        "high",
        "edge",
        "offline",
        "missed_heartbeats",
        "error",
        "conflict",
        "clone",
        "failed",
        "audit.x",
    ]
) | st.one_of(st.none(), st.booleans(), st.integers(-(2**62), 2**62), st.floats(), st.text(max_size=5))
TIMES = st.lists(st.integers(NOON, NOON + 10_000), min_size=1, max_size=9, unique=True)


def failures(times: list[int]) -> list[Signal]:
    return [event(at, "abc"[n % 3], event_id=f"e{n}", source_ip_pseudonym="p") for n, at in enumerate(times)]


def found(signals: list[Signal], rules: RuleSet = RULES) -> list[Finding]:
    bench = Bench(rules)
    bench.see(*signals)
    bench.clock(NOON + 10_000)
    bench.clock(NOON + DAY)
    assert bench.standing() == []
    return bench.found


@settings(deadline=None)
@given(TIMES, st.randoms())
def test_in_any_order_and_however_often_a_window_is_found_once(times: list[int], random_: random.Random) -> None:
    """All within one window: the findings are the same; with more signals than needed, the run may begin elsewhere."""
    signals = failures(times)
    shuffled = [*signals, *random_.choices(signals, k=len(signals))]
    random_.shuffle(shuffled)
    one, other = found(signals), found(shuffled)
    assert sorted((f.rule, f.change, *f.group.values()) for f in one) == sorted(
        (f.rule, f.change, *f.group.values()) for f in other
    )
    per_client = [sum(s.client_id == client for s in signals) for client in "abc"]
    assert sum(f.rule == "count" and f.change is Change.BEGINS for f in other) == sum(n >= 4 for n in per_client)
    assert sum(f.rule == "distinct" and f.change is Change.BEGINS for f in other) == (all(per_client))


@settings(deadline=None)
@given(st.permutations(range(4)), st.lists(st.integers(0, 3), max_size=6))
def test_as_many_as_are_needed_are_the_same_finding_in_any_order(order: list[int], again: list[int]) -> None:
    signals = [event(NOON + n * 3_000) for n in range(4)]
    bench = Bench(RULES)
    bench.see(*(signals[n] for n in [*order, *again]))
    [begun] = bench.of("count")
    assert begun.key == ("c", signals[0].signal_id)
    assert (begun.timestamp, begun.evidence["count"], begun.evidence["first"]) == (NOON + 9_000, 4, NOON)


@settings(deadline=None)
@given(TIMES, st.data())
def test_a_restart_anywhere_changes_nothing(times: list[int], data: st.DataObject) -> None:
    signals = failures([at + 6_000 * n for n, at in enumerate(times)])
    plain, table, restarted = Bench(RULES), dict[bytes, bytes](), Bench(RULES)
    for signal in signals:
        for bench in (plain, restarted):
            bench.clock(signal.timestamp)
            bench.see(signal)
        if data.draw(st.booleans()):
            table = persisted(table, restarted.engine)
            restarted.engine = Engine(RULES)
            restarted.engine.restore(table.items())
    plain.clock(NOON + DAY)
    restarted.clock(NOON + DAY)
    assert sorted(restarted.found, key=str) == sorted(plain.found, key=str)


def persisted(table: dict[bytes, bytes], engine: Engine) -> dict[bytes, bytes]:
    after: dict[bytes, bytes | None] = {**table, **engine.changes()}
    return {key: value for key, value in after.items() if value is not None}


def half_full() -> Bench:
    bench = Bench(RULES)
    bench.see(*(event(NOON + n) for n in range(3)))
    return bench


@pytest.mark.parametrize("restarted", [False, True])
def test_other_rules_keep_the_windows_of_those_that_mean_the_same(restarted: bool) -> None:
    bench = half_full()
    other = load_rules(WINDOWS % ("Another title", 4) + "  for: 1s\n", "r")
    if restarted:
        table = persisted({}, bench.engine)
        bench.engine = Engine(other)
        bench.engine.restore(table.items())
    else:
        assert bench.engine.reload(other) == []
    [begun] = bench.see(event(NOON + 3))
    assert (begun.rule, begun.summary) == ("count", "Another title")
    [ended] = [each for each in bench.clock(NOON + MINUTE) if each.change is Change.ENDS]
    assert ended.summary == "Over: Another title"


def test_other_rules_start_the_windows_of_those_that_mean_something_else_anew() -> None:
    bench = half_full()
    assert bench.engine.reload(load_rules(WINDOWS % ("T", 3), "r")) == []
    assert bench.see(event(NOON + 3)) == []
    assert not any(b"e0" in key for key, value in bench.engine.changes().items() if value is not None)


@pytest.mark.parametrize("text", ["rules: []", WINDOWS % ("T", 3)])
@pytest.mark.parametrize("restarted", [False, True])
def test_what_stood_of_a_rule_that_is_no_more_ends(text: str, restarted: bool) -> None:
    bench = half_full()
    [begun] = bench.see(event(NOON + 3))
    other = load_rules(text, "r")
    if restarted:
        table = persisted({}, bench.engine)
        bench.engine = Engine(other)
        bench.engine.restore(table.items())
        ended = bench.clock(NOON + MINUTE)
    else:
        table = persisted({}, bench.engine)
        ended = bench.engine.reload(other)
    assert [(each.change, each.rule, each.key, each.severity) for each in ended] == [
        (Change.ENDS, "count", begun.key, "low")
    ]
    assert [key for key in persisted(table, bench.engine) if b"group" in key] == []


def test_only_what_changed_is_given_out_and_what_is_not_ours_is_left_alone() -> None:
    bench = Bench(RULES)
    assert bench.engine.changes() == {}
    bench.see(event(NOON, event_type="system_error"))
    assert bench.engine.changes() == {}
    bench.see(event(NOON))
    assert len(bench.engine.changes()) == 1
    bench.see(liveness(NOON, "c", "online"))
    assert bench.engine.changes() == {b"rules/client/c": b'"n"'}
    bench.see(liveness(NOON + 1, "c", "late"))
    assert bench.engine.changes() == {}
    bench.see(liveness(NOON + 2, "c", "offline", reason="reported"))
    assert bench.engine.changes() == {b"rules/client/c": None}
    bench.clock(NOON)
    assert bench.engine.changes() == {b"rules/clock": b"%d" % NOON}
    bench.clock(NOON - 1)
    assert (bench.engine.changes(), bench.engine.clock_ms) == ({}, NOON)
    bench.engine.restore([(b"desk/x", b"?")])
    assert bench.engine.clock_ms == 0


def test_a_group_that_is_forgotten_and_comes_again_leaves_nothing_of_its_old_self() -> None:
    bench = half_full()
    table = persisted({}, bench.engine)
    assert len(table) == 3
    bench.clock(NOON + 2 * DAY)
    bench.see(event(NOON + 2 * DAY))
    left = sorted(persisted(table, bench.engine))
    assert len(left) == 2
    assert left[0] == b"rules/clock"
    assert b"e%d" % (NOON + 2 * DAY) in left[1]


def test_a_mass_outage_writes_each_client_once() -> None:
    bench = Bench(read_rules(None))
    bench.see(*(liveness(NOON - DAY + n, f"c{n}", "online") for n in range(2_000)))
    bench.engine.changes()
    gone = [liveness(NOON + n, f"c{n}", "offline", silent_since=1) for n in range(2_000)]
    bench.see(*gone[:1_900])
    bench.engine.changes()
    for signal in gone[1_900:]:
        bench.see(signal)
        changes = bench.engine.changes()
        assert len(changes) < 12
        assert max(len(value or b"") for value in changes.values()) < 1_000


@pytest.mark.parametrize("value", [["x"], {"a": 1}, "\ud800", 1 << 63, b"x"])
@pytest.mark.parametrize("field", ["event_type", "source_ip_pseudonym", "event_id", "severity"])
def test_a_signal_that_is_none_is_refused_before_anything_comes_of_it(field: str, value: Any) -> None:
    bench = Bench(read_rules(None))
    one = event(NOON, severity="high")
    with pytest.raises(ValueError, match="field"):
        bench.see(one._replace(fields={**one.fields, field: value}))
    assert bench.engine.changes() == {}
    assert len(bench.see(one)) == 1


@settings(deadline=None)
@example("blind", "", None, -1, {"end": False})
@given(
    st.sampled_from(SOURCES),
    st.text(max_size=3),
    st.none() | st.text(max_size=3),
    st.integers(-(2**62), 2**62),
    st.dictionaries(st.sampled_from(sorted({f for fields in FIELDS.values() for f in fields})), SCALARS, max_size=12),
)
def test_whatever_a_signal_says_it_leads_to_state_that_can_be_restored(
    source: str, client_id: str, node_id: str | None, at: int, fields: dict[str, Value]
) -> None:
    bench = Bench(read_rules(None))
    signal = Signal("s", source, client_id, node_id, at, at, fields)
    bench.see(signal, signal)
    bench.clock(max(1, at))
    table = persisted({}, bench.engine)
    bench.engine.restore(table.items())
    bench.clock(max(1, at) + 40 * DAY)
    assert all(finding.summary.isprintable() for finding in bench.found)
