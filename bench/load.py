"""A load generator: raw asyncio over kept-alive connections with requests built beforehand, one under way a connection.

``python -m bench.load PORT REQUESTS_FILE CONNECTIONS SECONDS`` prints one JSON line. It runs in a process of its own, so
that the measured one has a core to itself.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import cast

_SEPARATOR = b"\0\0REQUEST\0\0"


def write_requests(path: Path, requests: list[bytes]) -> None:
    """Keep whole HTTP requests for the generator."""
    path.write_bytes(_SEPARATOR.join(requests))


class _Connection(asyncio.Protocol):
    """Sends the next request when the last one's answer is whole. Answers carry a Content-Length."""

    def __init__(self, requests: list[bytes], statuses: Counter[int], latencies: list[float]) -> None:
        self._requests = requests
        self._next = 0
        self._statuses = statuses
        self._latencies = latencies
        self._buffer = b""
        self._sent_at = 0.0
        self._transport: asyncio.Transport | None = None
        self.stopped = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is not a subclass of it
        self._send()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, separator, rest = self._buffer.partition(b"\r\n\r\n")
        if not separator or len(rest) < _content_length(head):
            return
        self._buffer = b""
        self._statuses[int(head[9:12])] += 1
        self._latencies.append(time.perf_counter() - self._sent_at)
        if not self.stopped:
            self._send()

    def _send(self) -> None:
        if self._transport is None:
            return
        self._sent_at = time.perf_counter()
        self._transport.write(self._requests[self._next])
        self._next = (self._next + 1) % len(self._requests)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()


def _content_length(head: bytes) -> int:
    at = head.lower().find(b"content-length:")
    return int(head[at + 15 : (head + b"\r").find(b"\r", at)])


async def run(port: int, requests: list[bytes], connections: int, seconds: float) -> dict[str, object]:
    """Load the port; return statuses, requests per second and latencies in milliseconds."""
    loop = asyncio.get_running_loop()
    statuses: Counter[int] = Counter()
    latencies: list[float] = []
    share = max(1, len(requests) // connections)
    opened = []
    for at in range(connections):
        connection = _connection(requests, at, share, statuses, latencies)
        await loop.create_connection(partial(_same, connection), "127.0.0.1", port)
        opened.append(connection)
    started = time.perf_counter()
    await asyncio.sleep(seconds)
    took = time.perf_counter() - started
    count = statuses.total()
    for connection in opened:
        connection.close()
    latencies.sort()
    return {
        "statuses": dict(statuses),
        "per_s": count / took,
        "p50_ms": latencies[len(latencies) // 2] * 1000 if latencies else 0.0,
        "p99_ms": latencies[len(latencies) * 99 // 100] * 1000 if latencies else 0.0,
    }


def _same(connection: _Connection) -> _Connection:
    return connection


def _connection(requests: list[bytes], at: int, share: int, statuses: Counter[int], latencies: list[float]) -> _Connection:
    start = at * share % len(requests)
    return _Connection(requests[start : start + share], statuses, latencies)


if __name__ == "__main__":
    import uvloop

    port, path, connections, seconds = sys.argv[1:]
    whole = Path(path).read_bytes().split(_SEPARATOR)
    print(json.dumps(uvloop.run(run(int(port), whole, int(connections), float(seconds)))))
