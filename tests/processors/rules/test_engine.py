"""The engine as a whole: order, repetition, restarts, other rules, and what it keeps."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.alerting.findings import Change, Finding
from processors.alerting.signals import Signal
from processors.rules.engine import Engine
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


@given(st.permutations(range(4)), st.lists(st.integers(0, 3), max_size=6))
def test_as_many_as_are_needed_are_the_same_finding_in_any_order(order: list[int], again: list[int]) -> None:
    signals = [event(NOON + n * 3_000) for n in range(4)]
    bench = Bench(RULES)
    bench.see(*(signals[n] for n in [*order, *again]))
    [begun] = bench.of("count")
    assert begun.key == ("c", signals[0].signal_id)
    assert (begun.timestamp, begun.evidence["count"], begun.evidence["first"]) == (NOON + 9_000, 4, NOON)


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
    bench.clock(NOON + DAY)
    bench.see(event(NOON + DAY))
    left = sorted(persisted(table, bench.engine))
    assert len(left) == 2
    assert left[0] == b"rules/clock"
    assert b"e%d" % (NOON + DAY) in left[1]


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
