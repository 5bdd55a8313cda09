"""Refusals that are signs of tampering become security events, few of them however many the refusals."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from ingest.rejections import Rejection
from ingest.tamper_signals import MAX_PER_SECOND, SEVERITIES, TamperSignals
from schemas import codec
from schemas.sealing import Place, SealingKey, open_envelope
from schemas.topics import EVENTS, Topic
from tests.deadline import eventually
from tests.ingest.test_refusals import anothers_message, wrong_key
from tests.rust_client import RustClient, now_ms
from tests.topic_probe import TopicProbe

SOC = X25519PrivateKey.generate()
MINUTE_MS = 60_000


class Collected:
    """Stands for a producer."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def enqueue(self, topic: Topic, partition: int, key: bytes, value: bytes) -> None:
        assert topic is EVENTS
        assert 0 <= partition < EVENTS.partitions
        self.events.append(codec.decode_as("event", value))


class Clock:
    def __init__(self) -> None:
        self.now_ms = 10 * MINUTE_MS

    def __call__(self) -> int:
        return self.now_ms


def signals(producer: Any, clock: Clock, edge: str = "e1") -> TamperSignals:
    return TamperSignals(producer, SealingKey(SOC.public_key()), edge, clock)


def refusal(client_id: str, reason: str = "bad-signature") -> Rejection:
    return Rejection(client_id, True, "events", reason, 401)


def test_one_event_a_client_reason_and_minute() -> None:
    collected, clock = Collected(), Clock()
    observer = signals(collected, clock)
    for _ in range(1_000):
        observer.observe(refusal("a"))
        observer.observe(refusal("b"))
        observer.observe(refusal("a", "identity-mismatch"))
    assert [(e["client_id"], e["error_code"]) for e in collected.events] == [
        ("a", "bad-signature"),
        ("b", "bad-signature"),
        ("a", "identity-mismatch"),
    ]
    clock.now_ms += MINUTE_MS
    observer.observe(refusal("a"))
    assert len({event["event_id"] for event in collected.events}) == len(collected.events) == 4


def test_a_flood_of_claimed_ids_is_capped() -> None:
    collected, clock = Collected(), Clock()
    observer = signals(collected, clock)
    for number in range(5_000):
        observer.observe(refusal(f"claimed-{number}"))
    assert len(collected.events) == MAX_PER_SECOND
    clock.now_ms += 1_000
    observer.observe(refusal("one-more"))
    assert len(collected.events) == MAX_PER_SECOND + 1


def test_two_edges_give_the_same_event_the_same_id() -> None:
    first, second, clock = Collected(), Collected(), Clock()
    signals(first, clock, "e1").observe(refusal("a"))
    clock.now_ms += 500
    signals(second, clock, "e2").observe(refusal("a"))
    assert first.events[0]["event_id"] == second.events[0]["event_id"]
    assert first.events[0]["timestamp"] == second.events[0]["timestamp"]


def test_what_is_no_sign_is_no_event() -> None:
    collected = Collected()
    observer = signals(collected, Clock())
    observer.observe(refusal("a", "malformed-json"))
    observer.observe(refusal("", "bad-signature"))
    assert collected.events == []


def test_its_description_is_sealed_and_nobody_signed() -> None:
    collected = Collected()
    signals(collected, Clock()).observe(refusal("a"))
    [event] = collected.events
    assert (event["origin"], event["signature"], event["severity"]) == ("edge", b"", SEVERITIES["bad-signature"])
    place = Place("a", "event.description", event["event_id"])
    assert open_envelope(event["description"], place, SOC).startswith(b"bad-signature at events")


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize(("make", "reason"), [(wrong_key, "bad-signature"), (anothers_message, "identity-mismatch")])
async def test_the_edge_reports_it(make: Any, reason: str, probe: TopicProbe, client: RustClient) -> None:
    await probe.mark()
    for _ in range(20):
        await client.send("events", *make(client))

    async def reported() -> list[dict[str, Any]]:
        return [e for e in await probe.records("event", client.client_id) if e["origin"] == "edge"]

    events = await eventually(reported, 5, "the event of the refusals")
    assert {event["error_code"] for event in events} == {reason}
    assert len(events) <= 2  # one a minute, and the minute may have turned


@pytest.mark.asyncio(loop_scope="session")
async def test_a_takeover_is_a_conflict_and_a_grave_event(
    http: httpx2.AsyncClient, probe: TopicProbe, client: RustClient
) -> None:
    await probe.mark()
    thief = RustClient(http, client.client_id)
    thief.seed = b"t" * 32
    assert (await thief.register(now_ms() + 1)).status_code == 409

    async def reported() -> list[dict[str, Any]]:
        return [e for e in await probe.records("event", client.client_id) if e["origin"] == "edge"]

    [event] = await eventually(reported, 5, "the event of the takeover")
    assert (event["error_code"], event["severity"]) == ("identity-conflict", "high")
