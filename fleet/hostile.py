"""Requests that no client of ours sends: what somebody tries who wants in, or wants harm. The server must refuse each."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fleet import requests
from fleet.client import SimulatedClient
from fleet.scenario import Hostility

_DAY_MS = 86_400_000
_OVERSIZED = 300 * 1024


def request(kind: Hostility, client: SimulatedClient, wall_ms: int) -> bytes:
    """A hostile request in the name of a client."""
    return _KINDS[kind](client, wall_ms)


def _bad_signature(client: SimulatedClient, wall_ms: int) -> bytes:
    """A value changed after it was signed."""
    return requests.heartbeat(client, wall_ms).replace(b'"status":"online"', b'"status":"error" ', 1)


def _bad_key(client: SimulatedClient, wall_ms: int) -> bytes:
    return requests.heartbeat(client, wall_ms).replace(b"Bearer v4.local.", b"Bearer v4.local.AAAA", 1)


def _other_identity(client: SimulatedClient, wall_ms: int) -> bytes:
    """Another client's name in the header. Of the same length, so that nothing else is wrong."""
    name = client.client_id.encode()
    other = b"1" if name[-1:] == b"0" else b"0"
    return requests.heartbeat(client, wall_ms).replace(b"X-Client-ID: " + name, b"X-Client-ID: " + name[:-1] + other, 1)


def _malformed_json(client: SimulatedClient, wall_ms: int) -> bytes:
    """Cut off before its last brace; as long as it says."""
    return requests.heartbeat(client, wall_ms)[:-1] + b" "


def _duplicate_key(client: SimulatedClient, wall_ms: int) -> bytes:
    made = requests.event(client, "twice", "system_error", "info", wall_ms, "")
    return requests.signed_request(client, b"events", made.replace(b'"event_id":', b'"severity":"low","event_id":', 1))


def _stale(client: SimulatedClient, wall_ms: int) -> bytes:
    newest_ms, client.newest_ms = client.newest_ms, 0
    made = requests.heartbeat(client, wall_ms - _DAY_MS)
    client.newest_ms = newest_ms
    return made


def _oversized(client: SimulatedClient, wall_ms: int) -> bytes:
    unsigned = b'{"client_id":"%s","timestamp":%d,"padding":"%s","signature":""}'
    name = client.client_id.encode()
    return requests.signed_request(client, b"heartbeat", unsigned % (name, wall_ms, b"x" * _OVERSIZED))


def _malformed_http(client: SimulatedClient, wall_ms: int) -> bytes:
    return requests.heartbeat(client, wall_ms).replace(b" HTTP/1.1\r\n", b" HTTP/9.9\r\n", 1)


_KINDS: Mapping[Hostility, Callable[[SimulatedClient, int], bytes]] = {
    Hostility.BAD_SIGNATURE: _bad_signature,
    Hostility.BAD_KEY: _bad_key,
    Hostility.OTHER_IDENTITY: _other_identity,
    Hostility.MALFORMED_JSON: _malformed_json,
    Hostility.DUPLICATE_KEY: _duplicate_key,
    Hostility.STALE: _stale,
    Hostility.OVERSIZED: _oversized,
    Hostility.MALFORMED_HTTP: _malformed_http,
}
