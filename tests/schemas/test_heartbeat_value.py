"""Heartbeats encoded by hand are byte for byte what the schema's own encoder writes."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import codec
from schemas.heartbeat_value import Proof, Terms, heartbeat_value, long
from schemas.messages import ClientStatus, Heartbeat, decode_message
from tests.schemas import messages_samples as samples

LARGEST_MS = 253_402_300_799_999
numbers = st.floats(min_value=0, allow_nan=False, allow_infinity=False)
# Around every power of two a varint may get one byte longer.
edges = st.integers(0, 47).flatmap(lambda bit: st.integers(max(0, 2**bit - 2), min(LARGEST_MS, 2**bit + 2)))
this_century = st.integers(1_000_000_000_000, 2_300_000_000_000)
times = this_century | edges | st.integers(0, LARGEST_MS)


def record_of(message: Heartbeat, others: dict[str, Any]) -> dict[str, Any]:
    metrics = message.metrics
    return {
        "client_id": message.client_id,
        "timestamp": message.timestamp,
        "status": message.status.value,
        "uptime": metrics.uptime,
        "memory_usage": metrics.memory_usage,
        "cpu_usage": metrics.cpu_usage,
        "network_activity": metrics.network_activity,
        "sealed": metrics.sealed if isinstance(metrics.sealed, str) else None,
        **others["terms"]._asdict(),
        "key_id": others["key_id"],
        "signature": others["signature"],
        "received_at": others["received_ms"],
        "edge": others["edge"],
        **(others["proof"]._asdict() if others["proof"] else {}),
    }


@given(
    client_id=st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}\Z"),
    timestamp=times,
    status=st.sampled_from(list(ClientStatus)),
    figures=st.tuples(numbers, numbers, numbers, numbers),
    sealed=st.none() | st.text(max_size=300),
    has_sealed=st.booleans(),
    terms=st.builds(Terms, st.integers(0, 2**31 - 1), st.integers(0, 2**40), st.integers(0, 2**50)),
    key_id=st.text("0123456789abcdef", min_size=16, max_size=16),
    signature=st.binary(min_size=64, max_size=64),
    received_ms=times,
    edge=st.text(max_size=300),
    proof=st.none() | st.builds(Proof, st.binary(max_size=600), st.booleans()),
)
def test_the_bytes_are_those_of_the_schema(
    client_id: str,
    timestamp: int,
    status: ClientStatus,
    figures: tuple[float, float, float, float],
    sealed: str | None,
    has_sealed: bool,
    **others: Any,
) -> None:
    body: dict[str, Any] = {**samples.heartbeat(timestamp, client_id), "status": status.value, "signature": ""}
    names = ("uptime", "memory_usage", "cpu_usage", "network_activity")
    body["metrics"] = {**dict(zip(names, figures, strict=True)), "encrypted": True}
    if has_sealed:
        body["metrics"]["sealed"] = sealed
    message = decode_message(msgspec.json.encode(body), Heartbeat)
    assert heartbeat_value(message, **others) == codec.encode("heartbeat", record_of(message, others))


@pytest.mark.parametrize("number", [0, -1, 1, -64, 63, 64, -65, 2**31 - 1, -(2**31), 2**63 - 1, -(2**63)])
def test_longs_are_zigzag_varints(number: int) -> None:
    zigzag = (number << 1) ^ (number >> 63)
    decoded = sum((byte & 0x7F) << 7 * place for place, byte in enumerate(long(number)))
    assert decoded == zigzag
    assert [byte >> 7 for byte in long(number)] == [1] * (len(long(number)) - 1) + [0]
