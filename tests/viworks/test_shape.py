"""Padding and jitter: what an observer of the encrypted connection can count and time."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ingest.front_server import front_server, front_settings
from tests.ingest.pki import Pki
from tests.viworks.tls_peer import tls_peer
from viworks.timing import Timing
from viworks.transport import HttpTransport, TlsSettings, TrafficShape
from viworks.transport.shape import BATCH_MEDIA_TYPE, padded, request_bytes

TARGET = "/api/v1/clients/events"
BATCH = {"Content-Type": BATCH_MEDIA_TYPE}


def sized(size: int, headers: dict[str, str]) -> int:
    fields, body = padded("POST", TARGET, headers, b"x" * size)
    assert sum(len(name) + len(value) + 4 for name, value in fields) < 12 * 1024, "the edge takes heads up to 16 KiB"
    return request_bytes("POST", TARGET, fields, body)


@given(st.integers(0, 300_000))
def test_a_message_has_one_of_a_few_sizes_and_its_bytes(size: int) -> None:
    total = sized(size, {})
    assert total in (2048, 4096) or total % 8192 == 0
    assert total >= size
    assert padded("POST", TARGET, {}, b"x" * size)[1] == b"x" * size


@given(st.integers(0, 2_000_000))
def test_a_batch_is_filled_with_empty_lines_to_a_power_of_two(size: int) -> None:
    total = sized(size, BATCH)
    _, body = padded("POST", TARGET, BATCH, b"x" * size)
    assert body is not None
    assert body.rstrip(b"\n") == b"x" * size
    assert len(body) <= 2 * 1024 * 1024
    assert total & (total - 1) == 0


def test_a_get_is_no_shorter_than_a_heartbeat() -> None:
    fields, body = padded("GET", "/api/v1/clients/config", {}, None)
    assert body is None
    assert request_bytes("GET", "/api/v1/clients/config", fields, body) == 2048


async def test_what_the_network_sees_has_one_length(tmp_path: Path) -> None:
    pki = Pki(tmp_path)
    async with tls_peer(pki, pki.server()) as peer:
        transport = HttpTransport(peer.url, tls=TlsSettings(pki.ca_pem), shape=TrafficShape())
        lengths = []
        for size in (1, 300, 1500):
            before = peer.connections[0].plaintext if peer.connections else b""
            await transport.request("POST", TARGET, {"X-Signature": "s" * 86}, b"{" + b" " * size + b"}")
            lengths.append(len(peer.connections[0].plaintext) - len(before))
        await transport.close()
    assert lengths == [2048] * 3


@pytest.mark.parametrize("size", [0, 8_000, 200_000])
async def test_the_edge_takes_it(tmp_path: Path, size: int) -> None:
    pki = Pki(tmp_path)
    pki.write()
    settings = front_settings(pki, tls_client_certificate="optional")
    with front_server(settings):
        url = f"https://localhost:{settings.edge_tls_port}"
        transport = HttpTransport(url, tls=TlsSettings(pki.ca_pem), shape=TrafficShape())
        for headers in ({}, BATCH):
            assert (await transport.request("POST", "/", headers, b"x" * size)).status == 200
        await transport.close()


async def test_jitter_is_spread_over_its_span(tmp_path: Path) -> None:
    pki, slept, fractions = Pki(tmp_path), list[float](), iter([0.0, 0.25, 0.999])

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        await asyncio.sleep(0)

    timing = Timing(sleep=sleep, fraction=lambda: next(fractions))
    async with tls_peer(pki, pki.server()) as peer:
        shape = TrafficShape(jitter_ms=3_000)
        transport = HttpTransport(peer.url, tls=TlsSettings(pki.ca_pem), shape=shape, timing=timing)
        for _ in range(3):
            await transport.request("GET", "/", {}, None)
        await transport.close()
    assert slept == [0.0, 0.75, 2.997]
