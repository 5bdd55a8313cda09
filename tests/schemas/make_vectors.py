"""Writes ``schemas/vectors/signing.json``: ``python -m tests.schemas.make_vectors``. All of it is deterministic."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from schemas import signing

PATH = Path(__file__).parents[2] / "schemas" / "vectors" / "signing.json"

BODIES = {
    "heartbeat, as serde_json writes it": (
        '{"client_id":"viworks-client-12345","timestamp":1703123456789,"status":"online","metrics":{"uptime":3600,'
        '"memory_usage":45.2,"cpu_usage":12.8,"network_activity":1024,"encrypted":true},"signature":""}'
    ),
    "white space and another order": (
        '{\n  "signature" : "",\n  "status": "online", "client_id": "c-1",\n\t"timestamp": 1,\r\n "metrics": {}}\n'
    ),
    "a nested member of the same name is left alone": (
        '{"client_id":"c-1","details":{"signature":"","description":"x"},"signature":""}'
    ),
    "the text of the member inside a string is left alone": (
        '{"client_id":"c-1","details":{"description":"say \\"signature\\":\\"\\" twice"},"signature":""}'
    ),
    "the member's name written with an escape": '{"client_id":"c-1","sign\\u0061ture":""}',
    "not ASCII": '{"client_id":"c-1","details":{"description":"Größe 測試 🔑"},"signature":""}',
}

REFUSED = {
    "duplicate signature": ('{"client_id":"c-1","signature":"","signature":""}', "DuplicateKey"),
    "duplicate by escape": ('{"client_id":"c-1","client\\u005fid":"c-2","signature":""}', "DuplicateKey"),
    "duplicate in a nested object": ('{"metrics":{"uptime":1,"uptime":2},"signature":""}', "DuplicateKey"),
    "no signature": ('{"client_id":"c-1"}', "InvalidMessage"),
    "signature is nested only": ('{"details":{"signature":""}}', "InvalidMessage"),
    "signature is a number": ('{"signature":1}', "InvalidMessage"),
    "an array": ('[{"signature":""}]', "NotJson"),
    "NaN": ('{"metrics":{"uptime":NaN},"signature":""}', "NotJson"),
    "trailing bytes": ('{"signature":""}x', "NotJson"),
}


def vectors() -> dict[str, Any]:
    """The whole document."""
    return {
        "about": "Ed25519 over the exact UTF-8 bytes of the body while its one top-level signature is an empty string. "
        "The signature may be sent as hexadecimal in either case, base64 or base64url.",
        "post": [_post(name, body) for name, body in BODIES.items()],
        "refused": [{"name": name, "body": body, "error": error} for name, (body, error) in REFUSED.items()],
        "get": [
            _get("with X-Timestamp", "/api/v1/clients/config", "1703123456789"),
            _get("with a query", "/api/v1/clients/policies?since=3", "1703123456789"),
            _get("the specification's three headers only", "/api/v1/clients/config", None),
        ],
    }


def _key(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


def _forms(signature: bytes) -> dict[str, str]:
    return {"hex_upper": signature.hex().upper(), "base64url": signing.encode_signature(signature)}


def _post(name: str, body: str) -> dict[str, Any]:
    seed = _key(name)
    sent, _ = signing.sign_body(body.encode(), seed)
    return {
        "name": name,
        "secret_key": seed.hex(),
        "public_key": signing.public_key_to_pem(signing.public_key_of(seed)),
        "signed_bytes": body,
        "signature": _forms(signing.sign(body.encode(), seed)),
        "body": sent.decode(),
    }


def _get(name: str, target: str, timestamp: str | None) -> dict[str, Any]:
    seed = _key(name)
    signed = signing.get_request_bytes(target, "c-1", timestamp)
    return {
        "name": name,
        "secret_key": seed.hex(),
        "public_key": signing.public_key_to_pem(signing.public_key_of(seed)),
        "target": target,
        "client_id": "c-1",
        "timestamp": timestamp,
        "signed_bytes": signed.decode(),
        "signature": _forms(signing.sign(signed, seed)),
    }


if __name__ == "__main__":
    PATH.write_text(json.dumps(vectors(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
