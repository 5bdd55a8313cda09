"""Each act of a scenario, played in imagined time."""

from __future__ import annotations

import re

from fleet.acts import Stage
from fleet.exchange import Answer, Exchange
from fleet.scenario import Act, Hostility, Kind, Scenario
from tests.fleet.imagined import EPOCH_MS, World, refusing, taking

INTERVAL_MS = 1_000


def played(*acts: Act, clients: int = 40, seed: str = "acts", span_ms: float = 20_000) -> World:
    world = World(clients, INTERVAL_MS)
    Stage(world.simulation, world.beats, world.deliveries, "run").play(Scenario(acts=acts), seed)
    world.start(INTERVAL_MS)
    world.pass_time(span_ms)
    return world


def beats(world: World, from_s: float, to_s: float) -> set[str]:
    return {
        exchange.client.client_id
        for at, _, exchange in world.requests
        if exchange.kind == "heartbeat" and from_s <= at / 1000 < to_s
    }


def sent(world: World, kind: str) -> list[bytes]:
    return [request for _, request, exchange in world.requests if exchange.kind == kind]


def test_who_is_switched_off_says_nothing_and_has_been_booted_when_it_is_back() -> None:
    world = played(Act(Kind.SILENCE, at_ms=5_000, for_ms=5_000, count=10))
    assert len(beats(world, 2, 4)) == 40
    assert len(beats(world, 6.1, 10)) == 30
    assert len(beats(world, 12, 20)) == 40
    assert sum(client.booted_ms >= EPOCH_MS + 10_000 for client in world.clients) == 10


def test_who_has_no_network_is_not_heard_and_spools() -> None:
    world = played(
        Act(Kind.CUT, at_ms=5_000, for_ms=5_000, share=0.5), Act(Kind.EVENTS, rate_per_s=10.0, for_ms=9_000), span_ms=9_900
    )
    assert len(beats(world, 6.1, 9.9)) == 20
    assert world.deliveries.waiting > 0
    world.pass_time(180_000)
    assert world.deliveries.waiting == 0


def test_a_clock_that_is_wrong_and_right_again() -> None:
    world = played(Act(Kind.SKEW, at_ms=5_000, for_ms=5_000, count=1, by_ms=-120_000), clients=2)
    off = {}
    for at, request, exchange in world.requests:
        stamp = int(re.search(rb'"timestamp":(\d+)', request)[1])  # type: ignore[index]
        uptime = int(re.search(rb'"uptime":(\d+)', request)[1])  # type: ignore[index]
        off.setdefault(exchange.client.client_id, []).append(round((stamp - EPOCH_MS - at) / 1000))
        assert abs(uptime - (EPOCH_MS + at - exchange.client.booted_ms) / 1000) < 2 or exchange.client.skew_ms
    assert sorted(sorted(set(values)) for values in off.values()) == [[-120, 0], [0]]
    wrong = next(values for values in off.values() if -120 in values)
    assert wrong[0] == wrong[-1] == 0


def test_a_clone_beats_beside_its_original_with_another_uptime() -> None:
    world = played(Act(Kind.CLONE, at_ms=5_000, for_ms=8_000, count=1), clients=3)
    by_client: dict[str, set[int]] = {}
    for at, request, exchange in world.requests:
        uptime = int(re.search(rb'"uptime":(\d+)', request)[1])  # type: ignore[index]
        boot = round((at / 1000 - uptime) / 10)
        by_client.setdefault(exchange.client.client_id, set()).add(boot)
    assert sorted(len(boots) for boots in by_client.values()) == [1, 1, 2]
    assert sum(exchange.client.twin for at, _, exchange in world.requests if at > 15_000) == 0


def test_brute_force_is_of_its_part_of_the_fleet_and_at_its_rate() -> None:
    world = played(Act(Kind.BRUTE_FORCE, at_ms=2_000, for_ms=10_000, count=3, rate_per_s=20.0, source_ip="203.0.113.0"))
    batches = sent(world, "batch")
    failures = sum(batch.count(b'"authentication_failure"') for batch in batches)
    assert 150 < failures < 260
    assert all(b'"source_ip":"203.0.113.0"' in batch for batch in batches)
    assert len({exchange.client.client_id for _, _, exchange in world.requests if exchange.kind == "batch"}) == 3


def test_who_leaves_says_so_or_does_not_and_comes_back() -> None:
    world = played(Act(Kind.CHURN, at_ms=2_000, for_ms=3_000, rate_per_s=2.0, away_ms=5_000))
    farewells = sent(world, "farewell")
    assert farewells
    assert all(b'"status":"offline"' in farewell for farewell in farewells)
    assert len(beats(world, 6.5, 7)) < 40
    assert len(beats(world, 12, 20)) == 40
    silently = played(Act(Kind.CHURN, at_ms=2_000, for_ms=3_000, rate_per_s=2.0, farewell=False))
    assert sent(silently, "farewell") == []
    assert len(beats(silently, 6.5, 20)) < 40


def test_a_session_has_a_beginning_and_an_end() -> None:
    world = played(Act(Kind.SESSIONS, for_ms=5_000, rate_per_s=2.0, away_ms=3_000))
    text = b"".join(sent(world, "batch"))
    assert text.count(b'"status":"active"') == text.count(b'"status":"disconnected"') > 3


def test_hostile_requests_change_nothing_of_the_client_in_whose_name_they_come() -> None:
    def judge(exchange: Exchange) -> Answer:
        return refusing(422, "invalid-message")(exchange) if exchange.kind == "hostile" else taking(exchange)

    world = World(5, INTERVAL_MS)
    world.judge = judge
    act = Act(Kind.HOSTILE, rate_per_s=20.0, values=(Hostility.STALE, Hostility.BAD_SIGNATURE))
    Stage(world.simulation, world.beats, world.deliveries, "run").play(Scenario(acts=(act,)), "seed")
    world.start(INTERVAL_MS)
    world.pass_time(10_000)
    assert world.simulation.tally.verdicts["hostile", 422, "invalid-message"] > 100
    assert [client.trouble for client in world.clients] == [None] * 5
    assert world.longest_silence_ms < INTERVAL_MS * 1.1


def test_the_same_seed_chooses_the_same_clients() -> None:
    act = Act(Kind.CUT, share=0.25)
    assert act.chosen(100, "one") == act.chosen(100, "one") != act.chosen(100, "two")
    assert len(act.chosen(100, "one")) == 25
    assert Act(Kind.CUT, count=500).chosen(3, "one") == [0, 1, 2]
