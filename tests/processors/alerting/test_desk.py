"""From findings to alerts, without Kafka."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.alerting.book import CLOSED_MS, Book
from processors.alerting.desk import RELEASED_AFTER_MS, Desk
from processors.alerting.findings import Change, Finding
from processors.alerting.silences import KEPT_MS, Silence, Silences
from processors.alerting.standing import Phase, found
from processors.alerts import Alert, Status, alert_id

OFFLINE, MASS, NODE_MASS, MUTED = "offline", "mass_offline_fleet", "mass_offline_node", "muted"


class AMute(NamedTuple):
    until_ms: int = 0

    def holds(self, client_id: str, node_id: str | None, timestamp_ms: int) -> bool:
        return timestamp_ms < self.until_ms


class ARule(NamedTuple):
    groups: tuple[str, ...] = ()
    mute: AMute = AMute()


class SomeRules(dict[str, ARule]):
    def rule(self, rule_id: str) -> ARule | None:
        return self.get(rule_id)


RULES = SomeRules({
    OFFLINE: ARule(),
    MASS: ARule((OFFLINE, NODE_MASS)),
    NODE_MASS: ARule((OFFLINE,)),
    MUTED: ARule((OFFLINE,), AMute(120_000)),
})  # fmt: skip


def finding(rule: str, *key: str | int, change: Change = Change.BEGINS, node: str | None = None, at: int = 1_000) -> Finding:
    client = "" if rule in (MASS, NODE_MASS, MUTED) else str(key[0])
    return Finding(rule, change, key, "medium", client, node, {"client_id": client}, at, f"{rule} {change}", {"at": at})


def ending(rule: str, *key: str | int, at: int = 9_000, **members: Any) -> Finding:
    return finding(rule, *key, change=Change.ENDS, at=at, **members)


def silence(name: str = "s", start: int = 0, end: int = 10_000, **members: str) -> Silence:
    return Silence(name, members.get("rule"), members.get("client_id"), members.get("node_id"), start, end, "r", "a", 0)


class Bench:
    """A desk, all its alerts, and restarts of it."""

    def __init__(self, rules: SomeRules = RULES) -> None:
        self.rules = rules
        self.table: dict[bytes, bytes] = {}
        self.silenced: dict[str, dict[str, Any]] = {}
        self.silences = Silences()
        self.desk = Desk(rules, self.silences, 0)
        self.clock = 0
        self.alerts: list[Alert] = []

    def see(self, *findings: Finding) -> list[Alert]:
        return self._said([alert for each in findings for alert in self.desk.observe(each)])

    def go_to(self, clock_ms: int) -> list[Alert]:
        self.clock = max(self.clock, clock_ms)
        return self._said(self.desk.advance(clock_ms))

    def acknowledge(self, alert: str, request_id: str = "r") -> list[Alert] | str:
        said = self.desk.acknowledge(alert, request_id, "somebody", "why", 5)
        return said if isinstance(said, str) else self._said(said)

    def restart(self) -> None:
        for key, value in self.desk.changes().items():
            if value is None:
                self.table.pop(key, None)
            else:
                self.table[key] = value
        for name, record in self.silences.changes().items():
            if record is None:
                self.silenced.pop(name, None)
            else:
                self.silenced[name] = record
        self.silences = Silences(self.silenced.values())
        self.desk = Desk(self.rules, self.silences, self.clock, self.table.items())

    def of(self, rule: str) -> list[tuple[str, str]]:
        return [(alert.status.value, alert.client_id) for alert in self.alerts if alert.rule == rule]

    def _said(self, alerts: list[Alert]) -> list[Alert]:
        self.alerts += alerts
        return alerts


def test_an_alert_fires_once_and_is_resolved_once() -> None:
    bench = Bench()
    [firing] = bench.see(finding(OFFLINE, "c", 7))
    assert bench.see(finding(OFFLINE, "c", 7)) == []
    assert (firing.alert_id, firing.status) == (alert_id(OFFLINE, "c", 7), Status.FIRING)
    bench.restart()
    [resolved] = bench.see(ending(OFFLINE, "c", 7))
    assert (resolved.alert_id, resolved.status, resolved.timestamp) == (firing.alert_id, Status.RESOLVED, 9_000)
    assert resolved.evidence == {"at": 9_000, "duration_ms": 8_000}
    # What a crash brings again.
    bench.restart()
    assert bench.see(finding(OFFLINE, "c", 7), ending(OFFLINE, "c", 7), ending(OFFLINE, "d", 7)) == []


def test_the_next_silence_of_a_client_is_another_alert() -> None:
    bench = Bench()
    bench.see(finding(OFFLINE, "c", 7), ending(OFFLINE, "c", 7), finding(OFFLINE, "c", 8))
    assert [status for status, _ in bench.of(OFFLINE)] == ["firing", "resolved", "firing"]
    assert len({alert.alert_id for alert in bench.alerts}) == 2


def test_an_incident_takes_in_what_stands_and_what_comes() -> None:
    bench = Bench()
    bench.see(finding(OFFLINE, "c1", 1), finding(OFFLINE, "c2", 1))
    fired, first, second = bench.see(finding(MASS, "m"))
    assert (fired.rule, fired.status) == (MASS, Status.FIRING)
    assert [(each.status, each.evidence["part_of"]) for each in (first, second)] == [(Status.RESOLVED, fired.alert_id)] * 2
    assert bench.see(*(finding(OFFLINE, name, 1) for name in ("c3", "c4", "c5"))) == []
    bench.restart()
    # Members that are over before the incident are never told.
    assert bench.see(ending(OFFLINE, "c3", 1), ending(OFFLINE, "c2", 1)) == []
    [over] = bench.see(ending(MASS, "m", at=5_000))
    # Most of them end within the next minute: nobody is told of these.
    assert bench.see(ending(OFFLINE, "c5", 1)) == []
    assert bench.go_to(RELEASED_AFTER_MS - 1) == []
    bench.restart()
    left = bench.go_to(RELEASED_AFTER_MS + 500)
    # By the incident's end, not by the clock: that may be another one when a crash repeats it.
    assert {each.timestamp for each in left} == {5_000 + RELEASED_AFTER_MS}
    assert (over.status, over.evidence["members"], over.evidence["duration_ms"]) == (Status.RESOLVED, 5, 4_000)
    assert sorted(over.evidence["sample"]) == ["c1", "c2", "c3", "c4", "c5"]
    assert sorted((each.status, each.client_id) for each in left) == [("firing", "c1"), ("firing", "c4")]
    by_client = {each.client_id: each for each in left}
    # c1 was resolved under its first id: what receivers are told now must not look like a repetition.
    assert by_client["c1"].alert_id == alert_id(OFFLINE, "c1", 1, fired.alert_id)
    assert by_client["c4"].alert_id == alert_id(OFFLINE, "c4", 1)
    assert by_client["c4"].evidence["since"] == 1_000
    [resolved] = bench.see(ending(OFFLINE, "c1", 1))
    assert resolved.alert_id == by_client["c1"].alert_id


def test_a_node_s_incident_takes_in_that_node_only() -> None:
    bench = Bench()
    bench.see(finding(NODE_MASS, "n1", node="n1"))
    assert bench.see(finding(OFFLINE, "c1", 1, node="n1")) == []
    assert len(bench.see(finding(OFFLINE, "c2", 1, node="n2"))) == 1
    assert len(bench.see(finding(OFFLINE, "c3", 1))) == 1


def test_incidents_nest() -> None:
    bench = Bench()
    bench.see(finding(NODE_MASS, "n1", node="n1"), finding(OFFLINE, "c1", 1, node="n1"))
    _, part = bench.see(finding(MASS, "m"))
    assert (part.rule, part.status) == (NODE_MASS, Status.RESOLVED)
    assert bench.see(finding(OFFLINE, "c2", 1, node="n1")) == []
    bench.restart()
    bench.see(ending(MASS, "m"))
    told = bench.go_to(RELEASED_AFTER_MS)
    assert [(each.rule, each.status) for each in told] == [(NODE_MASS, Status.FIRING)]
    [over] = bench.see(ending(NODE_MASS, "n1", node="n1"))
    left = bench.go_to(2 * RELEASED_AFTER_MS)
    assert (over.status, sorted(each.client_id for each in left)) == (Status.RESOLVED, ["c1", "c2"])


def test_rules_that_group_each_other_leave_one_to_be_told() -> None:
    bench = Bench(SomeRules({"a": ARule(("b",)), "b": ARule(("a",))}))
    assert [alert.rule for alert in bench.see(finding("a", "x"), finding("b", "y"))] == ["a"]
    assert [(each.rule, each.status) for each in bench.see(ending("a", "x"))] == [("a", "resolved")]
    assert [(each.rule, each.status) for each in bench.go_to(RELEASED_AFTER_MS)] == [("b", "firing")]


def test_a_silence_suppresses_and_its_end_tells_what_still_stands() -> None:
    bench = Bench()
    bench.silences.put(silence(client_id="c", end=10_000))
    [suppressed] = bench.see(finding(OFFLINE, "c", 1))
    assert (suppressed.status, suppressed.suppressed_by) == (Status.SUPPRESSED, "silence:s")
    assert [alert.status for alert in bench.see(finding(OFFLINE, "d", 1))] == [Status.FIRING]
    assert bench.go_to(9_999) == []
    bench.restart()
    [told] = bench.go_to(10_300)
    assert (told.status, told.suppressed_by, told.alert_id) == (Status.FIRING, None, suppressed.alert_id)
    assert (told.timestamp, told.evidence["since"]) == (10_000, 1_000)
    assert bench.go_to(10_301) == []


def test_what_ends_within_a_silence_is_resolved_for_analysts_only() -> None:
    bench = Bench()
    bench.see(finding(OFFLINE, "d", 1))
    bench.silences.put(silence(rule=OFFLINE))
    bench.see(finding(OFFLINE, "c", 1))
    resolved = bench.see(ending(OFFLINE, "c", 1), ending(OFFLINE, "d", 1))
    assert [each.suppressed_by for each in resolved] == ["silence:s", None]


def test_a_silence_that_is_over_for_long_is_forgotten() -> None:
    bench = Bench()
    bench.silences.put(silence(end=10_000))
    bench.restart()
    bench.go_to(10_000 + KEPT_MS)
    bench.restart()
    assert (len(bench.silences), bench.silenced) == (0, {})


def test_a_muted_rule_is_told_when_the_mute_is_over_and_hides_nothing() -> None:
    bench = Bench()
    [suppressed] = bench.see(finding(MUTED, "m"))
    assert suppressed.suppressed_by == "mute:muted"
    assert [alert.status for alert in bench.see(finding(OFFLINE, "c", 1))] == [Status.FIRING]
    assert [(alert.rule, alert.status) for alert in bench.go_to(120_000)] == [(MUTED, Status.FIRING)]
    assert bench.see(finding(OFFLINE, "d", 1)) == []


def test_an_alert_is_acknowledged_once() -> None:
    bench = Bench()
    [firing] = bench.see(finding(OFFLINE, "c", 1))
    [acknowledged] = bench.acknowledge(firing.alert_id)
    assert isinstance(acknowledged, Alert)
    assert (acknowledged.status, acknowledged.actor, acknowledged.evidence["reason"]) == ("acknowledged", "somebody", "why")
    bench.restart()
    assert bench.acknowledge(firing.alert_id, "another") == []
    bench.see(ending(OFFLINE, "c", 1))
    assert bench.acknowledge(firing.alert_id) == "no alert of this id stands"
    [fired] = bench.see(finding(MASS, "m"))
    bench.see(finding(OFFLINE, "d", 1))
    assert bench.acknowledge(alert_id(OFFLINE, "d", 1)) == f"it is part of the incident {fired.alert_id}"


def test_a_rule_that_is_removed_leaves_nothing_standing() -> None:
    bench = Bench()
    bench.see(finding(MASS, "m"), finding(OFFLINE, "c", 1))
    told = bench.desk.reload(SomeRules({OFFLINE: ARule()}))
    assert [(each.rule, each.status) for each in told] == [(MASS, "resolved")]
    assert [(each.rule, each.status) for each in bench.go_to(RELEASED_AFTER_MS)] == [(OFFLINE, "firing")]


def test_the_book_is_bounded_and_forgets_what_is_over_first() -> None:
    book = Book(most=3)
    for number in range(3):
        book.put(f"f{number}", found(finding(OFFLINE, "c", number), number))
    book.put("f1", book.standing("f1")._replace(phase=Phase.CLOSED))
    book.put("f3", found(finding(OFFLINE, "c", 3), 3))
    assert (book.get("f1"), book.dropped) == (None, 0)
    book.put("f4", found(finding(OFFLINE, "c", 4), 4))
    assert (book.get("f0"), book.dropped, sorted(book.standing_names())) == (None, 1, ["f2", "f3", "f4"])
    assert book.changes()[b"f0"] is None


def test_what_is_over_is_forgotten_after_a_day() -> None:
    bench = Bench()
    bench.see(finding(OFFLINE, "c", 1), ending(OFFLINE, "c", 1))
    bench.go_to(CLOSED_MS - 1)
    bench.restart()
    assert len(bench.table) == 1
    bench.go_to(CLOSED_MS)
    bench.restart()
    assert bench.table == {}


CLIENTS, KEYS = st.sampled_from(["c1", "c2", "c3"]), st.integers(1, 2)
NODES = {MASS: None, NODE_MASS: "n1"}
OFFLINES = st.builds(
    lambda change, client, key: ("see", finding(OFFLINE, client, key, change=change, node=f"n{client[1]}")),
    st.sampled_from(Change), CLIENTS, KEYS,
)  # fmt: skip
INCIDENTS = st.builds(
    lambda change, rule, key: ("see", finding(rule, key, change=change, node=NODES[rule])),
    st.sampled_from(Change), st.sampled_from([MASS, NODE_MASS]), KEYS,
)  # fmt: skip
STEPS = st.one_of(
    OFFLINES,
    INCIDENTS,
    st.builds(lambda name, start, client: ("silence", silence(name, start, start + 40_000, client_id=client)),
              st.sampled_from(["s1", "s2"]), st.integers(0, 100_000), CLIENTS),
    st.builds(lambda clock: ("clock", clock), st.integers(0, 200_000)),
    st.builds(lambda client, key: ("acknowledge", alert_id(OFFLINE, client, key)), CLIENTS, KEYS),
)  # fmt: skip


def carry_out(bench: Bench, step: tuple[str, Any]) -> None:
    kind, value = step
    if kind == "see":
        bench.see(value)
    elif kind == "silence":
        bench.silences.put(value)
        bench.desk.reconsider()
    elif kind == "clock":
        bench.go_to(value)
    else:
        bench.acknowledge(value)


@settings(deadline=None)
@given(st.lists(st.tuples(STEPS, st.booleans(), st.booleans()), max_size=40))
def test_restarts_and_repetitions_change_nothing(steps: list[tuple[tuple[str, Any], bool, bool]]) -> None:
    steady, troubled = Bench(), Bench()
    for step, restarts, comes_again in steps:
        carry_out(steady, step)
        carry_out(troubled, step)
        if restarts:
            troubled.restart()
        if comes_again and step[0] != "silence":
            carry_out(troubled, step)
    assert troubled.alerts == steady.alerts
    assert max(Counter((alert.alert_id, alert.status) for alert in steady.alerts).values(), default=1) == 1
    told = {alert.alert_id for alert in steady.alerts if alert.status in (Status.FIRING, Status.SUPPRESSED)}
    assert {alert.alert_id for alert in steady.alerts} == told


@settings(deadline=None)
@given(st.lists(STEPS, max_size=40))
def test_when_everything_is_over_everything_is_resolved(steps: list[tuple[str, Any]]) -> None:
    bench = Bench()
    for step in steps:
        carry_out(bench, step)
    clients = [ending(OFFLINE, client, key) for client in ("c1", "c2", "c3") for key in (1, 2)]
    bench.see(*(ending(rule, key) for rule in (MASS, NODE_MASS) for key in (1, 2)))
    bench.go_to(400_000)
    bench.see(*clients)
    began = {alert.alert_id for alert in bench.alerts if alert.status in (Status.FIRING, Status.SUPPRESSED)}
    assert {alert.alert_id for alert in bench.alerts if alert.status is Status.RESOLVED} == began


@pytest.mark.parametrize(
    "members", [{"rule": "x"}, {"client_id": "d"}, {"node_id": "n2"}, {"rule": OFFLINE, "node_id": "n2"}]
)
def test_a_silence_is_about_all_that_it_names(members: dict[str, str]) -> None:
    bench = Bench()
    bench.silences.put(silence(**members))
    assert [alert.status for alert in bench.see(finding(OFFLINE, "c", 1, node="n1"))] == [Status.FIRING]
