"""What each kind of rule finds, beside the shipped rules."""

from __future__ import annotations

import pytest

from processors.alerting.findings import Change
from processors.alerting.signals import Signal
from processors.rules import life
from processors.rules.groups import MAX_FOUND
from tests.processors.rules.feed import DAY, HOUR, MINUTE, NOON, Bench, event, heartbeat, liveness, signal

T = NOON
HEAD = "rules:\n- id: r\n  title: T\n  severity: low\n"
BURST = (
    f"{HEAD}  source: events\n  detection: {{}}\n  correlation: {{type: event_count, timespan: 1s, condition: {{gte: 3}}}}\n"
)


def bursts(times: list[int]) -> Bench:
    bench = Bench(BURST)
    for at in times:
        bench.see(event(at))
    return bench


@pytest.mark.parametrize(
    ("times", "found"),
    [
        ([0, 500], 0),
        ([0, 500, 1_000], 1),
        ([0, 500, 1_001], 0),
        ([0, 600, 1_200, 1_300], 1),
        ([0, 100, 200, 300, 400, 900], 1),
        ([0, 100, 200, 5_000, 5_100, 5_200], 2),
        ([1_000, 0, 500], 1),
        ([90_000, 90_100, 0, 100, 200], 1),
        # what goes on is one finding, however long
        ([n * 400 for n in range(20)], 1),
    ],
)
def test_one_finding_a_window_in_whatever_order(times: list[int], found: int) -> None:
    assert len(bursts(times).of("r")) == found


def test_a_count_stands_while_it_goes_on_and_begins_anew_after_it_ended() -> None:
    bench = bursts([0, 1, 2])
    bench.see(event(900))
    assert bench.clock(1_899) == []
    [ended] = bench.clock(5_000)
    assert (ended.timestamp, ended.evidence) == (1_900, {"since": 2, "quiet_since": 900})
    bench.see(*(event(at) for at in (4_000, 4_001, 4_002)))
    assert [finding.key for finding in bench.of("r")] == [("c", "events/c/e0"), ("c", "events/c/e4000")]


def test_what_was_spooled_stands_for_its_time_after_it_came() -> None:
    bench = Bench(BURST)
    bench.clock(DAY)
    bench.see(event(0), event(1), event(2))
    assert len(bench.of("r")) == 1
    assert bench.clock(DAY + 999) == []
    assert [finding.change for finding in bench.clock(DAY + 1_000)] == [Change.ENDS]


def test_the_same_signals_again_change_nothing() -> None:
    signals = [event(at) for at in range(5)]
    bench = Bench(BURST)
    bench.see(*signals)
    bench.engine.changes()
    assert bench.see(*signals) == []
    assert bench.engine.changes() == {}
    bench.clock(MINUTE)
    assert bench.see(*signals) == []
    assert len(bench.found) == 2


TRAVEL = f"""{HEAD}  source: events
  correlation:
    type: %s
    timespan: 1m
    steps:
    - {{name: refused, detection: {{event_type: certificate_error}}}}
    - {{name: violated, detection: {{event_type: policy_violation}}}}
    - {{name: silent, source: liveness, detection: {{state: offline}}}}
"""
REFUSED, VIOLATED = event(T, event_type="certificate_error"), event(T + 10_000, event_type="policy_violation")
SILENT = liveness(T + 50_000, "c", "offline")


@pytest.mark.parametrize("kind", ["temporal", "temporal_ordered"])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_a_sequence_is_found_in_whatever_order_it_comes(kind: str, order: tuple[int, ...]) -> None:
    bench = Bench(TRAVEL % kind)
    steps = (REFUSED, VIOLATED, SILENT)
    assert bench.see(*(steps[n] for n in order[:2])) == []
    [found] = bench.see(steps[order[2]], steps[order[2]])
    assert (found.client_id, found.timestamp) == ("c", T + 50_000)
    assert [step["step"] for step in found.evidence["steps"]] == ["refused", "violated", "silent"]
    assert [ended.change for ended in bench.clock(T + 2 * MINUTE)] == [Change.ENDS]


def test_a_sequence_needs_its_window_its_client_and_its_order() -> None:
    late = SILENT._replace(timestamp=T + 60_001)
    other = SILENT._replace(client_id="d")
    early = SILENT._replace(timestamp=T - 1)
    for kind, third, found in [
        ("temporal", late, 0),
        ("temporal", other, 0),
        ("temporal", early, 1),
        ("temporal_ordered", early, 0),
        ("temporal_ordered", SILENT, 1),
    ]:
        bench = Bench(TRAVEL % kind)
        bench.see(REFUSED, VIOLATED, third)
        assert len(bench.of("r")) == found, (kind, third)


