"""From the spool to the server: what was accepted arrives once, what cannot arrive is counted and stops nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from schemas.sealing import Place, open_envelope
from tests.deadline import eventually
from tests.viworks.fake_server import FakeServer, problem
from tests.viworks.spooled_clients import NOW_MS, Clock, client_at, store, told
from viworks import AnswerLost, Bounds, Client, MessageInvalid, RetryPolicy, SpoolFull, Unreachable
from viworks.backoff import Backoff
from viworks.breaker import BreakerPolicy
from viworks.delivery import FIRST_LINES, Delivery, Pace, held_back, may_have_broken, slowed

DAY_MS = 86_400_000


async def test_events_are_accepted_while_the_server_is_away_and_arrive_after_a_restart(tmp_path: Path) -> None:
    server, keys = FakeServer(), store()
    server.unreachable = Unreachable("away")
    async with client_at(tmp_path, server, keys=keys) as client:
        ids = [await client.report_event("policy_violation", "low", f"text {number}") for number in range(30)]
        assert client.spooled == 30
        assert not await client.flush()
        assert client.local_mode
    server.unreachable = None
    async with client_at(tmp_path, server, keys=keys) as client:
        assert client.spooled == 30
        await eventually(client.flush, 5)
        assert not client.local_mode
        assert client.spooled == 0
    assert list(server.stored) == ids
    assert server.registrations == 1


async def test_delivery_happens_by_itself(tmp_path: Path) -> None:
    server = FakeServer()
    async with client_at(tmp_path, server) as client:
        event_id = await client.report_event("policy_violation", "low", "text")
        await eventually(lambda: event_id in server.stored, 5)


async def test_what_was_spooled_before_any_key_was_known_leaves_sealed_and_twice_the_same(tmp_path: Path) -> None:
    server = FakeServer()
    server.privacy_mode = "strict"
    answers = 0

    def lost_answer(message: dict[str, Any]) -> dict[str, Any] | None:
        nonlocal answers
        answers += 1
        server.sent.append(message)  # type: ignore[attr-defined]
        return {"status": 503, "retryable": True} if answers == 1 else None

    server.sent, server.verdict = [], lost_answer  # type: ignore[attr-defined]
    async with client_at(tmp_path, server) as client:
        event_id = await client.report_event("policy_violation", "low", "the secret", source_ip="192.0.2.7")
        await eventually(lambda: event_id in server.stored, 5)
    first, second = server.sent  # type: ignore[attr-defined]
    assert first == second
    assert second["details"]["source_ip"] == "192.0.2.0"
    opened = open_envelope(second["details"]["description"], Place("c-1", "event.description", event_id), server.soc)
    assert opened == b"the secret"


async def test_what_was_sealed_for_a_former_key_is_sealed_once_more(tmp_path: Path) -> None:
    server, keys = FakeServer(), store()
    former = server.soc
    async with client_at(tmp_path, server, keys=keys) as client:
        await client.register()
        server.unreachable = Unreachable("away")
        event_id = await client.report_event("policy_violation", "low", "the secret")
    server.unreachable = None
    server.soc = X25519PrivateKey.generate()
    async with client_at(tmp_path, server, keys=keys) as client:
        await client.register()
        assert await client.flush()
    place = Place("c-1", "event.description", event_id)
    inner = open_envelope(server.stored[event_id]["details"]["description"], place, server.soc)
    assert open_envelope(inner.decode(), place, former) == b"the secret"


async def test_each_verdict_has_its_consequence_and_none_stops_the_others(tmp_path: Path) -> None:
    server, clock = FakeServer(), Clock()
    server.clock = lambda: clock.wall_ms
    refused = {
        "bad": {"status": 422, "type": "urn:viworks:problem:invalid-message"},
        "busy": {"status": 429, "type": "urn:viworks:problem:rate-limited", "retryable": True},
        "doubtful": {"status": 401, "type": "urn:viworks:problem:bad-signature"},
    }
    seen: dict[str, int] = {}

    def verdict(message: dict[str, Any]) -> dict[str, Any] | None:
        name = message["event_id"]
        seen[name] = seen.get(name, 0) + 1
        if name == "old" and message["timestamp"] < clock.wall_ms - 7 * DAY_MS:
            return {"status": 422, "type": "urn:viworks:problem:stale-timestamp"}
        if name == "future" and message["timestamp"] > clock.wall_ms + 300_000:
            return {"status": 422, "type": "urn:viworks:problem:stale-timestamp"}
        return None if name == "busy" and seen[name] > 2 else refused.get(name)

    server.verdict = verdict
    times = {"old": NOW_MS - 8 * DAY_MS, "future": NOW_MS + DAY_MS}
    async with client_at(tmp_path, server, clock) as client:
        for name in ("bad", "good-1", "busy", "old", "doubtful", "future", "good-2"):
            timestamp = times.get(name, NOW_MS)
            await client.report_event("policy_violation", "low", "t", event_id=name, timestamp=timestamp)
        await eventually(client.flush, 5)
        assert {"good-1", "good-2", "busy", "future"} <= server.stored.keys()
        assert server.stored["future"]["timestamp"] <= clock.wall_ms
        assert not {"bad", "old", "doubtful"} & server.stored.keys()
        assert seen["doubtful"] == 4
        await client.flush()
    assert told(server) == ["messages-lost"]


async def test_a_record_on_which_the_server_breaks_stops_no_other(tmp_path: Path) -> None:
    server = FakeServer()

    def broken(message: dict[str, Any]) -> dict[str, Any] | None:
        if message["event_id"] == "e-3":
            raise _Breaks
        return None

    server.verdict = broken
    answer = server._answer

    def breaking(*request: Any) -> Any:
        try:
            return answer(*request)
        except _Breaks:
            return problem(500, "internal")

    server._answer = breaking  # type: ignore[method-assign]
    async with client_at(tmp_path, server) as client:
        for number in range(8):
            await client.report_event("policy_violation", "low", "t", event_id=f"e-{number}")
        await eventually(lambda: client.spooled == 1, 5)
        assert len(server.stored) == 7


class _Breaks(Exception):
    pass


@pytest.mark.parametrize(
    ("status", "broken"), [(500, True), (502, True), (413, True), (429, False), (401, False), (403, False)]
)
def test_what_a_batch_may_have_broken(status: int, broken: bool) -> None:
    assert may_have_broken(status) is broken


def test_a_batch_is_halved_only_where_the_server_may_have_broken_on_it() -> None:
    assert slowed(Pace(40), 0.5, broken=True) == (Pace(20, Backoff(1)), 250)
    assert slowed(Pace(40), 0.5) == (Pace(40, Backoff(1)), 250)


@pytest.mark.parametrize(("interval_s", "longest_ms"), [(1, 2_000), (30, 60_000), (300, 600_000), (3_600, 600_000)])
def test_what_the_breaker_held_back_is_spread_over_two_intervals(interval_s: int, longest_ms: int) -> None:
    assert held_back(interval_s, 0.0, 4_000) == 4_000
    assert held_back(interval_s, 0.5, 4_000) == 4_000 + longest_ms // 2


async def test_a_server_that_cannot_be_reached_makes_batches_no_smaller(tmp_path: Path) -> None:
    server, clock = FakeServer(), Clock()
    async with client_at(tmp_path, server, clock) as client:
        delivery = await _filled(client, server)
        delivery._pace = Pace(8)
        server.unreachable = Unreachable("no connection")
        for _ in range(4):
            await delivery.step()
        server.unreachable = None
        await eventually(client.flush, 5)
    assert server.batches == [8]


async def test_a_batch_whose_answer_was_lost_is_halved(tmp_path: Path) -> None:
    server = FakeServer()
    async with client_at(tmp_path, server) as client:
        delivery = await _filled(client, server)
        delivery._pace = Pace(8)
        server.unreachable = AnswerLost("the connection has ended")
        assert await delivery.step()
        server.unreachable = None
        await eventually(client.flush, 5)
    assert server.batches[0] == 4
    assert len(server.stored) == 8


async def test_what_the_own_breaker_holds_back_has_not_failed(tmp_path: Path) -> None:
    server, clock = FakeServer(), Clock()
    retries = RetryPolicy(attempts=1, breaker=BreakerPolicy(failures_to_open=2, open_ms=8_000))
    async with client_at(tmp_path, server, clock, retries=retries) as client:
        delivery = await _filled(client, server)
        server.unreachable = Unreachable("no connection")
        for _ in range(2):
            await delivery.step()
        assert await delivery.step() == 6_000 + 30_000
        assert delivery._pace == Pace(FIRST_LINES, Backoff(2))


async def _filled(client: Client, server: FakeServer) -> Delivery:
    """The deliveries of a registered client in whose spool eight messages are; the test takes their steps."""
    await client.register()
    parts = client._parts
    parts.deliver = lambda: None  # type: ignore[method-assign]
    for number in range(8):
        await client.report_event("policy_violation", "low", "t", event_id=f"e-{number}")
    assert parts._delivery is not None
    return parts._delivery


async def test_a_full_spool_says_what_it_dropped_once_it_can(tmp_path: Path) -> None:
    server = FakeServer()
    server.unreachable = Unreachable("away")
    async with client_at(tmp_path, server, bounds=Bounds(records=10)) as client:
        for number in range(12):
            await client.report_event("policy_violation", "high" if number % 2 else "info", "t", event_id=f"e-{number}")
        for _ in range(6):
            await client.report_event("policy_violation", "critical", "t")
        with pytest.raises(SpoolFull):
            await client.report_event("policy_violation", "info", "t")
        server.unreachable = None
        await eventually(client.flush, 5)
        await client.flush()
    assert told(server) == ["messages-lost"]
    [lost] = [each for each in server.stored.values() if each["details"].get("error_code") == "messages-lost"]
    place = Place("c-1", "event.description", lost["event_id"])
    text = open_envelope(lost["details"]["description"], place, server.soc).decode()
    assert "dropped:info" in text
    assert (lost["event_type"], lost["severity"]) == ("system_error", "medium")


async def test_a_refused_api_key_is_renewed_and_a_server_that_refuses_all_is_not_stormed(tmp_path: Path) -> None:
    server, clock = FakeServer(), Clock()
    async with client_at(tmp_path, server, clock) as client:
        await client.register()
        server.forget_api_keys()
        event_id = await client.report_event("policy_violation", "low", "t")
        await eventually(lambda: event_id in server.stored, 5)
        assert server.registrations == 2
        server.verdict = lambda _: None
        answer = server._answer

        def refusing(method: str, target: str, *rest: Any) -> Any:
            made = answer(method, target, *rest)
            return made if target.endswith("/register") else problem(401, "invalid-api-key")

        server._answer = refusing  # type: ignore[method-assign]
        began_ms = clock.steady_ms
        await client.report_event("policy_violation", "low", "t")
        await eventually(lambda: clock.steady_ms - began_ms > 3_600_000, 5)
        assert server.registrations < 40  # the waits grow to five minutes


async def test_what_the_server_would_refuse_is_not_accepted(tmp_path: Path) -> None:
    async with client_at(tmp_path, FakeServer()) as client:
        for wrong in (
            {"severity": "terrible"},
            {"event_type": "party"},
            {"description": "x" * 30_000},
            {"description": "\ud800"},
            {"event_id": "x" * 200},
            {"user_agent": "x" * 2_000},
            {"colour": "red"},
        ):
            members = {"event_type": "policy_violation", "severity": "low", "description": "t", **wrong}
            with pytest.raises(MessageInvalid):
                await client.report_event(**members)
        assert client.spooled == 0


async def test_a_session_is_reported_with_its_start_its_end_and_errors(tmp_path: Path) -> None:
    server, clock = FakeServer(), Clock()
    facts = {"node_id": "n", "client_ip": "192.0.2.7", "internal_ip": "10.8.0.7", "user_agent": "u"}
    async with client_at(tmp_path, server, clock) as client:
        async with client.report_session("s-1", "vpn_connection", **facts) as session:
            assert session.session_id == "s-1"
            clock.wall_ms += 5_000
        with pytest.raises(RuntimeError):
            async with client.report_session("s-2", "vpn_connection", **facts):
                raise RuntimeError
        await client.report_session("s-3", "vpn_connection", "active", start_time=5, **facts)
        await eventually(client.flush, 5)
    sent = [
        (each["session_id"], each["status"], each.get("end_time")) for kind, each in server.received if kind == "sessions"
    ]
    assert sent == [
        ("s-1", "active", None),
        ("s-1", "disconnected", NOW_MS + 5_000),
        ("s-2", "active", None),
        ("s-2", "error", NOW_MS + 5_000),
        ("s-3", "active", None),
    ]
