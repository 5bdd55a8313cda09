"""Row 5: how long after its 202 an event is a row that SQL finds, at 1,000 events a second through a real edge and sink.

One event in fifty is looked for: SQL is asked for all of them every ``POLL_S`` seconds, so that a figure is too high by up
to that, never too low.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import clickhouse_connect
import msgspec
from clickhouse_connect.driver.client import Client

from bench.measured import Measured, wait_for_port
from bench.report import Limit
from infra.key_files import KeyFiles, ensure_keys
from infra.ports import free_port
from ingest.tokens import TokenKeys
from schemas import signing

RATE = 1_000
SECONDS = 15.0
WARM_UP_S = 3.0
CONNECTIONS = 49
CLIENTS = 500
ONE_IN = 50
POLL_S = 0.02
LIMIT_MS = 1_000.0


class Events:
    """Requests with an event each, signed anew by one of ``CLIENTS`` clients."""

    def __init__(self, keys: KeyFiles, port: int) -> None:
        token_keys = TokenKeys.from_file(keys.token_keys)
        self._port = port
        self._clients = []
        for number in range(CLIENTS):
            client_id, seed = f"bench-{number:06d}", number.to_bytes(32, "big")
            expires_s = time.time_ns() // 1_000_000_000 + 3600
            self._clients.append((client_id, seed, token_keys.issue(client_id, signing.public_key_of(seed), 1, expires_s)))

    def request(self, number: int) -> bytes:
        """The event of that number; its id is ``probe-N`` where it is looked for."""
        client_id, seed, api_key = self._clients[number % CLIENTS]
        message = {
            "client_id": client_id,
            "event_id": name_of(number),
            "event_type": "connection_attempt",
            "severity": "low",
            "timestamp": time.time_ns() // 1_000_000,
            "details": {"description": "bench", "encrypted": True},
            "signature": "",
        }
        body, signature = signing.sign_body(msgspec.json.encode(message), seed)
        head = (
            f"POST /api/v1/clients/events HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {api_key}\r\nX-Client-ID: {client_id}\r\nX-Signature: {signature}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


def name_of(number: int) -> str:
    """The id of an event."""
    return f"probe-{number}" if number % ONE_IN == 0 else f"other-{number}"


async def measure(bootstrap: str, scratch: Path) -> Limit:
    """Run edge and sink on a broker with the contract's topics."""
    keys, edge_port, sql_port = ensure_keys(scratch), free_port(), free_port()
    with _parts(bootstrap, scratch, keys, edge_port, sql_port):
        token = keys.sql_token.read_text().strip()
        sql = await asyncio.to_thread(
            clickhouse_connect.get_client, host="127.0.0.1", port=sql_port, username="bench", password=token
        )
        accepted: dict[str, float] = {}
        seen: dict[str, float] = {}
        watching = asyncio.create_task(_watch(sql, seen))
        events = Events(keys, edge_port)
        async with asyncio.TaskGroup() as group:
            for lane in range(CONNECTIONS):
                group.create_task(_send(events, edge_port, lane, accepted))
        await _until_seen(accepted, seen)
        watching.cancel()
    waits_ms = sorted((seen[name] - at) * 1_000 for name, at in accepted.items())
    p50, p99 = (waits_ms[len(waits_ms) * percent // 100] for percent in (50, 99))
    note = f"p50 {p50:,.0f} ms, longest {waits_ms[-1]:,.0f} ms, of {len(waits_ms)} events looked for at {RATE:,}/s"
    return Limit("event accepted to row visible in SQL, p99", p99, LIMIT_MS, "ms", note)


@contextmanager
def _parts(bootstrap: str, scratch: Path, keys: KeyFiles, edge_port: int, sql_port: int) -> Iterator[None]:
    environment = {
        **keys.environment(),
        "VIWORKS_KAFKA": bootstrap,
        "VIWORKS_DATA_DIR": str(scratch),
        "VIWORKS_EDGE_PORT": str(edge_port),
        "VIWORKS_METRICS_PORT": str(free_port()),
        "VIWORKS_SQL_PORT": str(sql_port),
        "VIWORKS_CLICKHOUSE": "",
        "VIWORKS_ADDRESS_RATE_PER_S": "100000",
    }
    with (
        Measured(["-m", "infra", "run", "sink"], environment, scratch / "sink.log") as sink,
        Measured(["-m", "infra", "run", "edge"], environment, scratch / "edge.log") as edge,
    ):
        wait_for_port(edge_port, edge)
        wait_for_port(sql_port, sink)
        yield


async def _send(events: Events, port: int, lane: int, accepted: dict[str, float]) -> None:
    """This connection's share of the events, at its own moments whether or not the answers come in time."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    start_s = time.perf_counter()
    for number in range(lane, int(RATE * (WARM_UP_S + SECONDS)), CONNECTIONS):
        await asyncio.sleep(max(0.0, start_s + number / RATE - time.perf_counter()))
        writer.write(events.request(number))
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(_length(head))
        if head[9:12] != b"202":
            raise RuntimeError(f"an event was not accepted: {head[9:12]!r}")
        if number % ONE_IN == 0 and number >= RATE * WARM_UP_S:
            accepted[name_of(number)] = time.perf_counter()
    writer.close()


def _length(head: bytes) -> int:
    at = head.lower().find(b"content-length:")
    return int(head[at + 15 : head.find(b"\r", at)]) if at >= 0 else 0


async def _watch(sql: Client, seen: dict[str, float]) -> None:
    query = "SELECT event_id FROM viworks.events WHERE startsWith(event_id, 'probe-')"
    while True:
        found = await asyncio.to_thread(sql.query, query)
        now_s = time.perf_counter()
        for (name,) in found.result_rows:
            seen.setdefault(name, now_s)
        await asyncio.sleep(POLL_S)


async def _until_seen(accepted: dict[str, float], seen: dict[str, float], within_s: float = 30.0) -> None:
    deadline_s = time.monotonic() + within_s
    while not accepted.keys() <= seen.keys():
        if time.monotonic() > deadline_s:
            raise RuntimeError(f"{len(accepted.keys() - seen.keys())} events are in no row")
        await asyncio.sleep(POLL_S)
