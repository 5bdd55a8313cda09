"""Clients that keep connections busy with next to nothing.

``python -m tests.ingest.slow_clients PORT COUNT SECONDS REQUEST_FILE``: a third each says nothing, drips a
head, and drips the body of a good request. Each connection that the server ends is opened again. Begins at a
line on standard input. Prints one JSON line: how long the connections lived (s) that were ended, and how many were open at
the end.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from pathlib import Path

PIECE_EVERY_S = 1.0
HEAD = b"POST /api/v1/clients/heartbeat HTTP/1.1\r\nHost: edge\r\nX-Slow: "


class SlowClients:
    """``lives_s``: of the connections that the server has ended."""

    def __init__(self, port: int, whole_request: bytes) -> None:
        self._port = port
        head, _, body = whole_request.partition(b"\r\n\r\n")
        self._drips = [(b"", b""), (HEAD, b"x" * 1000), (head + b"\r\n\r\n" + body[:1], body[1:-1])]
        self.lives_s: list[float] = []
        self.open = 0

    async def run(self, count: int, seconds: float) -> None:
        tasks = [asyncio.create_task(self._keep_one(number)) for number in range(count)]
        await asyncio.sleep(seconds)
        for task in tasks:
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if not isinstance(result, asyncio.CancelledError):
                raise RuntimeError("a slow client gave up") from result

    async def _keep_one(self, number: int) -> None:
        while True:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            began = time.monotonic()
            self.open += 1
            try:
                await self._drip(reader, writer, *self._drips[number % len(self._drips)])
                self.lives_s.append(time.monotonic() - began)
                self.open -= 1
            finally:
                writer.close()

    async def _drip(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, first: bytes, rest: bytes) -> None:
        writer.write(first)
        ended = asyncio.create_task(self._end_of(reader))
        try:
            for at in range(len(rest) or 1_000_000):
                if ended.done():
                    return
                writer.write(rest[at : at + 1])
                await asyncio.wait([ended], timeout=PIECE_EVERY_S)
            raise RuntimeError("the whole request was sent before the connection ended")
        finally:
            ended.cancel()

    async def _end_of(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(ConnectionError):
            await reader.read()


async def main(port: int, count: int, seconds: float, whole_request: bytes) -> None:
    await asyncio.to_thread(sys.stdin.readline)
    clients = SlowClients(port, whole_request)
    running = asyncio.create_task(clients.run(count, seconds))
    await asyncio.sleep(seconds * 0.99)
    still_open = clients.open
    await running
    sys.stdout.write(json.dumps({"lives_s": clients.lives_s, "open": still_open}))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[4]).read_bytes()))
