"""The registry's decision, without Kafka."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.registry import registration as registry
from processors.registry.decision import Decision
from schemas import codec
from schemas.topics import AUDIT
from tests.processors.samples import registration

OWN, FOREIGN = b"\x01" * 32, b"\x02" * 32


def request(**changes: Any) -> dict[str, Any]:
    return registration("c", **{"request_id": "r1", "timestamp": 1_000, "received_at": 1_500, **changes})


def decide(state: dict[str, Any] | None, sent: dict[str, Any], now_ms: int) -> Decision:
    return registry.decide({} if state is None else {state["client_id"]: state}, sent, now_ms)


def audit_of(decision: Decision) -> dict[str, Any]:
    [record] = [row.record for row in decision.rows if row.topic is AUDIT]
    return record


def accepted() -> Decision:
    return decide(None, request(), 2_000)


def renewed() -> Decision:
    return decide(accepted().state, request(request_id="r2", timestamp=1_001, received_at=1_600), 2_000)


@pytest.mark.parametrize(
    ("state", "changes", "outcome"),
    [
        (None, {}, "accepted"),
        (accepted().state, {}, "accepted"),
        (accepted().state, {"request_id": "r2", "timestamp": 1_001}, "renewed"),
        (accepted().state, {"request_id": "r2", "timestamp": 1_000}, "replayed"),
        (accepted().state, {"request_id": "r2", "timestamp": 999}, "replayed"),
        (accepted().state, {"request_id": "r2", "timestamp": 1_001, "key": FOREIGN}, "conflict"),
        (accepted().state, {"request_id": "r2", "timestamp": 1_000, "key": FOREIGN}, "conflict"),
        (renewed().state, {"request_id": "r2", "timestamp": 1_001}, "renewed"),
        (renewed().state, {"request_id": "r1", "timestamp": 1_000}, "replayed"),
    ],
)
def test_outcomes(state: dict[str, Any] | None, changes: dict[str, Any], outcome: str) -> None:
    decision = decide(state, request(**changes), 2_000)
    verdict, client, audit = decision.verdict, decision.state, audit_of(decision)
    assert (verdict["outcome"], audit["outcome"]) == (outcome, outcome)
    redelivered = state is not None and state["request_id"] == changes.get("request_id", "r1")
    assert (client is not None) == (outcome in ("accepted", "renewed") and not redelivered)
    assert verdict["key_epoch"] == 1


def test_the_records_fit_their_schemas_and_name_the_request() -> None:
    verdict, client, audit = accepted().verdict, accepted().state, audit_of(accepted())
    assert client is not None
    for schema, record in (("verdict", verdict), ("client", client), ("audit", audit)):
        assert codec.decode_as(schema, codec.encode(schema, record)) == record
    assert (verdict["request_id"], verdict["edge"]) == ("r1", "edge-of-the-tests")
    assert (audit["action"], audit["actor"], audit["subject"]) == ("client.register", "c", "c")
    assert json.loads(audit["details"])["request_id"] == "r1"


def test_a_renewal_keeps_the_first_registration_and_the_epoch() -> None:
    client = renewed().state
    assert client is not None
    assert (client["registered_at"], client["received_at"], client["key_epoch"]) == (1_500, 1_600, 1)


def test_a_redelivered_request_has_the_same_audit() -> None:
    first, again = accepted(), decide(accepted().state, request(), 9_999)
    assert audit_of(first) == audit_of(again)
    assert audit_of(accepted())["audit_id"] != audit_of(renewed())["audit_id"]


requests = st.builds(
    request,
    request_id=st.sampled_from(["r1", "r2", "r3", "r4"]),
    timestamp=st.integers(0, 5),
    key=st.sampled_from([OWN, FOREIGN]),
)


@given(st.lists(requests, max_size=12))
def test_a_client_keeps_its_first_key_and_its_timestamps_only_rise(sent: list[dict[str, Any]]) -> None:
    state: dict[str, Any] | None = None
    for each in sent:
        after = decide(state, each, 0).state
        if state and after:
            assert after["public_key"] == state["public_key"]
            assert after["timestamp"] > state["timestamp"]
        state = after or state
        verdict, again, *_ = decide(state, each, 1)
        if after:
            assert again is None
            assert verdict["outcome"] in ("accepted", "renewed")
