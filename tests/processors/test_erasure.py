"""A client is erased: nothing of it is kept, its keys end, and it is not missed."""

from __future__ import annotations

from aiokafka.partitioner import murmur2

from processors.fleet import FleetLimits, FleetPartition
from processors.registry import administration
from processors.settings import ProcessorSettings
from processors.watermark import ClockLimits, Tick
from schemas.topics import CLIENTS, HEARTBEATS, LIVENESS, PARTITIONS, REGISTRATIONS, REVOCATIONS, VERDICTS, Topic
from tests.deadline import eventually
from tests.processors.harness import Lab, working
from tests.processors.samples import a_client, command, heartbeat, registration


def test_it_ends_every_api_key_that_was_made_and_none_that_will_be() -> None:
    order = command("c", "client.erase", reason="asked for")
    state = {"certificate_serials": ["a1"], "revoked_serials": ["a0"]}
    decision = administration.erase({"c": state}, order, 2_000)
    again = administration.erase({}, order, 2_000)
    assert decision.forgotten
    assert decision.state is None
    [revocation] = [row.record for row in decision.rows if row.topic is REVOCATIONS]
    assert revocation["certificate_serials"] == ["a0", "a1"]
    assert (revocation["min_epoch"], revocation["issued_before"]) == (0, order["received_at"] + 1_000)
    assert again.verdict == decision.verdict
    assert [row.topic for row in again.rows] == [row.topic for row in decision.rows]


def test_the_fleet_does_not_miss_it() -> None:
    fleet = FleetPartition(FleetLimits(200, ClockLimits(1_500, 1_000)))
    fleet.tick(Tick("e", 1_000, False))
    fleet.expect("c", 1_000)
    fleet.erase("c")
    assert not [each for at in range(1_100, 3_000_000, 900) for each in fleet.tick(Tick("e", at, False))[0]]


def records(lab: Lab, topic: Topic, client_id: str) -> int:
    return sum(raw.key == client_id.encode() for raw in lab.raw(topic))


def neighbour_of(client_id: str) -> str:
    """Another client of its partition."""
    names = (a_client() for _ in range(1_000))
    return next(name for name in names if (murmur2(name.encode()) ^ murmur2(client_id.encode())) % PARTITIONS == 0)


def tombstones(lab: Lab, topic: Topic, client_id: str) -> int:
    return sum(raw.key == client_id.encode() and raw.value is None for raw in lab.raw(topic))


async def test_its_topics_forget_it_and_it_may_come_anew(settings: ProcessorSettings, lab: Lab) -> None:
    name = a_client()
    first = registration(name)
    async with working(settings), lab.ticking(f"edge-{name}"):
        await lab.send(REGISTRATIONS, first)
        await lab.wait_for(CLIENTS, client_id=name)
        await lab.send(HEARTBEATS, heartbeat(name))
        await lab.wait_for(LIVENESS, client_id=name)
        order = command(name, "client.erase")
        await lab.order(order)
        await lab.wait_for(VERDICTS, request_id=order["request_id"], outcome="accepted")
        assert await eventually(lambda: tombstones(lab, CLIENTS, name), 5, "the client's tombstone")
        assert await eventually(lambda: tombstones(lab, LIVENESS, name), 5, "its liveness' tombstone")
        known = records(lab, LIVENESS, name)
        neighbour = neighbour_of(name)
        await lab.send(HEARTBEATS, heartbeat(name))
        await lab.send(HEARTBEATS, heartbeat(neighbour))
        await lab.wait_for(LIVENESS, client_id=neighbour)
        assert records(lab, LIVENESS, name) == known, "its heartbeat was under way, and the neighbour's came after it"
        await lab.send(REGISTRATIONS, registration(name, b"\x02" * 32))
        *_, anew = await lab.wait_for(VERDICTS, 3, client_id=name)
        assert (anew["outcome"], anew["key_epoch"]) == ("accepted", 1)
