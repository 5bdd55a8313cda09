"""What the simulator sends is what the protocol asks for: read here by the contract's own reader."""

from __future__ import annotations

import msgspec
import pytest

from fleet import hostile, requests
from fleet.client import SimulatedClient, client_id_of, make_clients
from fleet.scenario import Hostility
from schemas import signing
from schemas.errors import ContractError
from schemas.messages import ClientRegistration, Heartbeat, SecurityEvent, SessionReport, decode_message

NOW_MS = 1_700_000_000_000


@pytest.fixture
def client() -> SimulatedClient:
    made = make_clients("requests", 1, NOW_MS)[0]
    made.admit("v4.local.key")
    return made


def parts(request: bytes) -> tuple[str, dict[str, str], bytes]:
    head, _, body = request.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    return first, dict(line.split(": ", 1) for line in lines), body


def verified(body: bytes, client: SimulatedClient) -> str:
    signed, text = signing.signed_bytes(body)
    signing.verify(signed, signing.decode_signature(text), client.public_key)
    return text


def test_a_heartbeat(client: SimulatedClient) -> None:
    first, headers, body = parts(requests.heartbeat(client, NOW_MS))
    assert first == "POST /api/v1/clients/heartbeat HTTP/1.1"
    assert headers["Authorization"] == "Bearer v4.local.key"
    assert headers["X-Client-ID"] == client.client_id
    assert headers["X-Signature"] == verified(body, client)
    assert headers["Content-Length"] == str(len(body))
    message = decode_message(body, Heartbeat)
    assert message.timestamp == NOW_MS
    assert message.metrics.uptime == (NOW_MS - client.booted_ms) // 1000


def test_two_heartbeats_of_one_millisecond_have_two_times(client: SimulatedClient) -> None:
    times = [decode_message(parts(requests.heartbeat(client, NOW_MS))[2], Heartbeat).timestamp for _ in range(3)]
    assert times == [NOW_MS, NOW_MS + 1, NOW_MS + 2]


def test_a_clock_that_is_wrong(client: SimulatedClient) -> None:
    client.skew_ms = -90_000
    assert decode_message(parts(requests.heartbeat(client, NOW_MS))[2], Heartbeat).timestamp == NOW_MS - 90_000


def test_a_registration_carries_no_api_key(client: SimulatedClient) -> None:
    _, headers, body = parts(requests.registration(client, NOW_MS, enrolment_token="invitation"))
    assert "Authorization" not in headers
    assert headers["X-Enrolment-Token"] == "invitation"
    verified(body, client)
    message = decode_message(body, ClientRegistration)
    assert signing.public_key_from_pem(message.public_key) == client.public_key


def test_a_batch_has_each_message_signed_by_itself(client: SimulatedClient) -> None:
    event = requests.event(client, "e-1", "system_error", "low", NOW_MS, "192.0.2.0")
    session = requests.session(client, "s-1", NOW_MS, NOW_MS + 5, "node-000")
    _, headers, body = parts(requests.batch(client, [("events", event), ("sessions", session)]))
    assert headers["Content-Type"] == "application/x-ndjson"
    lines = [msgspec.json.decode(line, type=dict[str, msgspec.Raw]) for line in body.split(b"\n")]
    assert [bytes(line["type"]) for line in lines] == [b'"events"', b'"sessions"']
    for line in lines:
        verified(bytes(line["message"]), client)
    assert decode_message(bytes(lines[0]["message"]), SecurityEvent).event_id == "e-1"
    assert decode_message(bytes(lines[1]["message"]), SessionReport).end_time == NOW_MS + 5


@pytest.mark.parametrize("kind", [Hostility.BAD_SIGNATURE, Hostility.MALFORMED_JSON, Hostility.DUPLICATE_KEY])
def test_a_hostile_request_is_whole_but_for_its_one_fault(kind: Hostility, client: SimulatedClient) -> None:
    _, headers, body = parts(hostile.request(kind, client, NOW_MS))
    assert headers["Content-Length"] == str(len(body))
    with pytest.raises(ContractError):
        verified(body, client)


def test_clients_follow_from_the_name_of_their_fleet() -> None:
    one, again, other = make_clients("one", 3, NOW_MS), make_clients("one", 2, NOW_MS), make_clients("other", 2, NOW_MS)
    assert [client.public_key for client in one[:2]] == [client.public_key for client in again]
    assert len({client.public_key for client in (*one, *other)}) == 5
    assert one[2].client_id == client_id_of("one", 2) == "one-000002"
