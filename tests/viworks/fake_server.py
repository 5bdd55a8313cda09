"""A transport that answers like the edge, in memory: it checks every signature and can be told to refuse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from schemas import signing
from schemas.sealing import SealingKey
from viworks import Response

POLICY_SEED = b"p" * 32


class FakeServer:
    """Keeps the messages that it accepted; ``valid_keys`` are the API keys that it takes."""

    def __init__(self) -> None:
        self.soc = X25519PrivateKey.generate()
        self.received: list[tuple[str, dict[str, Any]]] = []
        self.registrations = 0
        self.refusal: Response | None = None
        self.signing_seed = POLICY_SEED
        self.privacy_mode = "seal"
        self.policy_version = 7
        self._keys: dict[str, bytes] = {}
        self._valid = ""

    def forget_api_keys(self) -> None:
        self._valid = "none"

    async def request(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> Response:
        if self.refusal is not None:
            return self.refusal
        if target.endswith("/register"):
            return self._register(body or b"")
        if headers["Authorization"] != f"Bearer {self._valid}":
            return problem(401, "invalid-api-key")
        if method == "GET":
            return self._get(target, headers)
        return self._post(target, headers, body or b"")

    async def close(self) -> None:
        return None

    def _register(self, body: bytes) -> Response:
        message = self._verified(body, None)
        self._keys[message["client_id"]] = signing.public_key_from_pem(message["public_key"])
        self.registrations += 1
        self._valid = f"key-{self.registrations}"
        sealing_key = SealingKey(self.soc.public_key())
        config = {
            "heartbeat_interval": 30,
            "policy_version": 1,
            "sealing_key": sealing_key.pem(),
            "sealing_key_id": sealing_key.key_id,
            "policy_key": signing.public_key_to_pem(signing.public_key_of(POLICY_SEED)),
            "privacy_mode": self.privacy_mode,
        }
        answer = {"client_id": message["client_id"], "api_key": self._valid, "expires_at": 1, "config": config}
        return Response(201, {}, msgspec.json.encode(answer))

    def _post(self, target: str, headers: Mapping[str, str], body: bytes) -> Response:
        message = self._verified(body, headers)
        self.received.append((target.rpartition("/")[2], message))
        return Response(202, {}, b'{"status":"accepted","policy_version":7}')

    def _get(self, target: str, headers: Mapping[str, str]) -> Response:
        client_id = headers["X-Client-ID"]
        signed = signing.get_request_bytes(target, client_id, headers["X-Timestamp"])
        signing.verify(signed, signing.decode_signature(headers["X-Signature"]), self._keys[client_id])
        policy = {"policy_id": "p", "version": 2, "heartbeat_interval": 60, "reporting": ["events"], "later": "member"}
        policies = {"policy_version": self.policy_version, "policies": [policy], "key_id": "k", "signature": ""}
        return Response(200, {}, signing.sign_body(msgspec.json.encode(policies), self.signing_seed)[0])

    def _verified(self, body: bytes, headers: Mapping[str, str] | None) -> dict[str, Any]:
        signed, text = signing.signed_bytes(body)
        message: dict[str, Any] = msgspec.json.decode(body)
        key = self._keys[message["client_id"]] if headers else signing.public_key_from_pem(message["public_key"])
        signing.verify(signed, signing.decode_signature(text), key)
        assert headers is None or headers["X-Signature"] == text
        return message


def problem(status: int, slug: str, **headers: str) -> Response:
    body = {
        "type": f"urn:viworks:problem:{slug}",
        "title": slug,
        "status": status,
        "detail": "d",
        "retryable": status == 503,
    }
    return Response(status, headers, msgspec.json.encode(body))
