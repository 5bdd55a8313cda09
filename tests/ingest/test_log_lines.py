"""Whatever is refused, the log holds no token, signature, plaintext or address of it; start and end are one line each."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Iterable
from pathlib import Path

import httpx2
import pytest

from infra.kafka import EmbeddedKafka
from infra.key_files import KeyFiles
from infra.pki import ensure_pki
from infra.ports import free_port
from ingest.tokens import TokenKeys
from schemas import signing
from tests.deadline import eventually
from tests.ingest.conftest import edge_settings, registry_double
from tests.ingest.edge_process import EdgeProcess, edge_process
from tests.ingest.test_refusals import FAULTS, valid
from tests.ingest.whole_registry import WholeRegistry
from tests.rust_client import BASE, RustClient, now_ms

pytestmark = pytest.mark.asyncio(loop_scope="session")

# All of 127/8 is the machine's own on Linux, so that the client's address can be told from the edge's.
OWN_ADDRESS = "127.0.0.77" if sys.platform == "linux" else None
PLAINTEXT = ["Failed login attempt", "192.168.1.100", "Windows", "10.0.19045", "device-abc123", "hash-xyz789", "AUTH_001"]
SIGNATURE = re.compile(r"[0-9A-Fa-f]{64}|[A-Za-z0-9_-]{80}")
LINE = re.compile(r'time=\S+Z level=[a-z]+ logger=[\w.]+ message=(?:\w+|".*?(?<!\\)")(?: exception=".*")?')


class Refusals:
    """Sends requests that are refused, and keeps what must not be in the log."""

    def __init__(self, http: httpx2.AsyncClient, keys: TokenKeys) -> None:
        self.canaries: set[str] = set(PLAINTEXT) | ({OWN_ADDRESS} if OWN_ADDRESS else set())
        self.statuses: set[int] = set()
        self.client = RustClient(http, "t-log-canary")
        self.keys = keys
        self.client.keys = keys  # type: ignore[attr-defined]

    async def send(self, path: str, body: bytes, headers: dict[str, str]) -> None:
        answer = await self.client.http.post(path, content=body, headers=headers)
        self.statuses.add(answer.status_code)
        self.canaries |= {text for text in _words(headers.values()) if len(text) > 20}
        self.canaries |= {text.decode() for text in re.findall(rb"[0-9A-F]{128}", body)}

    async def register(self) -> None:
        """With every verdict that the registry has; the rest uses an API key that is good without a certificate."""
        for number in range(16):
            answer = await self.client.register(now_ms() // 100 * 100 + number)
            self.statuses.add(answer.status_code)
        self.canaries.add(self.client.api_key)
        public_key = signing.public_key_of(self.client.seed)
        self.client.api_key = self.keys.issue(self.client.client_id, public_key, 1, now_ms() // 1000 + 600)
        self.canaries.add(self.client.api_key)

    async def faults(self) -> None:
        """All faults of a message, alone and in a batch."""
        for make, *_ in FAULTS.values():
            sent = make(self.client)
            # A body far above the limit can lose its answer to the reset of the connection that it is sent on.
            await self.send(BASE + "events", sent.body[:300_000], sent.headers)
            line = b'{"type":"events","message":' + sent.body[:200_000] + b"}"
            await self.send(BASE + "batch", line, {**sent.headers, "Content-Type": "application/x-ndjson"})

    async def other_paths(self) -> None:
        sent = valid(self.client)
        for path in ("keys", "certificates", "register", f"nowhere/{self.client.api_key}", "config"):
            await self.send(BASE + path, sent.body, sent.headers)
        answer = await self.client.get("config", **{"X-Signature": "B" * 128})
        self.statuses.add(answer.status_code)
        self.canaries.add("B" * 128)

    async def malformed_http(self) -> None:
        """A request that is no HTTP; the connection ends."""
        url = httpx2.URL(str(self.client.http.base_url))
        reader, writer = await asyncio.open_connection(url.host, url.port)
        writer.write(b"GET /\x00 " + self.client.api_key.encode() + b" HTTP/9\r\n\r\n")
        await writer.drain()
        writer.write_eof()
        await reader.read()
        writer.close()
        await writer.wait_closed()


def _words(texts: Iterable[str]) -> set[str]:
    return {word for text in texts for word in text.split()}


async def test_no_refusal_puts_its_request_into_the_log(
    tmp_path: Path, own_kafka: EmbeddedKafka, key_files: KeyFiles
) -> None:
    pki = ensure_pki(tmp_path / "pki")
    settings = edge_settings(
        own_kafka.bootstrap,
        key_files,
        edge_tls_host="127.0.0.1",
        edge_tls_port=free_port(),
        tls_cert_file=pki.server_cert,
        tls_key_file=pki.server_key,
        tls_ca_file=pki.ca_cert,
        verdict_timeout_s=0.5,
        produce_timeout_s=0.5,
    )
    async with edge_process(settings, tmp_path / "edge.log") as edge:
        refusals = await drive(edge, own_kafka, TokenKeys.from_file(key_files.token_keys))
    log = edge.log.read_text()
    assert {400, 401, 403, 404, 405, 409, 413, 415, 422, 503} <= refusals.statuses
    assert [canary for canary in refusals.canaries if canary in log] == []
    assert SIGNATURE.findall(log) == []
    check_lines(log.splitlines())


async def drive(edge: EdgeProcess, broker: EmbeddedKafka, keys: TokenKeys) -> Refusals:
    transport = httpx2.AsyncHTTPTransport(local_address=OWN_ADDRESS)
    async with httpx2.AsyncClient(base_url=edge.url, timeout=30, trust_env=False, transport=transport) as http:
        refusals = Refusals(http, keys)
        try:
            async with registry_double(broker.bootstrap, WholeRegistry):
                await refusals.register()
            await refusals.faults()
            await refusals.other_paths()
            await refusals.malformed_http()
        finally:
            await broker.stop()

        async def away() -> bool:
            sent = valid(refusals.client)
            await refusals.send(BASE + "events", sent.body, sent.headers)
            return 503 in refusals.statuses

        await eventually(away, 10, "the broker is missed")
    return refusals


def check_lines(lines: list[str]) -> None:
    """Each is of the one form; the start and the end of the edge are said once, whatever the number of listeners."""
    assert [line for line in lines if not LINE.fullmatch(line)] == []
    assert sum("takes requests" in line for line in lines) == 1
    assert sum("edge stopped" in line for line in lines) == 1
    assert [line for line in lines if "logger=uvicorn" in line and "level=info" in line] == []
    assert [line for line in lines if "exception=" in line or "level=error logger=ingest" in line] == []
