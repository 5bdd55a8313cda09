"""Row 1: heartbeats per second of one edge process (verified, validated, Avro, acks=all) against its bound.

The bound is 1 / (1/bare-ASGI rate + 1/Ed25519 verify rate) of one core. Rates are per second of the process's own processor
time, so that neither the load generator nor the broker beside it counts; the rate by the clock is printed too.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import msgspec

from bench.load import write_requests
from bench.measured import Measured, output_of, wait_for_port
from bench.report import Row
from infra.key_files import KeyFiles
from infra.ports import free_port
from ingest.tokens import TokenKeys
from schemas import signing

# So many that none of them comes near the budget of a client (429) at the rate that one process reaches.
CLIENTS = 2_048
CONNECTIONS = 256
ROUNDS = 3
SECONDS = 5.0
EDGE_CPU, LOAD_CPU = 0, 1


class Rate(NamedTuple):
    """Requests per second of processor time, and by the clock."""

    per_cpu_s: float
    per_s: float
    p99_ms: float


def measure(bootstrap: str, keys: KeyFiles, scratch: Path) -> Row:
    """Interleaved rounds of the bare application and the edge; medians."""
    requests = scratch / "heartbeats.requests"
    bare, edge = [], []
    for number in range(ROUNDS):
        bare.append(_bare(requests, keys, scratch))
        edge.append(_edge(bootstrap, requests, keys, scratch, number))
    verify_per_s = _verify_rate()
    bound = 1 / (1 / median(rate.per_cpu_s for rate in bare) + 1 / verify_per_s)
    reached = median(rate.per_cpu_s for rate in edge)
    note = (
        f"by the clock {median(rate.per_s for rate in edge):,.0f}/s, p99 {median(rate.p99_ms for rate in edge):.1f} ms; "
        f"bare ASGI {median(rate.per_cpu_s for rate in bare):,.0f}/s, verify {verify_per_s:,.0f}/s"
    )
    return Row("edge: heartbeats/s of one process", reached, bound, 0.75, note)


def _bare(requests: Path, keys: KeyFiles, scratch: Path) -> Rate:
    port = free_port()
    _write_heartbeats(requests, keys, port)
    with Measured(["-m", "bench.bare_asgi", str(port)], {}, scratch / "bare.log", EDGE_CPU) as process:
        wait_for_port(port, process)
        return _load(port, requests, process)


def _edge(bootstrap: str, requests: Path, keys: KeyFiles, scratch: Path, number: int) -> Rate:
    port = free_port()
    _write_heartbeats(requests, keys, port)
    environment = {
        **keys.environment(),
        "VIWORKS_KAFKA": bootstrap,
        "VIWORKS_EDGE_PORT": str(port),
        "VIWORKS_METRICS_PORT": str(free_port()),
        # The whole fleet comes from one address here.
        "VIWORKS_ADDRESS_RATE_PER_S": "100000",
    }
    with Measured(["-m", "infra", "run", "edge"], environment, scratch / f"edge-{number}.log", EDGE_CPU) as process:
        wait_for_port(port, process)
        return _load(port, requests, process)


def _load(port: int, requests: Path, process: Measured) -> Rate:
    command = ["-m", "bench.load", str(port), str(requests), str(CONNECTIONS)]
    _loaded([*command, "1"])
    cpu_before = process.cpu_s()
    answer = _loaded([*command, str(SECONDS)])
    cpu_s = process.cpu_s() - cpu_before
    statuses: Mapping[str, int] = answer["statuses"]
    if set(statuses) != {"202"}:
        raise RuntimeError(f"not every heartbeat was accepted: {statuses}")
    return Rate(statuses["202"] / cpu_s, answer["per_s"], answer["p99_ms"])


def _loaded(args: list[str]) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(output_of(args, LOAD_CPU))
    return answer


def _write_heartbeats(path: Path, keys: KeyFiles, port: int) -> None:
    token_keys = TokenKeys.from_file(keys.token_keys)
    now_ms = time.time_ns() // 1_000_000
    write_requests(path, [_heartbeat(token_keys, number, now_ms, port) for number in range(CLIENTS)])


def _heartbeat(token_keys: TokenKeys, number: int, now_ms: int, port: int) -> bytes:
    client_id, seed = f"bench-{number:06d}", number.to_bytes(32, "big")
    api_key = token_keys.issue(client_id, signing.public_key_of(seed), 1, now_ms // 1000 + 3600)
    metrics = {"uptime": 3600, "memory_usage": 45.2, "cpu_usage": 12.8, "network_activity": 1024, "encrypted": True}
    message = {"client_id": client_id, "timestamp": now_ms, "status": "online", "metrics": metrics, "signature": ""}
    body, signature = signing.sign_body(msgspec.json.encode(message), seed)
    head = (
        f"POST /api/v1/clients/heartbeat HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {api_key}\r\nX-Client-ID: {client_id}\r\nX-Signature: {signature}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _verify_rate(count: int = 20_000) -> float:
    seed, message = b"v" * 32, b"x" * 330
    signature, public_key = signing.sign(message, seed), signing.public_key_of(seed)
    started = time.process_time()
    for _ in range(count):
        signing.verify(message, signature, public_key)
    return count / (time.process_time() - started)
