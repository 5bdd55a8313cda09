from __future__ import annotations

import asyncio

import msgspec
import pytest

from fleet.beats import Beats
from fleet.client import SimulatedClient
from fleet.enrolment import Enrolment
from fleet.errors import RegistrationFailed
from fleet.exchange import Answer, Exchange
from schemas.messages import RegistrationAnswer
from tests.fleet.imagined import World, away, refusing

CONFIG = {
    "heartbeat_interval": 15,
    "policy_version": 1,
    "sealing_key": "",
    "sealing_key_id": "",
    "policy_key": "",
    "privacy_mode": "seal",
}


def granting(exchange: Exchange) -> Answer:
    name = exchange.client.client_id
    body = {"client_id": name, "api_key": f"key-of-{name}", "expires_at": 1, "config": CONFIG}
    return Answer(201, b"HTTP/1.1 201 Created", msgspec.json.encode(body))


def enrolling(world: World, rate_per_s: float) -> tuple[Enrolment, dict[str, int]]:
    intervals: dict[str, int] = {}

    def note(client: SimulatedClient, answer: RegistrationAnswer) -> None:
        intervals[client.client_id] = answer.config.heartbeat_interval

    return Enrolment(world.simulation, rate_per_s, note), intervals


def test_all_are_registered_at_the_rate_that_was_asked_for() -> None:
    world = World(100)
    world.judge = granting
    enrolment, intervals = enrolling(world, 50.0)
    for client in world.clients:
        enrolment.enrol(client)
    world.pass_time(1_000)
    assert 45 <= len(world.requests) <= 56
    world.pass_time(1_500)
    assert enrolment.left == 0
    assert set(intervals.values()) == {15}
    assert b"Bearer key-of-imagined-000007" in world.clients[7].credentials


@pytest.mark.parametrize("status", [429, 503])
def test_nobody_comes_before_the_server_wants_to_hear_of_it(status: int) -> None:
    world = World(20)
    world.judge = refusing(status, "rate-limited", 7)
    enrolment, _ = enrolling(world, 1_000.0)
    for client in world.clients:
        enrolment.enrol(client)
    world.pass_time(500)
    asked = len(world.requests)
    world.pass_time(6_400)
    assert len(world.requests) == asked
    world.judge = granting
    world.pass_time(60_000)
    assert enrolment.left == 0


async def test_a_refusal_for_good_is_told() -> None:
    world = World(3)
    world.judge = refusing(403, "enrolment-required")
    enrolment, _ = enrolling(world, 1_000.0)
    waiting = asyncio.ensure_future(enrolment.enrol_all(world.clients))
    await asyncio.sleep(0)
    world.pass_time(100)
    with pytest.raises(RegistrationFailed, match=r"enrolment-required \(3\)"):
        await waiting


def test_a_client_whose_key_is_refused_registers_again_once_at_a_time() -> None:
    world = World(2, 1_000)
    beats: Beats = world.beats
    world.judge = lambda exchange: (
        granting(exchange) if exchange.kind == "register" else refusing(401, "invalid-api-key")(exchange)
    )
    enrolment, intervals = enrolling(world, 0.2)
    beats.renew = enrolment.enrol
    world.start(100)
    world.pass_time(4_000)
    assert [exchange.kind for _, _, exchange in world.requests].count("register") == 1
    world.pass_time(20_000)
    assert len(intervals) == 2


async def test_a_server_that_says_nothing_is_not_waited_for_for_ever() -> None:
    world = World(2)
    world.judge = away
    enrolment, _ = enrolling(world, 1_000.0)
    waiting = asyncio.ensure_future(enrolment.enrol_all(world.clients))
    await asyncio.sleep(0)
    world.pass_time(90_000)
    with pytest.raises(RegistrationFailed, match="no answer"):
        await waiting