ABSENT = f"{HEAD}  source: liveness\n  detection: {{state: error}}\n  correlation: {{type: absence, timespan: 1m%s}}\n"
TRIGGER = liveness(T, "c", "error", reason="reported")


def test_what_is_expected_and_does_not_come_is_found_until_it_comes() -> None:
    bench = Bench(ABSENT % ", expected: {state: online}")
    bench.see(TRIGGER, TRIGGER)
    assert bench.clock(T + MINUTE - 1) == []
    [begun] = bench.clock(T + MINUTE)
    assert (begun.key, begun.timestamp) == (("c", TRIGGER.signal_id), T + MINUTE)
    [ended] = bench.see(liveness(T + 2 * MINUTE, "c", "online"))
    assert ended.key == begun.key
    assert bench.see(TRIGGER) == []
    assert bench.clock(T + HOUR) == []


@pytest.mark.parametrize("first", [True, False])
def test_what_comes_in_time_is_not_absent(first: bool) -> None:
    bench = Bench(ABSENT % ", expected: {state: online}")
    pair = [TRIGGER, liveness(T + MINUTE, "c", "online")]
    bench.see(*(pair if first else reversed(pair)))
    assert bench.clock(T + HOUR) == []


def test_what_came_before_or_of_another_is_absent_all_the_same() -> None:
    bench = Bench(ABSENT % ", expected: {state: online}")
    bench.see(liveness(T - 1, "c", "online"), TRIGGER, liveness(T + 1, "d", "online"))
    assert len(bench.clock(T + MINUTE)) == 1


def test_silence_is_found_once_something_was_heard() -> None:
    bench = Bench(ABSENT % "")
    assert bench.clock(T) == []
    bench.see(TRIGGER, liveness(T + 30_000, "c", "error"))
    assert bench.clock(T + 89_999) == []
    [begun] = bench.clock(T + 90_000)
    assert begun.evidence["last"] == T + 30_000
    [ended] = bench.see(liveness(T + 95_000, "c", "error"))
    assert (ended.change, ended.key) == (Change.ENDS, begun.key)
    assert bench.see(TRIGGER, liveness(T + 30_000, "c", "error")) == []
    assert len(bench.clock(T + 155_000)) == 1


RISE = (
    f"{HEAD}  source: heartbeats\n  detection: {{}}\n"
    "  correlation: {type: change, field: memory_usage, timespan: 10m, condition: {gte: 30}}\n"
    '  summary: "from {from} to {to}"\n'
)


@pytest.mark.parametrize(
    ("samples", "found"),
    [
        ([(0, 20), (5, 49.9)], 0),
        ([(0, 20), (5, 50)], 1),
        ([(5, 50), (0, 20)], 1),
        ([(0, 20), (1, 30), (2, 40), (3, 50)], 1),
        ([(0, 50), (5, 20)], 0),
        # a sample counts until the next, so this one still does when the rise comes
        ([(0, 20), (60, 50)], 1),
        ([(0, 20), (20, 35), (40, 50)], 0),
        ([(0, 20), (20, 35), (40, 50), (41, 66)], 1),
    ],
)
def test_a_rise(samples: list[tuple[int, float]], found: int) -> None:
    bench = Bench(RISE)
    for minute, value in samples:
        bench.see(heartbeat(T + minute * MINUTE, memory_usage=value))
    assert len(bench.of("r")) == found


def test_a_rise_tells_from_what_to_what_and_ends() -> None:
    bench = Bench(RISE)
    [begun] = bench.see(heartbeat(T, memory_usage=20), heartbeat(T + MINUTE, memory_usage=60.5))
    assert begun.summary == "from 20 to 60.5"
    assert begun.evidence["rise"] == 40.5
    assert [ended.change for ended in bench.clock(T + 11 * MINUTE)] == [Change.ENDS]


BUSY = f"{HEAD}  source: heartbeats\n  detection: {{cpu_usage|gte: 90}}\n  for: 5m\n  resolve_after: 20m\n"


def busy(*minutes: float, cpu: float = 95) -> list[Signal]:
    return [heartbeat(int(T + minute * MINUTE), cpu_usage=cpu) for minute in minutes]


