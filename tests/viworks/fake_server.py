"""A transport that answers like the edge, in memory: it checks every signature and can be told to refuse."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from email.utils import formatdate
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from schemas import signing
from schemas.sealing import SealingKey
from viworks import Response, Unreachable

POLICY_SEED = b"p" * 32
Verdict = Callable[[dict[str, Any]], dict[str, Any] | None]
"""What a message of a batch gets in place of 202."""


class _Line(msgspec.Struct):
    type: str
    message: msgspec.Raw


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
        self.named_version = 7
        self.interval_s = 60
        self.reporting = ["heartbeat", "sessions", "events"]
        self.key_max_age_s: int | None = None
        self.stored: dict[str, dict[str, Any]] = {}
        self.batches: list[int] = []
        self.fetches: list[int] = []
        self.verdict: Verdict = lambda message: None
        self.clock: Callable[[], int] | None = None
        self.unreachable: Unreachable | None = None
        self._keys: dict[str, bytes] = {}
        self._valid = ""

    def forget_api_keys(self) -> None:
        self._valid = "none"

    async def request(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> Response:
        if self.unreachable is not None:
            raise self.unreachable
        response = self.refusal or self._answer(method, target, headers, body)
        dated = {} if self.clock is None else {"date": formatdate(self.clock() / 1000, usegmt=True)}
        return Response(response.status, {**response.headers, **dated}, response.body)

    def _answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> Response:
        if target.endswith("/register"):
            return self._register(body or b"")
        if headers["Authorization"] != f"Bearer {self._valid}":
            return problem(401, "invalid-api-key")
        if method == "GET":
            return self._get(target, headers)
        if target.endswith("/batch"):
            return self._batch(headers, body or b"")
        if target.endswith("/keys"):
            return self._rotate(headers, body or b"")
        return self._post(target, headers, body or b"")

    async def close(self) -> None:
        return None

    def _register(self, body: bytes) -> Response:
        message = self._verified(body, None)
        if self.clock is not None and abs(message["timestamp"] - self.clock()) > 300_000:
            return problem(422, "stale-timestamp")
        self._keys[message["client_id"]] = signing.public_key_from_pem(message["public_key"])
        self.registrations += 1
        self._valid = f"key-{self.registrations}"
        answer = {"client_id": message["client_id"], "api_key": self._valid, "expires_at": 1, "config": self._config()}
        return Response(201, {}, msgspec.json.encode(answer))

    def _config(self) -> dict[str, Any]:
        sealing_key = SealingKey(self.soc.public_key())
        return {
            "heartbeat_interval": 30,
            "policy_version": 1,
            "sealing_key": sealing_key.pem(),
            "sealing_key_id": sealing_key.key_id,
            "policy_key": signing.public_key_to_pem(signing.public_key_of(POLICY_SEED)),
            "privacy_mode": self.privacy_mode,
        }

    def _post(self, target: str, headers: Mapping[str, str], body: bytes) -> Response:
        message = self._verified(body, headers)
        self.received.append((target.rpartition("/")[2], message))
        answer = {"status": "accepted", "policy_version": self.named_version}
        return Response(202, {}, msgspec.json.encode(answer))

    def _batch(self, headers: Mapping[str, str], body: bytes) -> Response:
        """Stores by id, the first under each, as the warehouse does."""
        lines = [msgspec.json.decode(line, type=_Line) for line in body.split(b"\n")]
        self.batches.append(len(lines))
        results = []
        for number, line in enumerate(lines):
            message = self._verified(bytes(line.message), {**headers, "X-Signature": ""}, header=False)
            verdict = self.verdict(message) or {"status": 202}
            results.append({"line": number, **verdict})
            if verdict["status"] == 202:
                self.received.append((line.type, message))
                self.stored.setdefault(message.get("event_id") or message["session_id"], message)
        return Response(200, {}, msgspec.json.encode({"accepted": 0, "results": results}))

    def _rotate(self, headers: Mapping[str, str], body: bytes) -> Response:
        message = self._verified(body, headers)
        self._keys[message["client_id"]] = key = signing.public_key_from_pem(message["public_key"])
        self._valid = f"rotated-{signing.key_id(key)}"
        answer = {"client_id": message["client_id"], "key_id": signing.key_id(key), "api_key": self._valid}
        return Response(200, {}, msgspec.json.encode({**answer, "expires_at": 1, "old_key_until": 1}))

    def _get(self, target: str, headers: Mapping[str, str]) -> Response:
        client_id = headers["X-Client-ID"]
        signed = signing.get_request_bytes(target, client_id, headers["X-Timestamp"])
        signing.verify(signed, signing.decode_signature(headers["X-Signature"]), self._keys[client_id])
        self.fetches.append(self.policy_version)
        if target.endswith("/config"):
            config = {**self._config(), "policy_version": self.policy_version, "signature": ""}
            return Response(200, {}, signing.sign_body(msgspec.json.encode(config), self.signing_seed)[0])
        policy = {
            "policy_id": "p",
            "version": 2,
            "heartbeat_interval": self.interval_s,
            "reporting": self.reporting,
            "key_max_age_s": self.key_max_age_s,
            "later": "member",
        }
        policies = {"policy_version": self.policy_version, "policies": [policy], "key_id": "k", "signature": ""}
        body, signature = signing.sign_body(msgspec.json.encode(policies), self.signing_seed)
        if headers.get("If-None-Match") == signature[:16]:
            return Response(304, {"etag": signature[:16]}, b"")
        return Response(200, {"etag": signature[:16]}, body)

    def _verified(self, body: bytes, headers: Mapping[str, str] | None, *, header: bool = True) -> dict[str, Any]:
        signed, text = signing.signed_bytes(body)
        message: dict[str, Any] = msgspec.json.decode(body)
        key = self._keys[message["client_id"]] if headers else signing.public_key_from_pem(message["public_key"])
        signing.verify(signed, signing.decode_signature(text), key)
        assert headers is None or not header or headers["X-Signature"] == text
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
