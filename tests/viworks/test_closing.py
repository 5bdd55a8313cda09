"""How a client ends: what was said last goes out where the server is there, in bounded time, and nothing stays open."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.deadline import eventually
from tests.viworks.fake_server import FakeServer, problem
from tests.viworks.spooled_clients import METRICS, Clock, client_at, store
from viworks import Response, Unreachable
from viworks.delivery import FIRST_LINES, MOST_LINES
from viworks.findings import Finding, FindingKind


class SlowServer(FakeServer):
    """A server that answers after some turns of the loop, and batches never while it ``holds`` them."""

    def __init__(self) -> None:
        super().__init__()
        self.holds = False
        self.asked: list[str] = []

    async def request(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> Response:
        self.asked.append(target)
        for _ in range(20):
            await asyncio.sleep(0)
        if self.holds and target.endswith("/batch"):
            await asyncio.Event().wait()
        return await super().request(method, target, headers, body)


async def test_what_a_short_lived_program_said_does_not_wait_for_its_next_start(tmp_path: Path) -> None:
    server = SlowServer()
    async with client_at(tmp_path, server) as client:
        ids = [await client.report_event("policy_violation", "low", "t") for _ in range(3)]
    assert list(server.stored) == ids


async def test_closing_takes_no_longer_than_it_may_and_what_is_left_stays(tmp_path: Path) -> None:
    server, keys = SlowServer(), store()
    server.holds = True
    began_s = time.monotonic()
    async with client_at(tmp_path, server, keys=keys, farewell_s=0.05) as client:
        await client.report_event("policy_violation", "low", "t")
    assert time.monotonic() - began_s < 3
    assert server.stored == {}
    server.holds = False
    async with client_at(tmp_path, server, keys=keys) as client:
        assert client.spooled == 1
    assert len(server.stored) == 1


async def test_offline_is_said_though_the_deliveries_take_too_long(tmp_path: Path) -> None:
    server = SlowServer()
    async with client_at(tmp_path, server, farewell_s=0.5) as client:
        client.start(lambda: METRICS)
        await client.online()
        server.holds = True
        await client.report_event("policy_violation", "low", "t")
    assert [message["status"] for kind, message in server.received if kind == "heartbeat"][-1] == "offline"


async def test_a_server_that_is_away_or_wants_rest_is_not_asked_once_more(tmp_path: Path) -> None:
    away, busy = SlowServer(), SlowServer()
    for number, server in enumerate((away, busy)):
        client = client_at(tmp_path / str(number), server, Clock())
        await client.register()
        away.unreachable = Unreachable("away")
        if server is busy:
            busy.refusal = problem(503, "unavailable", **{"retry-after": "120"})
        client._parts.deliver = lambda: None  # type: ignore[method-assign]  # the test takes the steps
        await client.report_event("policy_violation", "low", "t")
        assert not await client.flush()
        asked = len(server.asked)
        await client.close()
        assert len(server.asked) == asked


async def test_without_time_for_a_farewell_nobody_is_asked(tmp_path: Path) -> None:
    server = SlowServer()
    client = client_at(tmp_path, server, farewell_s=0)
    await client._parts.desk.append(client._parts.standing.protected("events", _draft()))  # type: ignore[union-attr]
    await client.close()
    assert server.asked == []


async def test_one_attempt_is_enough_where_the_server_takes_nothing(tmp_path: Path) -> None:
    server = FakeServer()
    server.verdict = lambda message: {"status": 503, "retryable": True}
    client = client_at(tmp_path, server)
    client._parts.deliver = lambda: None  # type: ignore[method-assign]
    await client.report_event("policy_violation", "low", "t")
    await client.close()
    assert server.batches == [1]


async def test_a_close_that_is_cancelled_lets_another_client_open_the_spool(tmp_path: Path) -> None:
    server, keys = SlowServer(), store()
    server.holds = True
    client = client_at(tmp_path, server, keys=keys)
    await client.report_event("policy_violation", "low", "t")
    closing = asyncio.create_task(client.close())
    await eventually(lambda: any(target.endswith("/batch") for target in server.asked), 5)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    server.holds = False
    async with client_at(tmp_path, server, keys=keys) as client:
        assert client.spooled == 1


async def test_what_is_found_while_it_closes_is_kept_and_starts_nothing(tmp_path: Path) -> None:
    server, keys = FakeServer(), store()
    server.unreachable = Unreachable("away")
    client = client_at(tmp_path, server, keys=keys)
    with pytest.raises(Unreachable):
        await client.register()
    client._parts.reporting.note(Finding(FindingKind.CLOCK_JUMP, "the clock was set"))
    await client.close()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    async with client_at(tmp_path, server, keys=keys) as client:
        assert client.spooled == 1


async def test_the_first_batch_is_small_and_each_that_gets_through_doubles_the_next(tmp_path: Path) -> None:
    server = FakeServer()
    client = client_at(tmp_path, server)
    client._parts.deliver = lambda: None  # type: ignore[method-assign]
    await asyncio.gather(*(client.report_event("policy_violation", "low", "t") for _ in range(1_200)))
    assert await client.flush()
    assert server.batches == [16, 32, 64, 128, 256, MOST_LINES, 204]
    assert server.batches[0] == FIRST_LINES
    await client.close()


async def test_deliveries_that_ended_by_a_fault_begin_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    server = FakeServer()
    client = client_at(tmp_path, server)
    await client.register()
    answer = server._answer

    def faulty(*request: object) -> Response:
        raise RuntimeError("a fault")

    server._answer = faulty  # type: ignore[method-assign]
    first = await client.report_event("policy_violation", "low", "t")
    await eventually(lambda: "background work ended: RuntimeError" in caplog.text, 5)
    server._answer = answer  # type: ignore[method-assign]
    second = await client.report_event("policy_violation", "low", "t")
    await eventually(lambda: {first, second} <= server.stored.keys(), 5)
    await client.close()


def _draft() -> dict[str, object]:
    return {"client_id": "c-1", "event_id": "e-1", "severity": "low", "details": {"description": "t"}}
