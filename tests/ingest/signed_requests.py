"""Signed requests of every kind, and the edge's way to take them without a socket: what the routes do with ``extract``."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from typing import Any

from ingest import extract
from ingest.authentication import Authenticator
from ingest.revocations import Revocations
from ingest.route import RouteRow
from ingest.routes import BASE_PATH, ROUTES
from ingest.tokens import TokenKey, TokenKeys
from schemas import signing
from schemas.messages import ClientRegistration, Heartbeat, SecurityEvent, SessionReport
from tests.schemas import messages_samples as samples

NOW = 1_703_123_456_789
KEYS = TokenKeys([TokenKey("k1", hashlib.sha256(b"token key").digest())])
AUTHENTICATOR = Authenticator(KEYS, Revocations(60))
ROWS = {row.name: row for row in ROUTES}


@dataclass(frozen=True)
class Request:
    """A request as the edge gets it; header names in lower case, as HTTP parsers give them."""

    row: RouteRow
    target: bytes
    headers: dict[bytes, bytes]
    body: bytes = b""

    def with_header(self, name: bytes, value: bytes) -> Request:
        return dataclasses.replace(self, headers={**self.headers, name: value})

    def with_body(self, body: bytes) -> Request:
        return dataclasses.replace(self, body=body)

    def signature(self) -> bytes:
        """The 64 bytes."""
        return signing.decode_signature(self.headers[b"x-signature"].decode())

    def signed_again(self, text: str) -> Request:
        """The request with another signature in both of its places."""
        old = self.headers[b"x-signature"]
        return self.with_header(b"x-signature", text.encode()).with_body(self.body.replace(old, text.encode()))


@dataclass(frozen=True)
class Signer:
    """A client with its key, its API key and a way to write signatures: as the Rust clients do, or as the library does."""

    client_id: str
    seed: bytes
    hexadecimal: bool = True

    def text(self, signature: bytes) -> str:
        return signature.hex().upper() if self.hexadecimal else signing.encode_signature(signature)

    def identity_headers(self) -> dict[bytes, bytes]:
        token = KEYS.issue(self.client_id, signing.public_key_of(self.seed), 1, NOW // 1000 + 60)
        return {b"authorization": b"Bearer " + token.encode(), b"x-client-id": self.client_id.encode()}

    def post(self, name: str, unsigned: bytes) -> Request:
        """A request with the signature over the body, which holds ``"signature":""``."""
        text = self.text(signing.sign(unsigned, self.seed))
        headers = {} if name == "register" else self.identity_headers()
        body = unsigned.replace(b'"signature":""', b'"signature":"' + text.encode() + b'"')
        return Request(ROWS[name], _path(name), {**headers, b"x-signature": text.encode()}, body)

    def get(self, name: str, query: bytes = b"", timestamp: str | None = str(NOW)) -> Request:
        target = _path(name) + query
        signed = signing.get_request_bytes(target.decode(), self.client_id, timestamp)
        stamp = {} if timestamp is None else {b"x-timestamp": timestamp.encode()}
        signature = self.text(signing.sign(signed, self.seed)).encode()
        return Request(ROWS[name], target, {**self.identity_headers(), **stamp, b"x-signature": signature})

    def messages(self) -> dict[str, dict[str, Any]]:
        """One message of each kind by its route's name, with every member that the protocol has."""
        registration = {**samples.registration(NOW, self.client_id, self.seed), "node_id": "node-001"}
        session = samples.session(NOW - 5, self.client_id)
        session["metadata"]["internal_ip"] = "10.8.0.7"
        event = samples.event(NOW, self.client_id)
        event["details"] |= {"target_ip": "10.1.2.3", "user_agent": "ViWorkS/1.0"}
        return {
            "register": registration,
            "heartbeat": samples.heartbeat(NOW, self.client_id),
            "sessions": {**session, "end_time": NOW},
            "events": event,
        }

    def requests(self) -> list[Request]:
        """One request of each kind, GETs with and without what is optional."""
        posts = [self.post(name, samples.compact(message)) for name, message in self.messages().items()]
        gets = [self.get("config"), self.get("policies", b"?since=1"), self.get("config", b"?a=b", None)]
        return posts + gets


def _path(name: str) -> bytes:
    return (BASE_PATH + ROWS[name].path).encode()


def receive(request: Request) -> None:
    """Take a request as the routes do. Raises ingest.errors.Problem where it is refused."""
    row, headers = request.row, extract.header_map(list(request.headers.items()))
    if row.message is ClientRegistration:
        extract.verify_registration(request.body, headers, NOW)
        return
    identity = AUTHENTICATOR.authenticate(headers, row.scope, NOW, {})
    if row.message is None:
        extract.verify_get(request.target.decode("latin-1"), headers, identity, NOW, strict=False)
    else:
        assert row.message in (Heartbeat, SessionReport, SecurityEvent)
        extract.verify_message(request.body, row.message, headers, identity, NOW)
