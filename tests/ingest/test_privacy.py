"""The privacy guard: what each mode keeps, seals and refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from ingest.errors import PlaintextRefused
from ingest.extract import SignedRequest
from ingest.privacy import PrivacyGuard
from ingest.records import event_record, heartbeat_record, session_record
from ingest.tokens import Identity
from schemas import codec
from schemas.heartbeat_value import Terms
from schemas.messages import Heartbeat, SecurityEvent, SessionReport, decode_message
from schemas.privacy import PrivacyMode, pseudonym
from schemas.sealing import Place, SealingKey, open_envelope
from tests.schemas import messages_samples as samples

SOC = X25519PrivateKey.generate()
KEY = SealingKey(SOC.public_key())
FOREIGN = SealingKey(X25519PrivateKey.generate().public_key())
SEAL = PrivacyGuard(PrivacyMode.SEAL, KEY, b"p" * 32)
STRICT = PrivacyGuard(PrivacyMode.STRICT, KEY, b"p" * 32)
PLACE = Place(samples.CLIENT_ID, "event.description", "event-xyz789")
NOW = 1_703_123_456_789


def request(kind: Any, message: dict[str, Any]) -> SignedRequest[Any]:
    identity = Identity(samples.CLIENT_ID, b"k" * 32, "k", frozenset(), 1, 0)
    return SignedRequest(decode_message(samples.compact(message), kind), b"signed", b"s" * 64, identity, NOW)


def event(**details: str) -> SignedRequest[SecurityEvent]:
    message = samples.event(NOW)
    message["details"] = {"description": KEY.seal(b"text", PLACE), "encrypted": True, **details}
    return request(SecurityEvent, message)


def session(client_ip: str) -> SignedRequest[SessionReport]:
    message = samples.session(NOW)
    message["metadata"]["client_ip"] = client_ip
    return request(SessionReport, message)


def refused(make: Callable[[], Any]) -> str:
    with pytest.raises(PlaintextRefused) as caught:
        make()
    return caught.value.member


def test_an_envelope_for_the_socs_key_stays_as_it_is() -> None:
    envelope = KEY.seal(b"text", PLACE)
    assert [guard.text(envelope, PLACE, "m") for guard in (SEAL, STRICT)] == [envelope, envelope]


def test_an_envelope_for_another_key_is_plaintext() -> None:
    foreign = FOREIGN.seal(b"text", PLACE)
    assert open_envelope(SEAL.text(foreign, PLACE, "m"), PLACE, SOC) == foreign.encode()
    assert refused(lambda: STRICT.text(foreign, PLACE, "m")) == "m"
    assert refused(lambda: STRICT.group({"a": KEY.seal(b"", PLACE), "b": foreign}, PLACE, "m")) == "m.b"


@pytest.mark.parametrize("address", ["192.168.1.100", "2001:db8:1:2::3", "fe80::1%eth0", " 10.0.0.0", "host.internal"])
def test_strict_mode_refuses_more_of_an_address_than_its_network(address: str) -> None:
    assert refused(lambda: event_record(event(source_ip=address), "e", STRICT)) == "details.source_ip"
    assert refused(lambda: event_record(event(target_ip=address), "e", STRICT)) == "details.target_ip"
    assert refused(lambda: session_record(session(address), "e", STRICT)) == "metadata.client_ip"


@pytest.mark.parametrize("address", ["192.168.1.0", "2001:db8:1::", ""])
def test_strict_mode_keeps_a_network_and_the_signed_bytes_as_they_came(address: str) -> None:
    record = event_record(event(source_ip=address, target_ip=address), "e", STRICT)
    assert (record["source_ip"], record["target_ip"], record["signed_bytes"]) == (address, address, b"signed")
    assert session_record(session(address), "e", STRICT)["client_ip"] == address


@pytest.mark.parametrize(
    ("address", "network"), [("192.168.1.100", "192.168.1.0"), ("fe80::1%eth0", "fe80::"), ("host.internal", "")]
)
def test_seal_mode_cuts_whatever_comes(address: str, network: str) -> None:
    record = event_record(event(source_ip=address), "e", SEAL)
    assert (record["source_ip"], record["source_ip_pseudonym"]) == (network, pseudonym(address, b"p" * 32))
    assert address.encode() not in record["signed_bytes"]


def test_pseudonyms_can_be_joined_within_a_period_and_not_beyond() -> None:
    day_ms = 86_400_000
    rotating = PrivacyGuard(PrivacyMode.SEAL, KEY, b"p" * 32, pseudonym_period_s=86_400)
    start_ms = 20_000 * day_ms

    def of(address: str, now_ms: int) -> str | None:
        return rotating.address(address, "m", now_ms)[1]

    first = of("198.51.100.7", start_ms)
    assert first == of("198.51.100.7", start_ms + day_ms - 1)
    assert first != of("198.51.100.8", start_ms)
    assert first != of("198.51.100.7", start_ms + day_ms)
    assert SEAL.address("198.51.100.7", "m", 0) == SEAL.address("198.51.100.7", "m", start_ms)


@pytest.mark.parametrize("guard", [SEAL, STRICT])
def test_heartbeats_keep_their_signed_bytes_by_setting_only(guard: PrivacyGuard) -> None:
    beat = request(Heartbeat, samples.heartbeat(NOW))
    without, kept = (
        codec.decode_as("heartbeat", heartbeat_record(beat, "edge", Terms(30_000), each))
        for each in (guard, replace(guard, keep_heartbeat_proof=True))
    )
    assert (without["signed_bytes"], without["signed_bytes_sealed"]) == (None, False)
    place = Place(samples.CLIENT_ID, "heartbeat.signed_bytes", str(NOW))
    is_sealed, proof = guard is SEAL, kept["signed_bytes"]
    assert kept["signed_bytes_sealed"] is is_sealed
    assert (open_envelope(proof.decode(), place, SOC) if is_sealed else proof) == b"signed"
