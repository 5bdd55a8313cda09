"""Heartbeats, silence and blindness through a worker on the real broker."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import uuid
from collections.abc import AsyncIterator
from typing import Any

from aiokafka import ConsumerRecord

from processors.settings import ProcessorSettings
from schemas.topics import ALERTS, CLIENTS, DLQ, HEARTBEATS, LIVENESS, REGISTRATIONS
from tests.deadline import eventually
from tests.processors.harness import Lab, evidence, working
from tests.processors.samples import a_client, command, heartbeat, now_ms, registration

INTERVAL_MS = 400


async def beat_for(lab: Lab, client_id: str, count: int) -> None:
    for number in range(count):
        await asyncio.sleep(INTERVAL_MS / 1000 if number else 0)
        await lab.send(HEARTBEATS, heartbeat(client_id, interval_ms=INTERVAL_MS))


@contextlib.asynccontextmanager
async def beating(lab: Lab, client_id: str) -> AsyncIterator[None]:
    """A client that stays alive."""
    task = asyncio.create_task(beat_for(lab, client_id, 1_000))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def forget_other_edges(lab: Lab) -> None:
    """Until edges of earlier tests, which the clock remembers, are taken as gone: a client is late only after that."""
    client = a_client()
    await beat_for(lab, client, 1)
    await lab.wait_for(LIVENESS, client_id=client, state="late")


def an_edge() -> str:
    return f"edge-{uuid.uuid4().hex[:8]}"


async def test_silence_is_one_alert_and_the_return_resolves_it(settings: ProcessorSettings, lab: Lab) -> None:
    gone, alive = a_client(), a_client()
    async with working(settings), lab.ticking(an_edge()), beating(lab, alive):
        await beat_for(lab, gone, 3)
        [online] = await lab.wait_for(LIVENESS, client_id=gone)
        assert (online["state"], online["previous_state"], online["reason"]) == ("online", None, "heartbeat")
        [_, late, offline] = await lab.wait_for(LIVENESS, 3, client_id=gone)
        assert (late["state"], late["reason"], late["deadline"]) == ("late", "late", offline["deadline"])
        assert (offline["state"], offline["reason"]) == ("offline", "missed_heartbeats")
        assert offline["watermark"] >= offline["deadline"] >= offline["last_heartbeat"] + 3 * INTERVAL_MS + 200
        [firing] = await lab.wait_for(ALERTS, client_id=gone)
        assert (firing["rule"], firing["status"]) == ("offline", "firing")
        assert evidence(firing)["deadline"] == offline["deadline"]
        headers = dict(lab.raw(ALERTS)[-1].headers)
        assert headers["ce_type"] == b"viworks.alert.firing.v1"

        await beat_for(lab, gone, 1)
        [_, resolved] = await lab.wait_for(ALERTS, 2, client_id=gone)
        assert (resolved["status"], resolved["alert_id"]) == ("resolved", firing["alert_id"])
    assert [record["state"] for record in lab.of(LIVENESS, client_id=gone)] == ["online", "late", "offline", "online"]
    assert [record["state"] for record in lab.of(LIVENESS, client_id=alive)] == ["online"]
    assert lab.of(ALERTS, client_id=alive) == []


async def test_silence_is_told_of_within_a_second_of_the_deadline(settings: ProcessorSettings, lab: Lab) -> None:
    """As a median: what 99 in 100 take, ``make bench`` says."""
    took_ms = []
    async with working(settings), lab.ticking(an_edge()):
        for _ in range(5):
            client = a_client()
            await beat_for(lab, client, 1)
            [firing] = await lab.wait_for(ALERTS, client_id=client)
            took_ms.append(firing["emitted_at"] - evidence(firing)["deadline"])
    assert statistics.median(took_ms) < 1_000


async def test_a_missing_client_resolves_after_a_restart_too(settings: ProcessorSettings, lab: Lab) -> None:
    client, edge = a_client(), an_edge()
    async with lab.ticking(edge):
        async with working(settings):
            await beat_for(lab, client, 1)
            [firing] = await lab.wait_for(ALERTS, client_id=client)
        async with working(settings):
            await beat_for(lab, client, 1)
            await lab.wait_for(ALERTS, client_id=client, status="resolved", alert_id=firing["alert_id"])


async def test_an_edge_outage_is_one_incident_and_nobody_is_blamed(settings: ProcessorSettings, lab: Lab) -> None:
    client, edge = a_client(), an_edge()
    async with working(settings):
        async with lab.ticking(edge):
            await beat_for(lab, client, 1)
            await lab.wait_for(LIVENESS, client_id=client)
        stopped_at = now_ms()
        # Longer than the client's deadline, and than the limits of the clock.
        await eventually(lambda: now_ms() - stopped_at > 3_500, 10)
        assert len(lab.of(LIVENESS, client_id=client)) == 1
        async with lab.ticking(edge), beating(lab, client):
            [firing, resolved] = await eventually(lambda: incidents_around(lab, stopped_at), 10)
            assert (firing["status"], resolved["status"]) == ("firing", "resolved")
            assert firing["alert_id"] == resolved["alert_id"]
            assert evidence(firing)["end"] - stopped_at > 3_400
            # The clock goes on: the next one that is silent is found.
            other = a_client()
            await beat_for(lab, other, 1)
            await lab.wait_for(ALERTS, client_id=other, rule="offline")
    assert [record["state"] for record in lab.of(LIVENESS, client_id=client)] == ["online"]
    assert lab.of(ALERTS, client_id=client) == []
    assert len(incidents_around(lab, stopped_at)) == 2


async def test_what_came_while_no_worker_ran_is_judged_by_its_own_time(settings: ProcessorSettings, lab: Lab) -> None:
    client, gone, edge = a_client(), a_client(), an_edge()
    async with lab.ticking(edge):
        async with working(settings):
            await forget_other_edges(lab)
            await beat_for(lab, client, 1)
            await lab.wait_for(LIVENESS, client_id=client)
        await beat_for(lab, gone, 1)
        paused_at = now_ms()
        # More than the deadlines and the gap go by, but the edge keeps ticking.
        await beat_for(lab, client, 9)
        async with beating(lab, client), working(settings):
            await lab.wait_for(ALERTS, client_id=gone, status="firing")
    assert [record["state"] for record in lab.of(LIVENESS, client_id=client)] == ["online"]
    assert incidents_around(lab, paused_at) == []


async def test_poison_stops_none_of_its_neighbours(settings: ProcessorSettings, lab: Lab) -> None:
    before, after = a_client(), a_client()
    poison = [b"\xff\xfe", b"", None, b"\x00\x00\x00\x00\x04\x80", b"\x00\x00\x00\x03\xe7\x00"]
    async with working(settings), lab.ticking(an_edge()):
        await beat_for(lab, before, 1)
        for value in poison:
            await lab.send_raw(HEARTBEATS, before, value)
        # The same partition as the poison.
        await lab.send(HEARTBEATS, heartbeat(before, status="maintenance"))
        await beat_for(lab, after, 1)
        await lab.wait_for(LIVENESS, client_id=before, state="maintenance")
        await lab.wait_for(LIVENESS, client_id=after, state="online")
        await eventually(lambda: len(dead_of(lab, before)) >= len(poison), 5)
    letters = dead_of(lab, before)
    assert [letter.value for letter in letters] == poison
    headers = [dict(letter.headers) for letter in letters]
    assert {name for each in headers for name in each} == {"topic", "partition", "offset", "error"}
    assert {each["error"] for each in headers} == {b"CodecError"}


def incidents_around(lab: Lab, at_ms: int) -> list[dict[str, Any]]:
    """The blind spans that hold a time; earlier edges of this run, which went away, have left theirs."""
    found = lab.of(ALERTS, rule="ingest_blind")
    return [alert for alert in found if evidence(alert)["start"] <= at_ms <= evidence(alert).get("end", at_ms)]


def dead_of(lab: Lab, key: str) -> list[ConsumerRecord]:
    return [letter for letter in lab.raw(DLQ) if letter.key == key.encode()]


async def test_a_registered_client_that_never_comes_is_told_of_without_an_alert(
    settings: ProcessorSettings, lab: Lab
) -> None:
    """One whose time is over while the worker that heard of its registration still runs, and one for the next worker."""
    quick = settings.model_copy(update={"never_came_after_ms": 1_000})
    first, second, came, revoked = a_client(), a_client(), a_client(), a_client()
    async with lab.ticking(an_edge()):
        async with working(quick):
            for client in (first, came, revoked):
                await lab.send(REGISTRATIONS, registration(client))
            await lab.order(command(revoked, "client.revoke", reason="lost"))
            await beat_for(lab, came, 1)
            [told] = await lab.wait_for(LIVENESS, client_id=first)
            await lab.send(REGISTRATIONS, registration(second))
            await lab.wait_for(CLIENTS, client_id=second)
        assert lab.of(LIVENESS, client_id=second) == []
        async with working(quick):
            await lab.wait_for(LIVENESS, client_id=second, state="offline", reason="never_came")
            await beat_for(lab, first, 1)
            [heard] = await lab.wait_for(LIVENESS, client_id=first, state="online")
    assert (told["state"], told["reason"], told["previous_state"]) == ("offline", "never_came", None)
    assert told["deadline"] - told["last_heartbeat"] >= 1_000
    assert (heard["state"], heard["previous_state"]) == ("online", "offline")
    assert lab.of(LIVENESS, client_id=came)[0]["reason"] == "heartbeat"
    assert lab.of(LIVENESS, client_id=revoked) == []
    assert [lab.of(ALERTS, client_id=client) for client in (first, second)] == [[], []]


async def test_an_outage_over_a_restart_is_one_incident_too(settings: ProcessorSettings, lab: Lab) -> None:
    client, edge = a_client(), an_edge()
    async with working(settings), lab.ticking(edge):
        await beat_for(lab, client, 1)
        await lab.wait_for(LIVENESS, client_id=client)
    stopped_at = now_ms()
    await eventually(lambda: now_ms() - stopped_at > 3_500, 10)
    async with working(settings), lab.ticking(edge), beating(lab, client):
        found = await eventually(lambda: incidents_around(lab, stopped_at), 10)
        other = a_client()
        await beat_for(lab, other, 1)
        await lab.wait_for(LIVENESS, client_id=other, state="offline")
    assert {alert["alert_id"] for alert in incidents_around(lab, stopped_at)} == {found[0]["alert_id"]}
    assert "offline" not in [record["state"] for record in lab.of(LIVENESS, client_id=client)]


async def test_an_edge_that_ends_holds_nothing_up(settings: ProcessorSettings, lab: Lab) -> None:
    """Of two edges one says farewell: no span, and the clock goes on at once, before the other's silence would count."""
    client, staying, leaving = a_client(), an_edge(), an_edge()
    async with working(settings), lab.ticking(staying):
        async with lab.ticking(leaving):
            await forget_other_edges(lab)
            await beat_for(lab, client, 1)
            await lab.wait_for(LIVENESS, client_id=client)
        await lab.farewell(leaving)
        left_at = now_ms()
        probe = a_client()
        await beat_for(lab, probe, 1)
        [record] = await lab.wait_for(LIVENESS, client_id=probe)
        [late] = await lab.wait_for(LIVENESS, client_id=probe, state="late")
    assert late["watermark"] - late["timestamp"] < 1_000
    assert record["last_heartbeat"] >= left_at
    assert [alert for alert in lab.of(ALERTS, rule="ingest_blind") if evidence(alert)["end"] >= left_at] == []


async def test_after_a_restart_it_is_known_when_a_client_was_last_heard(settings: ProcessorSettings, lab: Lab) -> None:
    often = settings.model_copy(update={"last_seen_every_ms": 1_000})
    client, edge = a_client(), an_edge()
    async with lab.ticking(edge):
        async with working(often):
            await beat_for(lab, client, 8)
            [online] = await lab.wait_for(LIVENESS, client_id=client)
        async with working(often):
            [offline] = await lab.wait_for(LIVENESS, client_id=client, state="offline")
    assert offline["last_heartbeat"] - online["last_heartbeat"] > 1_000