def test_what_must_last_begins_by_the_clock_once_it_was_seen_again() -> None:
    bench = Bench(BUSY)
    bench.see(*busy(0, 1, 2, 3, 4))
    assert bench.clock(T + 5 * MINUTE - 1) == []
    [begun] = bench.clock(T + 5 * MINUTE)
    assert (begun.timestamp, begun.key) == (T + 5 * MINUTE, ("c", f"heartbeats/c/{T}"))
    assert bench.see(*busy(6, 7)) == []
    [ended] = bench.clock(T + HOUR)
    assert ended.timestamp == T + 27 * MINUTE


def test_what_is_interrupted_does_not_last() -> None:
    bench = Bench(BUSY)
    bench.see(*busy(0, 1, 2), *busy(3, cpu=10), *busy(4, 5, 6))
    assert bench.clock(T + 9 * MINUTE - 1) == []
    assert len(bench.clock(T + 9 * MINUTE)) == 1


def test_one_sample_that_nothing_follows_is_no_sign_of_what_lasts() -> None:
    bench = Bench(BUSY)
    bench.see(*busy(0))
    for minute in range(1, 60):
        assert bench.clock(T + minute * MINUTE) == []


def test_a_client_that_is_heard_every_five_minutes_can_be_busy() -> None:
    bench = Bench(BUSY)
    for minute in (0, 5.1, 10.2):
        bench.see(*busy(minute))
        bench.clock(int(T + minute * MINUTE))
    assert len(bench.of("r")) == 1


def test_a_count_that_must_last_is_seen_to_go_on() -> None:
    bench = Bench(f"{BURST}  for: 5s\n")
    for at in range(0, 6_000, 300):
        bench.see(event(at))
        bench.clock(at)
    assert len(bench.of("r")) == 1
    bench = Bench(f"{BURST}  for: 5s\n")
    bench.see(event(0), event(1), event(2))
    bench.clock(MINUTE)
    assert bench.found == []


def test_a_signal_that_comes_again_ends_nothing_that_began_later() -> None:
    rule = f"{HEAD}  source: liveness\n  detection: {{state: offline}}\n  clear: {{state: online}}\n"
    for key in ("", "  dedup_key: [client_id, silent_since]\n"):
        bench = Bench(rule + key)
        first = [liveness(T, "c", "offline", silent_since=1), liveness(T + 5, "c", "online", silent_since=1)]
        second = liveness(T + 9, "c", "offline", silent_since=2)
        bench.see(*first, second, *first, second)
        assert len(bench.standing()) == 1
        assert len(bench.found) == 3


def test_a_group_holds_so_many_findings_and_ends_the_oldest() -> None:
    bench = Bench(f"{HEAD}  source: events\n  detection: {{}}\n")
    bench.see(*(event(T + n) for n in range(MAX_FOUND + 5)))
    assert len(bench.standing()) == MAX_FOUND
    assert [ended.key[1] for ended in bench.of("r", Change.ENDS)] == [f"events/c/e{T + n}" for n in range(5)]


def test_a_rule_holds_so_many_groups_and_ends_the_one_that_rested_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("processors.rules.state.MAX_GROUPS", 3)
    bench = Bench(f"{HEAD}  source: events\n  detection: {{}}\n")
    bench.see(*(event(T, client) for client in "abc"), event(T + 1, "a"))
    assert [ended.client_id for ended in bench.see(event(T, "d")) if ended.change is Change.ENDS] == ["b"]
    assert bench.engine.dropped == 1
    state = bench.engine.changes()
    assert not any(b'["b"]' in key for key, value in state.items() if value is not None)


def test_all_is_forgotten_in_the_end() -> None:
    bench = Bench(BURST)
    bench.see(*(event(n, f"c{n % 7}") for n in range(100)))
    kept = dict(bench.engine.changes())
    assert kept
    bench.clock(2 * life.REMEMBERED_MS)
    kept |= bench.engine.changes()
    bench.clock(4 * life.REMEMBERED_MS)
    kept |= bench.engine.changes()
    assert [key for key, value in kept.items() if value is not None] == [b"rules/clock"]
    assert bench.standing() == []


def test_a_summary_shows_no_more_than_a_word_of_a_signal() -> None:
    bench = Bench(f'{HEAD}  source: events\n  detection: {{}}\n  summary: "{{error_code}}, {{node_id}}"\n')
    [begun] = bench.see(event(T, node_id=None, error_code="E\n\x1b[31m" + "x" * 500, user_agent="curl"))
    assert begun.summary == "E[31m" + "x" * 73 + ", -"
    assert "curl" not in str(begun)


def test_a_dedup_key_says_what_is_told_once() -> None:
    bench = Bench(f"{BURST}  dedup_key: [client_id, day]\n")
    for hour in (0, 1, 2, 25, 26):
        bench.clock(hour * HOUR)
        bench.see(*(event(hour * HOUR + n) for n in range(3)))
    assert [finding.key for finding in bench.of("r")] == [("c", 0), ("c", 1)]


