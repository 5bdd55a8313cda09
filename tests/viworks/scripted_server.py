"""A plain HTTP server whose connections each follow a script: read a request, write these bytes, perhaps close."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

CLOSE = b""
"""A step that closes the connection without another word."""
HOLD = b"hold"
"""A step that neither reads nor says anything any more."""


@dataclass
class Scripted:
    """A running server. ``requests`` are the heads that came, by connection."""

    port: int = 0
    requests: list[list[bytes]] = field(default_factory=list)
    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"


def answer(body: bytes = b"{}", status: str = "200 OK", *fields: str) -> bytes:
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *fields, "", ""]
    return "\r\n".join(head).encode() + body


@contextlib.asynccontextmanager
async def scripted(*scripts: Sequence[bytes], unasked: bytes = b"") -> AsyncIterator[Scripted]:
    """A server whose n-th connection follows the n-th script: a step a request. ``unasked`` follows each answer."""
    running = Scripted()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        running.writers.append(writer)
        heads: list[bytes] = []
        running.requests.append(heads)
        for step in scripts[min(len(running.requests), len(scripts)) - 1]:
            if step == HOLD:
                await running.over.wait()
                return
            try:
                heads.append(await reader.readuntil(b"\r\n\r\n"))
            except (asyncio.IncompleteReadError, ConnectionError):
                return
            if step == CLOSE:
                break
            writer.write(step + unasked)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    running.port = server.sockets[0].getsockname()[1]
    try:
        yield running
    finally:
        running.over.set()
        for writer in running.writers:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
        server.close()
        await server.wait_closed()
