"""Registrations through a worker on the real broker."""

from __future__ import annotations

from typing import Any

from processors.settings import ProcessorSettings
from schemas.signing import key_id
from schemas.topics import ALERTS, AUDIT, CLIENTS, REGISTRATIONS, VERDICTS
from tests.processors.harness import Lab, evidence, working
from tests.processors.samples import a_client, registration

FOREIGN = b"\x02" * 32


async def verdict_on(lab: Lab, request: dict[str, Any], count: int = 1) -> dict[str, Any]:
    await lab.send(REGISTRATIONS, request)
    return (await lab.wait_for(VERDICTS, count, request_id=request["request_id"]))[-1]


async def test_a_registration_gets_its_verdict_its_client_and_its_audit(settings: ProcessorSettings, lab: Lab) -> None:
    first = registration(a_client())
    async with working(settings):
        verdict = await verdict_on(lab, first)
        assert (verdict["outcome"], verdict["key_epoch"], verdict["edge"]) == ("accepted", 1, first["edge"])
        [client] = await lab.wait_for(CLIENTS, client_id=first["client_id"])
        assert client["public_key"] == first["public_key"]
        [audit] = await lab.wait_for(AUDIT, subject=first["client_id"])
        assert (audit["action"], audit["outcome"]) == ("client.register", "accepted")

        assert (await verdict_on(lab, first, count=2))["outcome"] == "accepted"
        assert len(lab.of(CLIENTS, client_id=first["client_id"])) == 1
        assert {each["audit_id"] for each in lab.of(AUDIT, subject=first["client_id"])} == {audit["audit_id"]}


async def test_a_client_is_kept_over_a_restart(settings: ProcessorSettings, lab: Lab) -> None:
    first = registration(a_client())
    name, later = first["client_id"], first["timestamp"] + 1
    async with working(settings):
        assert (await verdict_on(lab, first))["outcome"] == "accepted"
    async with working(settings):
        assert (await verdict_on(lab, registration(name, FOREIGN, timestamp=later)))["outcome"] == "conflict"
        [alert] = await lab.wait_for(ALERTS, client_id=name)
        assert (alert["rule"], alert["severity"], alert["status"]) == ("identity_conflict", "high", "firing")
        assert evidence(alert)["refused_key_id"] == key_id(FOREIGN)
        assert (await verdict_on(lab, registration(name, timestamp=later)))["outcome"] == "renewed"
        assert (await verdict_on(lab, registration(name, timestamp=later)))["outcome"] == "replayed"
    [_, renewed] = lab.of(CLIENTS, client_id=name)
    assert (renewed["key_epoch"], renewed["registered_at"]) == (1, first["received_at"])


async def test_registrations_of_one_client_in_one_batch_are_decided_in_order(settings: ProcessorSettings, lab: Lab) -> None:
    first = registration(a_client())
    name = first["client_id"]
    rivals = [registration(name, FOREIGN), registration(name, timestamp=first["timestamp"] + 1)]
    for request in (first, *rivals):
        await lab.send(REGISTRATIONS, request)
    async with working(settings):
        verdicts = await lab.wait_for(VERDICTS, 3, client_id=name)
    assert [verdict["outcome"] for verdict in verdicts] == ["accepted", "conflict", "renewed"]
