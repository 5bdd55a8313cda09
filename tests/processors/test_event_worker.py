"""Security events through a worker on the real broker, and what a failure of the worker leaves behind."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from processors.errors import DeliveryFailed, WorkerFailed
from processors.outbox import Outbox
from processors.settings import ProcessorSettings
from schemas.topics import ALERTS, DLQ, EVENTS
from tests.processors.harness import Lab, evidence, working
from tests.processors.samples import a_client, event

FAILURE = {"event_type": "authentication_failure", "severity": "medium"}


async def test_severe_events_and_only_they_raise_an_alert(settings: ProcessorSettings, lab: Lab) -> None:
    client = a_client()
    severe = event(client, severity="critical")
    async with working(settings):
        await lab.send(EVENTS, event(client, severity="medium"))
        await lab.send_raw(EVENTS, client, b"poison")
        await lab.send(EVENTS, severe)
        [alert] = await lab.wait_for(ALERTS, client_id=client)
    assert (alert["rule"], alert["severity"]) == ("high_severity", "critical")
    assert evidence(alert)["event_ids"] == [severe["event_id"]]
    assert [letter.value for letter in lab.raw(DLQ) if letter.key == client.encode()] == [b"poison"]


async def test_failures_count_over_a_restart(settings: ProcessorSettings, lab: Lab) -> None:
    client = a_client()
    failures = [event(client, **FAILURE) for _ in range(7)]
    async with working(settings):
        for each in [*failures[:3], event(client, severity="high")]:
            await lab.send(EVENTS, each)
        await lab.wait_for(ALERTS, client_id=client, rule="high_severity")
    assert lab.of(ALERTS, client_id=client, rule="brute_force") == []
    async with working(settings):
        for each in [*failures[3:], event(client, severity="critical")]:
            await lab.send(EVENTS, each)
        await lab.wait_for(ALERTS, client_id=client, severity="critical")
    [alert] = lab.of(ALERTS, client_id=client, rule="brute_force")
    assert sorted(evidence(alert)["event_ids"]) == sorted(each["event_id"] for each in failures[:5])


async def test_an_event_whose_agent_failed_is_handled_by_the_next_worker(
    settings: ProcessorSettings, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = a_client()
    write = Outbox.write

    async def broken(self: Outbox, records: Any) -> None:
        rows = list(records)
        if rows:
            raise DeliveryFailed("as if the broker were away")
        await write(self, rows)

    async with working(settings) as task:
        monkeypatch.setattr(Outbox, "write", broken)
        await lab.send(EVENTS, event(client, severity="high"))
        with pytest.raises(WorkerFailed) as failed:
            await asyncio.wait_for(asyncio.shield(task), 30)
    assert isinstance(failed.value.__cause__, DeliveryFailed)
    monkeypatch.undo()
    async with working(settings):
        await lab.wait_for(ALERTS, client_id=client)