HELD = f"""{HEAD}  source: liveness
  detection: {{state: error}}
  correlation:
    type: value_count
    field: client_id
    group_by: []
    timespan: 1m
    condition: {{gte: 3, until_below: 2}}
  clear: {{state: online}}
"""


def errors(*clients: str, at: int = T) -> list[Signal]:
    return [liveness(at, client, "error", reason="reported") for client in clients]


def test_what_is_held_must_be_enough_for_the_whole_of_for() -> None:
    bench = Bench(f"{HELD}  for: 2m\n")
    bench.see(*errors("a", "b", "c"), liveness(T + 1_000, "c", "online"))
    assert bench.clock(T + 10 * MINUTE) == []
    bench = Bench(f"{HELD}  for: 2m\n")
    bench.see(*errors("a", "b", "c", "d"), liveness(T + 1_000, "c", "online"))
    [begun] = bench.clock(T + 2 * MINUTE)
    assert begun.timestamp == T + 2 * MINUTE


def test_what_is_held_stands_until_too_few_are_left_and_those_begin_no_other() -> None:
    bench = Bench(HELD)
    bench.see(*errors("a", "b", "c"))
    bench.clock(T + DAY)
    bench.see(liveness(T + DAY, "a", "online"))
    assert len(bench.standing()) == 1
    bench.see(liveness(T + DAY + 1, "b", "online"))
    assert bench.standing() == []
    bench.see(*errors("x", "y", at=T + DAY + 2))
    assert bench.standing() == []
    bench.see(*errors("z", at=T + DAY + 3))
    assert len(bench.standing()) == 1


@pytest.mark.parametrize("kind", ["temporal", "temporal_ordered"])
def test_a_flood_of_one_step_hides_no_other_and_is_bounded(kind: str) -> None:
    bench = Bench(TRAVEL % kind)
    bench.see(REFUSED, *(event(T + 100 + n, event_type="policy_violation") for n in range(500)))
    assert sum(value is not None for value in bench.engine.changes().values()) == 17
    bench.see(SILENT)
    assert len(bench.of("r")) == 1


@pytest.mark.parametrize(("hours", "found"), [(20, 1), (25, 0)])
def test_the_rest_of_a_spool_may_come_hours_later(hours: int, found: int) -> None:
    bench = Bench(BURST)
    bench.clock(T)
    bench.see(event(T - 3 * DAY), event(T - 3 * DAY + 1))
    bench.clock(T + hours * HOUR)
    assert len(bench.see(event(T - 3 * DAY + 2))) == found


def test_a_window_holds_four_times_its_threshold() -> None:
    bench = bursts([n * 600 for n in range(100)])
    assert bench.found == []
    assert sum(value is not None for value in bench.engine.changes().values()) == 12


def test_each_signal_of_what_lasted_begins_it_no_more() -> None:
    bench = Bench(f"{HEAD}  source: liveness\n  detection: {{state: error}}\n  clear: {{state: online}}\n")
    lasting = [*errors("a"), *errors("a", at=T + 5), liveness(T + 9, "a", "online")]
    bench.see(*lasting)
    assert bench.see(*lasting) == []
    assert len(bench.see(*errors("a", at=T + 10))) == 1


def test_an_end_that_names_its_beginning_ends_no_other() -> None:
    rule = f"{HEAD}  source: liveness\n  detection: {{state: offline}}\n  clear: {{state: online}}\n"
    bench = Bench(f"{rule}  dedup_key: [client_id, silent_since]\n")
    bench.see(liveness(T, "c", "offline", silent_since=1), liveness(T + 9, "c", "offline", silent_since=2))
    [ended] = bench.see(liveness(T + 20, "c", "online", silent_since=1))
    assert ended.key == ("c", 1)


def test_what_several_partitions_could_not_see_at_once_is_one_finding() -> None:
    bench = Bench(f"{HEAD}  source: blind\n  detection: {{}}\n  resolve_after: 0s\n  dedup_key: [start]\n")
    bench.see(*(signal("blind", T + n, start=T + 10 * n, end=T + 900, partition=n) for n in range(8)))
    assert [(each.change, each.timestamp) for each in bench.found] == [(Change.BEGINS, T), (Change.ENDS, T + 900)]
    bench.see(signal("blind", T + 2_000, start=T + 1_500, end=T + 2_000, partition=1))
    assert len(bench.of("r")) == 2
