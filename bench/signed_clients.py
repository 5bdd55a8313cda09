"""Clients that sign what they send and say what the edge answered: one kept-alive connection each, one request at a time."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from typing import Any

import msgspec

from ingest.tokens import TokenKeys
from schemas import signing

_ANSWER_S = 10.0
_METRICS = {"uptime": 3600, "memory_usage": 45.2, "cpu_usage": 12.8, "network_activity": 1024, "encrypted": True}


def now_ms() -> int:
    """The machine's time in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


class SignedClient:
    """A client whose API key is issued with the server's own keys, so that it needs no registration."""

    def __init__(self, client_id: str, keys: TokenKeys, port: int) -> None:
        self.client_id = client_id
        self._seed = hashlib.sha256(client_id.encode()).digest()
        api_key = keys.issue(client_id, signing.public_key_of(self._seed), 1, int(time.time()) + 86_400)
        self._port = port
        headers = (
            "Host: edge",
            "Content-Type: application/json",
            f"Authorization: Bearer {api_key}",
            f"X-Client-ID: {client_id}",
        )
        self._headers = "\r\n".join(headers)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._beats_ms = 0

    async def beat(self, status: str = "online") -> int:
        """Send a heartbeat of now; the answer's status, 0 where none came."""
        # Two of one millisecond would be one.
        self._beats_ms = max(now_ms(), self._beats_ms + 1)
        return await self._post("heartbeat", {"timestamp": self._beats_ms, "status": status, "metrics": _METRICS})

    async def event(self, event_id: str, event_type: str, severity: str) -> int:
        """Send a security event of now; the answer's status, 0 where none came."""
        details = {"description": "as it happens", "encrypted": True}
        message = {"event_id": event_id, "event_type": event_type, "severity": severity, "timestamp": now_ms()}
        return await self._post("events", {**message, "details": details})

    async def close(self) -> None:
        """Drop the connection."""
        if self._streams:
            self._streams[1].close()
            with contextlib.suppress(OSError):
                await self._streams[1].wait_closed()
        self._streams = None

    async def _post(self, resource: str, message: dict[str, Any]) -> int:
        unsigned = msgspec.json.encode({"client_id": self.client_id, **message, "signature": ""})
        body, signature = signing.sign_body(unsigned, self._seed)
        own = f"X-Signature: {signature}\r\nContent-Length: {len(body)}\r\n\r\n"
        head = f"POST /api/v1/clients/{resource} HTTP/1.1\r\n{self._headers}\r\n{own}"
        try:
            async with asyncio.timeout(_ANSWER_S):
                return await self._exchange(head.encode() + body)
        except (OSError, EOFError, TimeoutError):
            await self.close()
            return 0

    async def _exchange(self, request: bytes) -> int:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        await reader.readexactly(int(head.partition(b"content-length:")[2].partition(b"\r")[0]))
        if b"connection: close" in head:
            await self.close()
        return int(head[9:12])
