"""Whole heartbeat requests of a client that needs no registration."""

from __future__ import annotations

from infra.key_files import KeyFiles
from ingest.tokens import TokenKeys
from schemas import signing
from tests.ingest.raw_http import request
from tests.rust_client import now_ms
from tests.schemas import messages_samples as samples

BEAT = "/api/v1/clients/heartbeat"
JSON = ("Content-Type", "application/json")


class SignedBeats:
    """Heartbeats of one client, each signed anew."""

    def __init__(self, files: KeyFiles, client_id: str) -> None:
        self.client_id = client_id
        keys = TokenKeys.from_file(files.token_keys)
        self.api_key = keys.issue(client_id, signing.public_key_of(samples.SEED), 1, now_ms() // 1000 + 3600)

    def body_and_headers(self) -> tuple[bytes, list[tuple[str, str]]]:
        body, signature = samples.sign_as_rust(samples.heartbeat(now_ms(), self.client_id))
        bearer = ("Authorization", f"Bearer {self.api_key}")
        return body, [JSON, bearer, ("X-Client-ID", self.client_id), ("X-Signature", signature)]

    def request(self) -> bytes:
        body, headers = self.body_and_headers()
        return request("POST", BEAT, headers, body)

    def chunked(self, *trailers: str) -> bytes:
        body, headers = self.body_and_headers()
        chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body)
        end = b"0\r\n" + "".join(f"{trailer}\r\n" for trailer in trailers).encode() + b"\r\n"
        return request("POST", BEAT, [*headers, ("Transfer-Encoding", "chunked")]) + chunks + end
