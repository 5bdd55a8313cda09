"""HTTP by hand, for what no HTTP client would send."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import Iterable
from typing import Any, NamedTuple


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def slug(self) -> str:
        """Of a problem its type's last part; empty for anything else."""
        if self.headers.get("content-type") != "application/problem+json":
            return ""
        return str(json.loads(self.body)["type"]).rpartition(":")[2]


class RawConnection:
    """One connection. ``answers`` reads until the other side closes, or until there are enough."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, *pieces: bytes) -> None:
        """Each piece is a segment of its own, as far as that is ours to say."""
        for piece in pieces:
            with contextlib.suppress(ConnectionError):
                self.writer.write(piece)
                await self.writer.drain()
            await asyncio.sleep(0)

    async def answers(self, count: int = 1_000_000, within_s: float = 20.0) -> list[Answer]:
        found: list[Answer] = []
        async with asyncio.timeout(within_s):
            while len(found) < count:
                try:
                    found.append(await self._answer())
                except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
                    break
        return found

    async def is_closed(self, within_s: float = 20.0) -> bool:
        """Waits for the other side to close; nothing more may come."""
        async with asyncio.timeout(within_s):
            try:
                return await self.reader.read(1) == b""
            except (ConnectionError, ssl.SSLError):
                return True

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError, TimeoutError):
            async with asyncio.timeout(5):
                await self.writer.wait_closed()

    async def _answer(self) -> Answer:
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        status = int(lines[0].split(" ")[1])
        fields = (line.partition(": ") for line in lines[1:] if line)
        headers = {name.lower(): value for name, _, value in fields}
        length = int(headers.get("content-length", "0")) if status >= 200 else 0
        return Answer(status, headers, await self.reader.readexactly(length))


@contextlib.asynccontextmanager
async def connection(port: int, **options: Any) -> Any:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, **options)
    raw = RawConnection(reader, writer)
    try:
        yield raw
    finally:
        await raw.close()


def request(
    method: str, target: str, headers: Iterable[tuple[str, str]] = (), body: bytes = b"", version: str = "1.1"
) -> bytes:
    """A request with a Host, and a Content-Length where there is a body."""
    fields = [("Host", "edge"), *headers, *([("Content-Length", str(len(body)))] if body else [])]
    head = f"{method} {target} HTTP/{version}\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields)
    return head.encode("latin-1") + b"\r\n" + body
