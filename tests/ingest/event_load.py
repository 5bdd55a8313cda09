"""A steady load of signed security events, each with an id of its own, over kept-alive connections."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from itertools import count

from ingest.tokens import TokenKeys
from schemas import signing
from tests.rust_client import now_ms
from tests.schemas import messages_samples as samples

CONNECTIONS = 64


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer. Times in seconds of the monotonic clock."""

    event_id: str
    status: int
    sent_s: float
    answered_s: float

    @property
    def took_s(self) -> float:
        return self.answered_s - self.sent_s


class EventLoad:
    """``rate`` events per second from ``CONNECTIONS`` clients; a client waits for its answer before it sends again."""

    def __init__(self, port: int, keys: TokenKeys, rate: float) -> None:
        self.replies: list[Reply] = []
        self._port = port
        self._keys = keys
        self._pause_s = CONNECTIONS / rate

    async def run(self) -> None:
        """Send until cancelled."""
        async with asyncio.TaskGroup() as group:
            for number in range(CONNECTIONS):
                group.create_task(self._client(number))

    async def _client(self, number: int) -> None:
        seed, client_id = (number + 1).to_bytes(32, "big"), f"t-load-{number}"
        api_key = self._keys.issue(client_id, signing.public_key_of(seed), 1, int(time.time()) + 3600)
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        next_s = time.monotonic() + self._pause_s * number / CONNECTIONS
        try:
            for sequence in count():
                await asyncio.sleep(next_s - time.monotonic())
                event_id = f"{client_id}-{sequence}"
                request = _request(client_id, event_id, seed, api_key)
                sent_s = time.monotonic()
                writer.write(request)
                status = await _status(reader)
                self.replies.append(Reply(event_id, status, sent_s, time.monotonic()))
                next_s = max(next_s + self._pause_s, time.monotonic())
        finally:
            writer.close()


def _request(client_id: str, event_id: str, seed: bytes, api_key: str) -> bytes:
    unsigned = json.dumps(samples.event(now_ms(), client_id, event_id)).encode()
    body, signature = signing.sign_body(unsigned, seed)
    head = (
        f"POST /api/v1/clients/events HTTP/1.1\r\nHost: edge\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {api_key}\r\nX-Client-ID: {client_id}\r\nX-Signature: {signature}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _status(reader: asyncio.StreamReader) -> int:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.partition(b"content-length:")[2].partition(b"\r")[0])
    await reader.readexactly(length)
    return int(head[9:12])
