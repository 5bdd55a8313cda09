"""Each shipped rule: what makes it fire, what does not, and that it ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest

from processors.alerting.findings import Change
from processors.alerting.signals import SOURCES, Signal
from processors.rules.interest import Interest
from processors.rules.loading import read_rules
from tests.processors.rules.feed import DAY, HOUR, MINUTE, NOON, Bench, event, heartbeat, liveness, signal

RULES = read_rules(None)
T = NOON
Feed = list[Signal]


class Case(NamedTuple):
    """``fires`` begins it once, ``quiet`` looks like it and does not, ``ends`` ends it, or the clock does."""

    fires: Feed
    quiet: Feed
    ends: tuple[Signal, ...] = ()
    after: int = DAY
    client_id: str = "c"


def many(count: int, one: Callable[[int], Signal]) -> Feed:
    return [one(number) for number in range(count)]


def fleet(count: int, node: str = "n") -> Feed:
    return [liveness(T - HOUR + n, f"{node}-{n}", "online", node) for n in range(count)]


def gone(count: int, node: str = "n", step: int = 100) -> Feed:
    return [liveness(T + n * step, f"{node}-{n}", "offline", node, silent_since=1) for n in range(count)]


def back(count: int, node: str = "n") -> Feed:
    return [liveness(T + HOUR + n, f"{node}-{n}", "online", node, silent_since=1) for n in range(count)]


def beats(minutes: int, **fields: float) -> Feed:
    return [heartbeat(T + n * MINUTE, **fields) for n in range(minutes + 1)]


CASES: dict[str, Case] = {
    "offline": Case(
        [liveness(T, "c", "offline", silent_since=T - 90_000)],
        [liveness(T, "c", "offline", reason="reported"), liveness(T + 1, "d", "late")],
        (liveness(T + 5, "c", "late", silent_since=T - 90_000),),
    ),
    "mass_offline_fleet": Case(
        fleet(100) + gone(20), fleet(300) + gone(29) + fleet(100) + gone(19, step=9_000), tuple(back(11)), client_id=""
    ),
    "mass_offline_node": Case(
        fleet(10, "a") + fleet(200, "b") + gone(5, "a"), fleet(12, "a") + gone(5, "a"), tuple(back(3, "a")), client_id=""
    ),
    "flapping": Case(
        [liveness(T + n * MINUTE, "c", "offline") for n in range(4)],
        [liveness(T + n * 21 * MINUTE, "c", "offline") for n in range(5)]
        + [liveness(T + n, f"d{n}", "offline") for n in range(8)],
    ),
    "never_came": Case(
        [liveness(T, "c", "offline", reason="never_came")],
        [liveness(T, "c", "offline")],
        (liveness(T + 5, "c", "online"),),
    ),
    "maintenance_expired": Case(
        [liveness(T, "c", "maintenance", reason="maintenance_expired")],
        [liveness(T, "c", "maintenance", reason="reported")],
        (liveness(T + 5, "c", "maintenance", reason="reported"),),
    ),
    "error_rate": Case(
        fleet(100) + [liveness(T + n, f"n-{n}", "error", reason="reported") for n in range(10)],
        fleet(300) + [liveness(T + n, f"n-{n}", "error", reason="reported") for n in range(14)],
        tuple(back(6)),
        client_id="",
    ),
    "high_severity": Case([event(T, severity="critical", event_type="system_error")], [event(T)]),
    "brute_force": Case(many(5, lambda n: event(T + n * 15_000)), many(9, lambda n: event(T + n * 15_001))),
    "brute_force_source": Case(
        many(5, lambda n: event(T + n, f"c{n}", source_ip_pseudonym="p")),
        many(9, lambda n: event(T + n, f"c{n % 4}", source_ip_pseudonym="p"))
        + many(9, lambda n: event(T + n, f"c{n}", source_ip_pseudonym=f"q{n}"))
        + many(9, lambda n: event(T + n, f"c{n}", event_id=f"x{n}")),
        client_id="",
    ),
    "certificate_errors": Case(
        many(10, lambda n: event(T + n, f"c{n}", event_type="certificate_error")),
        fleet(2_000) + many(19, lambda n: event(T + n, f"n-{n}", event_type="certificate_error")),
        client_id="",
    ),
    "policy_violations": Case(
        many(10, lambda n: event(T + n * MINUTE, event_type="policy_violation")),
        many(9, lambda n: event(T + n, event_type="policy_violation"))
        + many(9, lambda n: event(T + n, event_type="system_error")),
    ),
    "tampering": Case(
        many(3, lambda n: event(T + n * MINUTE, event_type="suspicious_activity", origin="edge")),
        many(2, lambda n: event(T + n * MINUTE, event_type="suspicious_activity", origin="edge"))
        + many(9, lambda n: event(T + n, event_type="suspicious_activity")),
    ),
    "identity_conflict": Case(
        [signal("identity", T, "c", kind="conflict", refused_key_id="k")],
        [signal("identity", T, "c", kind="clone", day=3)],
        after=2 * DAY,
    ),
    "identity_clone": Case(
        [signal("identity", T, "c", kind="clone", day=3)], [signal("identity", T, "c", kind="conflict")], after=2 * DAY
    ),
    "cpu_high": Case(
        beats(6, cpu_usage=97.5),
        [*beats(4, cpu_usage=99), heartbeat(T + 290_000, cpu_usage=90), *beats(6, cpu_usage=94.9)],
        (heartbeat(T + HOUR, cpu_usage=20),),
    ),
    "memory_high": Case(
        beats(6, memory_usage=96),
        [heartbeat(T, memory_usage=99), heartbeat(T + MINUTE, memory_usage=50)],
        (heartbeat(T + HOUR, memory_usage=20),),
    ),
    "clock_skew": Case(
        beats(11, skew_ms=-70_000), [*beats(9, skew_ms=70_000), heartbeat(T + 599_000)], (heartbeat(T + HOUR, skew_ms=5),)
    ),
    "ingest_blind": Case([signal("blind", T + 9_000, start=T, end=T + 9_000, partition=1)], [event(T)], client_id=""),
    "retention_failed": Case(
        [signal("audit", T, action="retention.drop", outcome="failed", actor="sink", subject="events")],
        [
            signal("audit", T, action="retention.drop", outcome="accepted"),
            signal("audit", T + 1, action="x", outcome="failed"),
        ],
        after=2 * DAY,
        client_id="",
    ),
    "audit_broken": Case(
        [signal("audit", T, action="audit.verify", outcome="failed", actor="sink", subject="2026-11")],
        [signal("audit", T, action="audit.verify", outcome="accepted")],
        after=2 * DAY,
        client_id="",
    ),
}  # fmt: skip


def run(feed: Feed) -> Bench:
    bench = Bench(RULES)
    for each in feed:
        bench.clock(each.timestamp)
        bench.see(each)
    return bench


def test_every_rule_has_its_case() -> None:
    assert [rule.id for rule in RULES.rules] == [name for rule in RULES.rules for name in CASES if name == rule.id]
    assert set(CASES) == {rule.id for rule in RULES.rules}


@pytest.mark.parametrize("rule", CASES)
def test_it_fires_once_and_ends(rule: str) -> None:
    case = CASES[rule]
    bench = run(case.fires)
    [begun] = bench.of(rule)
    assert begun.client_id == case.client_id
    assert "{" not in begun.summary
    if case.ends:
        bench.see(*case.ends)
    elif rule != "ingest_blind":
        assert bench.of(rule, Change.ENDS) == []
        bench.clock(T + case.after)
    [ended] = bench.of(rule, Change.ENDS)
    assert (ended.key, ended.severity, ended.group) == (begun.key, begun.severity, begun.group)


@pytest.mark.parametrize("rule", CASES)
def test_what_only_looks_like_it_does_not_fire(rule: str) -> None:
    bench = run(CASES[rule].quiet)
    bench.clock(T + DAY)
    assert bench.of(rule) == []


@pytest.mark.parametrize("rule", CASES)
def test_the_agents_pass_on_what_it_needs(rule: str) -> None:
    interest = Interest(RULES)
    assert all(interest.wants(each.source, each.fields) for each in [*CASES[rule].fires, *CASES[rule].ends])


def test_what_no_rule_looks_at_stays_with_the_agents() -> None:
    interest = Interest(RULES)
    assert not interest.wants("events", {"event_type": "connection_attempt", "severity": "info", "origin": "client"})
    assert not interest.wants("rejections", {"reason": "rate-limited", "status": 429})
    assert not interest.wants("audit", {"action": "client.register", "outcome": "accepted"})
    assert {each.source for case in CASES.values() for each in case.fires} == set(SOURCES) - {"rejections"}


def test_the_keys_are_those_that_alert_ids_are_made_of() -> None:
    keys = {rule: run(CASES[rule].fires).of(rule)[0].key for rule in CASES}
    assert keys["offline"] == ("c", T - 90_000)
    assert keys["brute_force"] == ("c", f"e{T}")
    assert keys["high_severity"] == ("c", f"e{T}")
    assert keys["identity_conflict"] == ("c", "k")
    assert keys["identity_clone"] == ("c", 3)
    assert keys["ingest_blind"] == (T,)


def test_a_large_fleet_needs_no_tenth_for_a_mass_outage() -> None:
    bench = run(fleet(10_000) + gone(499, step=100))
    assert bench.of("mass_offline_fleet") == []
    bench.see(liveness(T + MINUTE, "n-500", "offline"))
    [begun] = bench.of("mass_offline_fleet")
    assert (begun.evidence["count"], begun.evidence["population"]) == (500, 10_000)
    assert len(begun.evidence["clients"]) == 20
    # It stands while many are away, however long that takes, and others may join it.
    bench.clock(T + 20 * DAY)
    bench.see(*(liveness(T + 20 * DAY + n, f"n-{n}", "online", silent_since=1) for n in range(490)))
    assert bench.of("mass_offline_fleet", Change.ENDS) == []
    bench.see(liveness(T + 21 * DAY, "n-491", "online", silent_since=1))
    [ended] = bench.of("mass_offline_fleet", Change.ENDS)
    assert ended.evidence["left"] == 9


def test_clients_that_signed_off_are_no_part_of_the_population() -> None:
    away = [liveness(T - MINUTE + n, f"n-{n}", "offline", reason="reported") for n in range(100, 1_000)]
    assert len(run(fleet(1_000) + away + gone(20)).of("mass_offline_fleet")) == 1
    assert run(fleet(1_000) + gone(20)).of("mass_offline_fleet") == []
