"""A test client that signs exactly as the existing Rust clients do (upper-case hex), over plain HTTP."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from typing import Any

import httpx2

from schemas import signing
from tests.schemas import messages_samples as samples

BASE = "/api/v1/clients/"


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class RustClient:
    """One client with its key; ``body`` and ``headers`` can be changed before they are sent."""

    def __init__(self, http: httpx2.AsyncClient, client_id: str) -> None:
        self.http = http
        self.client_id = client_id
        self.seed = hashlib.sha256(client_id.encode()).digest()
        self.api_key = ""

    async def register(self, timestamp_ms: int | None = None) -> httpx2.Response:
        message = samples.registration(timestamp_ms or now_ms(), self.client_id, self.seed)
        body, _ = samples.sign_as_rust(message, self.seed)
        answer = await self.http.post(BASE + "register", content=body, headers={"Content-Type": "application/json"})
        if answer.status_code == 201:
            self.api_key = answer.json()["api_key"]
        return answer

    async def post(self, resource: str, message: dict[str, Any]) -> httpx2.Response:
        body, signature = samples.sign_as_rust(message, self.seed)
        return await self.send(resource, body, self.headers(signature))

    async def send(self, resource: str, body: bytes, headers: Mapping[str, str]) -> httpx2.Response:
        return await self.http.post(BASE + resource, content=body, headers=dict(headers))

    async def get(self, resource: str, **headers: str) -> httpx2.Response:
        signed = signing.get_request_bytes(BASE + resource, self.client_id, headers.get("X-Timestamp"))
        signature = signing.sign(signed, self.seed).hex().upper()
        return await self.http.get(BASE + resource, headers={**self.headers(signature), **headers})

    def headers(self, signature: str) -> dict[str, str]:
        return {
            "Content-Type": "application/json",
            "Authorization": f"Bearer {self.api_key}",
            "X-Client-ID": self.client_id,
            "X-Signature": signature,
        }
