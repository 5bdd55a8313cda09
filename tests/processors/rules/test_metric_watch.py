"""Which heartbeats are passed on to the rules."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.rules import metric_watch
from processors.rules.engine import Engine
from processors.rules.loading import load_rules, read_rules
from processors.rules.metric_watch import MetricWatch
from tests.processors.rules.feed import MINUTE, NOON, heartbeat

RULES = """\
rules:
- {id: cpu, title: T, severity: low, source: heartbeats, detection: {cpu_usage|gte: 90}, clear: {cpu_usage|lt: 80}}
- {id: mem, title: T, severity: low, source: heartbeats, detection: {memory_usage|gt: 50, status: online}}
- {id: net, title: T, severity: low, source: heartbeats, detection: {network_activity|not|lt: 7}}
- {id: skew, title: T, severity: low, source: heartbeats, detection: [{skew_ms|gte: 10}, {skew_ms|lte: -10}]}
"""


def told(watch: MetricWatch, minute: float, client_id: str = "c", **fields: float | str) -> bool:
    at = int(NOON + minute * MINUTE)
    return watch.wants(client_id, at, heartbeat(at, client_id, **fields).fields)


def test_the_first_each_change_and_one_a_minute_while_it_matches() -> None:
    watch = MetricWatch(load_rules(RULES, "r"))
    assert [told(watch, 0), told(watch, 1), told(watch, 2, "d"), told(watch, 3)] == [True, False, True, False]
    assert [told(watch, m, cpu_usage=90) for m in (4, 4.5, 4.99, 5, 5.5, 6)] == [True, False, False, True, False, True]
    assert [told(watch, m, cpu_usage=85) for m in (7, 8, 9)] == [True, False, False]
    assert [told(watch, m, cpu_usage=79.9) for m in (10, 11)] == [True, False]
    assert [told(watch, 12, memory_usage=50), told(watch, 13, memory_usage=50.1)] == [False, True]
    assert [told(watch, 13.5, network_activity=n) for n in (6.9, 7)] == [True, True]
    assert [told(watch, 14, memory_usage=50.1, status="error"), told(watch, 14.1, skew_ms=-10)] == [True, True]
    assert [told(watch, 14.2, skew_ms=10), told(watch, 14.3, skew_ms=9)] == [False, True]


def test_without_rules_of_heartbeats_none_is_passed_on() -> None:
    assert not told(MetricWatch(load_rules("rules: []", "r")), 0)


NUMBERS = st.sampled_from([-10, -9.5, 0, 9.999, 10, 49, 50, 50.1, 79.9, 80, 89, 90, 91, 100])


@settings(deadline=None)
@given(st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS, st.sampled_from(["online", "error"])), max_size=20))
def test_what_is_kept_back_would_change_nothing(samples: list[tuple[float, float, float, str]]) -> None:
    rules = load_rules(RULES, "r")
    watch, all_of_them, passed_on = MetricWatch(rules), Engine(rules), Engine(rules)
    for n, (cpu, memory, skew, status) in enumerate(samples):
        beat = heartbeat(NOON + n * 10_000, cpu_usage=cpu, memory_usage=memory, skew_ms=skew, status=status)
        wanted = watch.wants("c", beat.timestamp, beat.fields)
        found = all_of_them.observe(beat)
        assert (passed_on.observe(beat) if wanted else []) == found


def test_a_rise_is_followed_in_steps() -> None:
    rule = "rules:\n- {id: r, title: T, severity: low, source: heartbeats, detection: {}, correlation: "
    rule += "{type: change, field: memory_usage, timespan: 10m, condition: {gte: 16}}}\n"
    watch = MetricWatch(load_rules(rule, "r"))
    values = [10, 11, 11.9, 12, 13, 13.9, 14, 10, 9]
    assert [told(watch, n, memory_usage=value) for n, value in enumerate(values)] == [
        True, False, False, True, False, False, True, True, False,
    ]  # fmt: skip


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metric_watch, "MAX_CLIENTS", 3)
    watch = MetricWatch(read_rules(None))
    assert all(told(watch, 0, name) for name in "abc")
    assert not any(told(watch, 1, name) for name in "abc")
    assert all(told(watch, 2, name) for name in "dabc")
