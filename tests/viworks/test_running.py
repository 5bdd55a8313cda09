"""A client that runs by itself: its rhythm, the policies, its keys, and how it ends."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path

import pytest

from tests.deadline import eventually
from tests.viworks.fake_server import FakeServer, problem
from tests.viworks.spooled_clients import METRICS, NOW_MS, Clock, client_at, store, told
from viworks import (
    AnswerNotTrusted,
    Client,
    Device,
    Identity,
    KeyStore,
    MessageInvalid,
    Metrics,
    NoKeyStore,
    Timing,
    Unreachable,
)
from viworks.backoff import Backoff
from viworks.breaker import BreakerState
from viworks.upkeep import Upkeep


def upkeep_of(client: Client) -> Upkeep:
    """The loop of a client that is not left to run by itself, so that the test takes its steps."""
    return client._run_of(lambda: METRICS)._upkeep


async def test_the_interval_of_a_policy_counts_from_the_heartbeat_that_named_it(tmp_path: Path) -> None:
    server = FakeServer()
    async with client_at(tmp_path, server) as client:
        upkeep = upkeep_of(client)
        assert await upkeep.step() == 60_000 * 0.975
        assert server.fetches == [7]
        assert await upkeep.step() == 60_000 * 0.975
        assert server.fetches == [7]
        for version, interval_s in ((8, 300), (9, 15)):
            server.policy_version = server.named_version = version
            server.interval_s = interval_s
            assert await upkeep.step() == interval_s * 975
        assert server.fetches == [7, 8, 9]


async def test_a_version_without_news_is_fetched_once(tmp_path: Path) -> None:
    server = FakeServer()
    async with client_at(tmp_path, server) as client:
        upkeep = upkeep_of(client)
        await upkeep.step()
        server.named_version = 8  # another client's policy; the document for this one is the same
        await upkeep.step()
        await upkeep.step()
        assert server.fetches == [7, 7]


async def test_a_missed_heartbeat_is_tried_again_with_growing_waits(tmp_path: Path) -> None:
    server = FakeServer()
    async with client_at(tmp_path, server) as client:
        upkeep = upkeep_of(client)
        server.unreachable = Unreachable("away")
        waits = [await upkeep.step() for _ in range(4)]
        assert waits == [500, 1_000, 2_000, 4_000]
        for _ in range(10):
            last = await upkeep.step()
        assert 0 < last <= 60_000
        server.unreachable = None
        await eventually(upkeep.step, 1)


async def test_a_heartbeat_that_the_own_breaker_holds_back_comes_within_an_interval_of_its_end(tmp_path: Path) -> None:
    server, clock = FakeServer(), Clock()
    async with client_at(tmp_path, server, clock) as client:
        upkeep = upkeep_of(client)
        await upkeep.step()
        server.unreachable = Unreachable("away")
        for _ in range(5):
            await upkeep.step()
        held_back_ms = [await upkeep.step() for _ in range(3)]
        assert held_back_ms == [3_750 + 30_000] * 3
        assert upkeep._beat.backoff == Backoff(5)


@pytest.mark.parametrize(("interval_s", "longest_ms"), [(15, 15_000), (30, 30_000), (300, 60_000)])
async def test_the_breaker_follows_the_interval_in_force(tmp_path: Path, interval_s: int, longest_ms: int) -> None:
    server, clock = FakeServer(), Clock()
    async with client_at(tmp_path, server, clock) as client:
        upkeep = upkeep_of(client)
        await upkeep.step()
        server.interval_s, server.policy_version, server.named_version = interval_s, 8, 8
        await upkeep.step()
        server.unreachable = Unreachable("away")
        circuit = client._parts.circuit
        while circuit.state.openings < 6:
            clock.steady_ms = max(clock.steady_ms, circuit.state.until_ms)
            await upkeep.step()
        assert circuit.state.state is BreakerState.OPEN
        assert circuit.state.until_ms - clock.steady_ms == longest_ms * 0.75


async def test_a_rejected_pace_is_kept(tmp_path: Path) -> None:
    server = FakeServer()
    async with client_at(tmp_path, server) as client:
        upkeep = upkeep_of(client)
        await upkeep.step()
        server.refusal = problem(429, "rate-limited", **{"retry-after": "120"})
        assert await upkeep.step() >= 120_000


async def test_reporting_switches_say_what_is_not_sent(tmp_path: Path) -> None:
    server = FakeServer()
    server.reporting = ["heartbeat", "sessions"]
    async with client_at(tmp_path, server) as client:
        await client.policies()
        await client.report_event("policy_violation", "low", "t")
        assert client.spooled == 0
        server.reporting, server.policy_version = [], 8
        upkeep = upkeep_of(client)
        server.named_version = 8
        await upkeep.step()
        beats = len(server.received)
        await upkeep.step()
        assert len(server.received) == beats
        server.reporting, server.policy_version = ["heartbeat", "sessions", "events"], 9
        await upkeep.step()
        await upkeep.step()
        assert len(server.received) == beats + 1


async def test_the_last_signed_policies_hold_after_a_restart_without_the_server(tmp_path: Path) -> None:
    server, keys = FakeServer(), store()
    async with client_at(tmp_path, server, keys=keys) as client:
        await upkeep_of(client).step()
    server.unreachable = Unreachable("away")
    async with client_at(tmp_path, server, keys=keys) as client:
        assert client.policy is not None
        assert client.policy.heartbeat_interval == 60
        server.unreachable = None
        server.policy_version = 6
        with pytest.raises(AnswerNotTrusted, match="older"):
            await client.policies()
        assert client.policy.heartbeat_interval == 60
        assert server.registrations == 1


async def test_an_old_key_is_rotated_and_messages_go_on_with_the_new_one(tmp_path: Path) -> None:
    server, keys, clock = FakeServer(), store(), Clock()
    server.key_max_age_s = 3_600
    async with client_at(tmp_path, server, clock, keys=keys) as client:
        await client.register()
        server.unreachable = Unreachable("away")
        event_id = await client.report_event("policy_violation", "low", "t")
        server.unreachable = None
        before = client.identity
        upkeep = upkeep_of(client)
        await upkeep.step()
        assert client.identity != before
        await eventually(lambda: event_id in server.stored, 5)
        after = client.identity
        await upkeep.step()
        assert client.identity == after
        clock.wall_ms += 3_600_000
        await upkeep.step()
        assert client.identity != after


async def test_a_key_without_a_store_is_not_rotated(tmp_path: Path) -> None:
    device = Device("Linux", "6.1", "d", "h")
    server = FakeServer()
    async with Client("http://127.0.0.1:1", Identity("c-1", b"s" * 32), device=device, transport=server) as client:
        with pytest.raises(NoKeyStore):
            await client.rotate_key()
        with pytest.raises(NoKeyStore):
            await client.renew_certificate()


async def test_a_clock_that_is_wrong_by_hours_does_not_shut_the_client_out(tmp_path: Path) -> None:
    server, clock = FakeServer(), Clock(wall_ms=NOW_MS - 3 * 3_600_000)
    server.clock = lambda: NOW_MS
    async with client_at(tmp_path, server, clock) as client:
        await upkeep_of(client).step()
        await client.report_event("policy_violation", "low", "t")
        await eventually(client.flush, 5)
    times = [message["timestamp"] for _, message in server.received]
    assert all(abs(each - NOW_MS) < 1_000 for each in times)
    assert [each["details"].get("error_code") for each in server.stored.values()] == ["clock-skew", None]


async def test_it_runs_in_the_background_and_says_offline_at_the_end(tmp_path: Path) -> None:
    server = FakeServer()
    async with client_at(tmp_path, server) as client:
        client.start(lambda: METRICS)
        await client.online()
        client.status = "maintenance"
    statuses = [message["status"] for kind, message in server.received if kind == "heartbeat"]
    assert (statuses[0], statuses[-1]) == ("online", "offline")


async def test_it_ends_at_once_where_the_server_is_away(tmp_path: Path) -> None:
    server = FakeServer()
    server.unreachable = Unreachable("away")
    client = client_at(tmp_path, server)
    client.start(lambda: METRICS)
    await client.report_event("policy_violation", "low", "t")
    await client.close()
    assert server.received == []


async def test_all_of_it_in_a_directory_of_its_own(tmp_path: Path) -> None:
    server = FakeServer()
    settings = {"device": Device("Linux", "6.1", "d", "h"), "transport": server, "timing": Timing()}
    for _ in range(2):
        async with Client.open("http://127.0.0.1:1", "c-9", tmp_path / "own", **settings) as client:
            assert isinstance(client.keys, KeyStore)
            await client.report_event("policy_violation", "low", "t")
            await eventually(client.flush, 5)
    assert (server.registrations, len(server.stored)) == (1, 2)
    assert (tmp_path / "own").stat().st_mode & 0o777 == 0o700


async def test_metrics_that_cannot_be_read_do_not_silence_the_client(tmp_path: Path) -> None:
    server = FakeServer()

    def broken() -> Metrics:
        raise OSError("no such sensor")

    async with client_at(tmp_path, server) as client:
        client.start(broken)
        await client.online()
    assert [message["status"] for _, message in server.received] == ["error", "offline"]


@pytest.mark.parametrize("metrics", [None, Metrics(1, math.nan, 1, 1), Metrics(1, "much", 1, 1)])  # type: ignore[arg-type]
async def test_metrics_that_the_server_would_refuse_do_not_silence_the_client(tmp_path: Path, metrics: Metrics) -> None:
    server = FakeServer()
    async with client_at(tmp_path, server) as client:
        client.start(lambda: metrics)
        await asyncio.wait_for(client.online(), 30)
    assert [message["status"] for _, message in server.received] == ["error", "offline"]
    assert server.received[0][1]["metrics"]["memory_usage"] == 0


async def test_a_status_that_is_none_does_not_silence_the_client(tmp_path: Path) -> None:
    server = FakeServer()
    async with client_at(tmp_path, server) as client:
        client.status = "lunch"
        client.start(lambda: METRICS)
        await asyncio.wait_for(client.online(), 30)
        with pytest.raises(MessageInvalid):
            await client.heartbeat(METRICS)
    assert [message["status"] for _, message in server.received] == ["error", "offline"]


async def test_what_a_rotation_that_was_cut_off_left_is_settled_before_anything_is_sent(tmp_path: Path) -> None:
    server, keys = FakeServer(), store()
    async with client_at(tmp_path, server, keys=keys) as client:
        await client.register()
        event_id = await client.report_event("policy_violation", "low", "t")
        pending = keys.begin_rotation()
    async with client_at(tmp_path / "again", server, keys=keys) as client:
        other_id = await client.report_event("policy_violation", "low", "t")
        await eventually(client.flush, 5)
        assert client.identity == pending
    assert {event_id, other_id} >= server.stored.keys() - {event_id} == {other_id}


async def test_a_client_that_the_server_wants_a_certificate_of_says_so(tmp_path: Path) -> None:
    server = FakeServer()
    async with client_at(tmp_path, server) as client:
        await client.register()
        server.refusal = problem(403, "certificate-required")
        event_id = await client.report_event("policy_violation", "low", "t")
        assert not await client.flush()
        server.refusal = None
        await eventually(client.flush, 5)
        await eventually(client.flush, 5)
    assert event_id in server.stored
    assert told(server) == ["client-certificate-required"]


async def test_closing_twice_does_no_harm(tmp_path: Path) -> None:
    client = client_at(tmp_path, FakeServer())
    await client.close()
    await client.close()
