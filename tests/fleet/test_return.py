"""A fleet after an outage, in a time that passes fast: what the library's rules make of it, and what comes without them."""

from __future__ import annotations

import random

import pytest

from fleet import requests
from fleet.discipline import Discipline, Trouble
from fleet.exchange import NO_ANSWER, NOT_SENT, Answer
from tests.fleet.imagined import EPOCH_MS, World, away, refusing, taking
from viworks.breaker import BreakerState
from viworks.delivery import Pace

CLIENTS, INTERVAL_MS = 200, 30_000
OFFLINE_AFTER = 3
OUTAGE_S = 300.0


def chat(world: World, span_s: float, first: int) -> int:
    """Two messages a second of random clients; the number after the last."""
    chance = random.Random(first)
    for number in range(first, first + int(2 * span_s)):
        world.pass_time(500)
        client = chance.choice(world.clients)
        event = requests.event(client, f"e-{number}", "system_error", "low", EPOCH_MS + int(world.now_ms), "192.0.2.0")
        world.deliveries.submit(client, "events", event)
    return first + int(2 * span_s)


def after_an_outage(discipline: Discipline, judge: object = away, outage_s: float = OUTAGE_S) -> tuple[World, int, int]:
    """The world three minutes after; the second at which the server was back, and how many messages there were."""
    world = World(CLIENTS, INTERVAL_MS, discipline)
    world.start(INTERVAL_MS)
    told = chat(world, 60, 0)
    world.judge = judge  # type: ignore[assignment]
    told = chat(world, outage_s, told)
    world.judge = taking
    back_s = int(world.now_ms / 1000)
    told = chat(world, 180, told)
    world.pass_time(60_000)
    return world, back_s, told


@pytest.mark.parametrize("judge", [away, refusing(503, "broker-unavailable", 5), refusing(429, "rate-limited", 20)])
def test_with_the_librarys_discipline_all_arrives_once_and_nobody_storms(judge: object) -> None:
    world, back_s, told = after_an_outage(Discipline.LIBRARY, judge)
    assert len(world.arrived) == told
    assert set(world.arrived.values()) == {1}
    assert world.deliveries.waiting == 0
    troubles = [client.trouble for client in world.clients if client.trouble is not None]
    assert {trouble.breaker.state for trouble in troubles} <= {BreakerState.CLOSED}
    steady = CLIENTS / INTERVAL_MS * 1000 + 2
    returning = world.simulation.tally.rates(back_s)
    # Ten seconds, since with so few clients a single one is a matter of chance.
    assert max(sum(returning[at : at + 10]) / 10 for at in range(len(returning) - 9)) <= 2 * steady
    heard = {exchange.client.client_id for at, _, exchange in world.requests if at / 1000 > back_s}
    assert len(heard) == CLIENTS


def test_after_a_long_outage_nobody_is_silent_until_the_deadline() -> None:
    world, back_s, _ = after_an_outage(Discipline.LIBRARY, outage_s=600.0)
    first: dict[str, float] = {}
    for at_ms, _, exchange in world.requests:
        if at_ms > back_s * 1000 and exchange.kind == "heartbeat":
            first.setdefault(exchange.client.client_id, at_ms - back_s * 1000)
    assert len(first) == CLIENTS
    assert max(first.values()) < OFFLINE_AFTER * INTERVAL_MS
    assert all(client.trouble is None for client in world.clients)


@pytest.mark.parametrize(("answer", "sizes"), [(NO_ANSWER, [4, 2]), (NOT_SENT, [4, 4])])
def test_a_batch_is_halved_where_it_was_sent(answer: Answer, sizes: list[int]) -> None:
    world = World(1)
    client = world.clients[0]
    client.trouble = Trouble.of(INTERVAL_MS)
    client.trouble.pace = Pace(4)
    world.judge = lambda _: answer
    client.replaying = True
    for number in range(8):
        event = requests.event(client, f"e-{number}", "system_error", "low", EPOCH_MS, "192.0.2.0")
        world.deliveries.submit(client, "events", event)
    for _ in sizes:
        world.deliveries._due(client, world.now_ms)
        world.pass_time(10.0)
    assert [len(exchange.payload) for _, _, exchange in world.requests[:2]] == sizes


def test_without_it_there_is_a_storm() -> None:
    world, back_s, _ = after_an_outage(Discipline.NONE, outage_s=20.0)
    assert world.simulation.tally.peak_per_s(back_s) > 10 * (CLIENTS / INTERVAL_MS * 1000 + 2)
    assert world.deliveries.waiting == 0


def test_a_run_can_be_repeated() -> None:
    first, second = (World(20, 1_000, seed="same") for _ in range(2))
    other = World(20, 1_000, seed="other")
    for world in (first, second, other):
        world.start(1_000)
        world.pass_time(5_000)
    moments = [[(at, exchange.client.number) for at, _, exchange in world.requests] for world in (first, second, other)]
    assert moments[0] == moments[1] != moments[2]


def test_a_steady_fleet_beats_once_in_an_interval_and_never_late() -> None:
    world = World(50, 10_000)
    world.start(10_000)
    world.pass_time(120_000)
    assert 50 * 11 <= world.simulation.tally.accepted["heartbeat"] <= 50 * 13
    assert world.longest_silence_ms <= 10_000 + 2 * world.answer_ms
