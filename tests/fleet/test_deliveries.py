from __future__ import annotations

from fleet import requests
from fleet.client import MOST_SPOOLED
from fleet.discipline import Discipline
from fleet.exchange import Answer, Exchange
from tests.fleet.imagined import EPOCH_MS, World, away, batch_answer, refusing, taking


def tell(world: World, count: int) -> None:
    for number in range(count):
        event = requests.event(world.clients[0], f"e-{number}", "system_error", "low", EPOCH_MS, "192.0.2.0")
        world.deliveries.submit(world.clients[0], "events", event)


def test_lines_that_may_come_again_do_and_those_refused_for_good_do_not() -> None:
    world = World(1)
    verdicts = [[202, 503, 422], [202]]
    seen: list[int] = []

    def judge(exchange: Exchange) -> Answer:
        seen.append(len(exchange.payload))
        return batch_answer(verdicts[len(seen) - 1])

    world.clients[0].replaying = True
    tell(world, 3)
    world.judge = judge
    world.deliveries._due(world.clients[0], 0.0)
    world.pass_time(10_000)
    assert seen == [3, 1]
    assert (world.deliveries.accepted, world.deliveries.refused, world.deliveries.waiting) == (2, 1, 0)
    assert world.simulation.tally.verdicts["batch: events", 422, ""] == 1


def test_a_verdict_that_is_missing_is_no_acceptance() -> None:
    world = World(1)
    world.judge = lambda _: batch_answer([])
    tell(world, 1)
    world.pass_time(5_000)
    assert (world.deliveries.accepted, world.deliveries.waiting) == (0, 1)


def test_a_full_spool_loses_the_oldest_and_counts() -> None:
    world = World(1)
    world.judge = away
    tell(world, MOST_SPOOLED + 5)
    assert (world.deliveries.waiting, world.deliveries.lost) == (MOST_SPOOLED, 5)
    assert b'"e-5"' in (world.clients[0].spool or [])[0][1]


def test_what_goes_while_a_batch_is_under_way_is_not_taken_for_what_arrived() -> None:
    world = World(1)
    world.answer_ms = 1_000.0
    tell(world, MOST_SPOOLED + 10)
    world.pass_time(60_000)
    assert world.deliveries.waiting == 0
    assert len(world.arrived) + world.deliveries.lost >= MOST_SPOOLED + 10


def test_a_client_without_a_network_spools_and_nobody_hears_of_it() -> None:
    world = World(1, 1_000)
    world.clients[0].cut = 1
    world.start(1_000)
    tell(world, 2)
    world.pass_time(5_000)
    assert world.requests == []
    assert world.deliveries.waiting == 2
    world.clients[0].cut = 0
    world.pass_time(120_000)
    assert world.deliveries.accepted == 2


def test_the_stubborn_send_all_at_once_and_again_after_a_second() -> None:
    world = World(1, discipline=Discipline.NONE)
    world.judge = refusing(503, "broker-unavailable", 60)
    tell(world, 3)
    world.pass_time(1_500)
    world.judge = taking
    world.pass_time(2_000)
    assert world.deliveries.accepted == 3
    assert world.deliveries.waiting == 0
