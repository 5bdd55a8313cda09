"""What happens at the same time within one client: nothing that one part brings is undone by another."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.deadline import eventually
from tests.viworks.fake_server import FakeServer
from tests.viworks.spooled_clients import client_at, store, told
from tests.viworks.spools import box, event, opened
from viworks import Bounds, Spool, SpoolFailed, Unreachable
from viworks.findings import Finding, FindingKind
from viworks.spool import SpoolDesk


async def test_what_comes_while_the_former_is_written_down_is_written_down_too(tmp_path: Path) -> None:
    server, keys = FakeServer(), store()
    async with client_at(tmp_path, server, keys=keys) as client:
        await client.policies()
        desk, standing, writing, go_on = client._parts.desk, client._parts.standing, asyncio.Event(), threading.Event()
        assert desk is not None
        loop, remember = asyncio.get_running_loop(), desk.spool.remember

        def slowly(values: Mapping[str, bytes]) -> None:
            remember(values)
            loop.call_soon_threadsafe(writing.set)
            assert go_on.wait(5)

        desk.spool.remember = slowly  # type: ignore[method-assign]
        standing._save()
        saving = asyncio.create_task(client._parts.tidy())
        await writing.wait()
        standing.policy = _newer(standing.policy)
        standing._save()
        go_on.set()
        await saving
    server.unreachable = Unreachable("away")
    async with client_at(tmp_path, server, keys=keys) as client:
        assert client._parts.standing.policy.version == 99


async def test_what_the_disk_did_not_take_is_written_down_later(tmp_path: Path) -> None:
    server, keys = FakeServer(), store()
    async with client_at(tmp_path, server, keys=keys) as client:
        await client.policies()
        desk, standing = client._parts.desk, client._parts.standing
        assert desk is not None
        remember = desk.spool.remember

        def full(values: Mapping[str, bytes]) -> None:
            raise SpoolFailed("SQLITE_FULL")

        desk.spool.remember = full  # type: ignore[method-assign]
        standing.policy = _newer(standing.policy)
        standing._save()
        with pytest.raises(SpoolFailed):
            await client._parts.tidy()
        desk.spool.remember = remember  # type: ignore[method-assign]
    async with client_at(tmp_path, server, keys=keys) as client:
        assert client._parts.standing.policy.version == 99


async def test_a_delivery_does_not_register_while_the_key_is_changed(tmp_path: Path) -> None:
    server = FakeServer()
    server.verdict = lambda message: {"status": 401, "type": "urn:viworks:problem:bad-signature"}
    async with client_at(tmp_path, server, farewell_s=0) as client:
        await client.register()
        link = client._parts.link
        async with link.changing_keys:
            await client.report_event("policy_violation", "low", "t")
            await eventually(lambda: server.batches, 5)
            for _ in range(50):
                await asyncio.sleep(0)
            assert server.registrations == 1
        await eventually(lambda: server.registrations == 2, 5)


async def test_a_finding_waits_while_the_spool_is_full_and_holds_no_delivery_up(tmp_path: Path) -> None:
    server = FakeServer()
    server.unreachable = Unreachable("away")
    async with client_at(tmp_path, server, bounds=Bounds(records=3)) as client:
        for _ in range(3):
            await client.report_event("policy_violation", "critical", "t")
        client._parts.reporting.note(Finding(FindingKind.CLOCK_JUMP, "the clock was set"))
        assert not await client.flush()
        server.unreachable = None
        await eventually(client.flush, 5)
        await eventually(client.flush, 5)
    assert told(server) == ["clock-jump"]
    assert len(server.stored) == 4


def test_a_finding_is_taken_once_though_another_comes_meanwhile(tmp_path: Path) -> None:
    spool, counted = opened(tmp_path), threading.Event()
    spool.findings = ("the first",)

    class Slowly(list[int]):
        def __len__(self) -> int:
            counted.set()
            taking.join(0.2)  # as long as a taker may come between
            return 1

    taken: list[str] = []
    taking = threading.Thread(target=lambda: counted.wait(5) and taken.extend(spool.taken_findings()))
    taking.start()
    spool._discard(Slowly([7]))
    taking.join(5)
    taken += spool.taken_findings()
    assert taken == ["the first", "1 records of the spool were changed while it was open"]
    spool.close()


async def test_a_message_for_a_spool_that_is_closed_is_refused(tmp_path: Path) -> None:
    desk = SpoolDesk(opened(tmp_path))
    await desk.append(event(1))
    await desk.close()
    with pytest.raises(SpoolFailed, match="closed"):
        await desk.append(event(2))


async def test_a_spool_is_closed_though_nobody_waits_for_it(tmp_path: Path) -> None:
    desk, busy, go_on = SpoolDesk(opened(tmp_path)), threading.Event(), threading.Event()

    def keep_busy() -> None:
        busy.set()
        assert go_on.wait(5)

    at_work = asyncio.create_task(desk.run(keep_busy))
    await asyncio.to_thread(busy.wait, 5)
    reporting = asyncio.create_task(desk.append(event(1)))
    await asyncio.sleep(0)
    closing = asyncio.create_task(desk.close())
    await asyncio.sleep(0)
    go_on.set()
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    async with asyncio.timeout(5):
        await at_work
        await reporting
    again = Spool(tmp_path, box())
    assert again.census.waiting == 1
    again.close()


def _newer(policy: Any) -> Any:
    return replace(policy, version=99)
