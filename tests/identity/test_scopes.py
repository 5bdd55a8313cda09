"""The whole table of API key scope by endpoint by privacy mode: a scope opens its own endpoint and no other."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric import ec

from ingest.routes import ROUTES
from ingest.tokens import SCOPES, TokenKeys
from schemas import signing
from schemas.privacy import PrivacyMode
from schemas.sealing import Place, SealingKey
from tests.identity.conftest import Site, edge
from tests.identity.test_credentials import csr, rotation
from tests.identity.test_registration import problem
from tests.rust_client import RustClient, now_ms
from tests.schemas import messages_samples as samples

pytestmark = pytest.mark.asyncio(loop_scope="session")

Sites = dict[PrivacyMode, httpx2.AsyncClient]
ENDPOINTS = [row.name for row in ROUTES if row.scope]
LINES = ("heartbeat", "sessions", "events")
ACCEPTED = {
    "heartbeat": 202,
    "sessions": 202,
    "events": 202,
    "config": 200,
    "policies": 200,
    "keys": 200,
    "certificates": 200,
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def by_privacy(site: Site) -> AsyncIterator[Sites]:
    async with (
        edge(site.settings(privacy_mode=PrivacyMode.SEAL)) as seal,
        edge(site.settings(privacy_mode=PrivacyMode.STRICT)) as strict,
    ):
        yield {PrivacyMode.SEAL: seal, PrivacyMode.STRICT: strict}


class Speaker:
    """A client with an API key of one scope, and what it would send to each endpoint; everything is sealed."""

    def __init__(self, site: Site, http: httpx2.AsyncClient, client_id: str, scopes: tuple[str, ...]) -> None:
        self.client = RustClient(http, client_id)
        self._sealing_key = SealingKey.from_pem(site.keys.sealing_public.read_bytes())
        public_key = signing.public_key_of(self.client.seed)
        expires_s = now_ms() // 1000 + 600
        keys = TokenKeys.from_file(site.keys.token_keys)
        # Made after every order that ended API keys of all clients.
        self.client.api_key = keys.issue(client_id, public_key, 1, expires_s, issued_s=expires_s, scopes=scopes)

    async def call(self, endpoint: str) -> httpx2.Response:
        if endpoint in ("config", "policies"):
            return await self.client.get(endpoint, **{"X-Timestamp": str(now_ms())})
        if endpoint == "batch":
            return await self._batch()
        return await self.client.post(endpoint, self.message(endpoint))

    def message(self, endpoint: str) -> dict[str, Any]:
        client_id = self.client.client_id
        if endpoint == "keys":
            return rotation(self.client, b"r" * 32)
        if endpoint == "certificates":
            return {"client_id": client_id, "csr": csr(ec.generate_private_key(ec.SECP256R1())), "timestamp": now_ms()}
        if endpoint == "heartbeat":
            return samples.heartbeat(now_ms(), client_id)
        if endpoint == "sessions":
            message = samples.session(now_ms(), client_id)
            message["metadata"]["client_ip"] = "192.0.2.0"
            return message
        message = samples.event(now_ms(), client_id)
        place = Place(client_id, "event.description", message["event_id"])
        message["details"] |= {"source_ip": "192.0.2.0", "description": self._sealing_key.seal(b"text", place)}
        return message

    async def _batch(self) -> httpx2.Response:
        lines = []
        for kind in LINES:
            body, _ = samples.sign_as_rust(self.message(kind), self.client.seed)
            lines.append(b'{"type":"' + kind.encode() + b'","message":' + body + b"}")
        headers = {**self.client.headers(""), "Content-Type": "application/x-ndjson"}
        return await self.client.send("batch", b"\n".join(lines), headers)


@pytest.mark.parametrize("mode", list(PrivacyMode))
@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("endpoint", ENDPOINTS)
async def test_a_scope_opens_its_own_endpoint_alone(
    site: Site, by_privacy: Sites, mode: PrivacyMode, scope: str, endpoint: str
) -> None:
    client_id = f"scope-{mode}-{scope}-{endpoint}"
    if endpoint == scope and scope in ("keys", "certificates"):
        assert (await RustClient(by_privacy[PrivacyMode.SEAL], client_id).register()).status_code == 201
    speaker = Speaker(site, by_privacy[mode], client_id, (scope,))
    answer = await speaker.call(endpoint)
    if endpoint == "batch":
        statuses = [result["status"] for result in answer.json()["results"]]
        assert (answer.status_code, statuses) == (200, [202 if kind == scope else 403 for kind in LINES])
    elif endpoint == scope:
        assert answer.status_code == ACCEPTED[endpoint], answer.text
    else:
        assert problem(answer) == (403, "scope-refused")


@pytest.mark.parametrize("mode", list(PrivacyMode))
@pytest.mark.parametrize("endpoint", ENDPOINTS)
async def test_no_scope_opens_nothing(site: Site, by_privacy: Sites, mode: PrivacyMode, endpoint: str) -> None:
    answer = await Speaker(site, by_privacy[mode], f"scopeless-{mode}-{endpoint}", ()).call(endpoint)
    if endpoint == "batch":
        assert {result["status"] for result in answer.json()["results"]} == {403}
    else:
        assert problem(answer) == (403, "scope-refused")


async def test_a_bad_line_of_a_batch_spoils_no_other(site: Site, by_privacy: Sites) -> None:
    speaker = Speaker(site, by_privacy[PrivacyMode.SEAL], "batching", SCOPES)
    good, _ = samples.sign_as_rust(samples.event(now_ms(), "batching", "e-1"), speaker.client.seed)
    foreign, _ = samples.sign_as_rust(samples.event(now_ms(), "batching", "e-2"), b"f" * 32)
    stale, _ = samples.sign_as_rust(samples.heartbeat(now_ms() - 600_000, "batching"), speaker.client.seed)
    others, _ = samples.sign_as_rust(samples.event(now_ms(), "another", "e-3"), speaker.client.seed)
    lines: list[tuple[bytes, int, str]] = [
        (b'{"type":"events","message":' + good + b"}", 202, ""),
        (b'{"type":"events","message":' + foreign + b"}", 401, "bad-signature"),
        (b"not json", 400, "malformed-json"),
        (b'{"type":"heartbeat","message":' + stale + b"}", 422, "stale-timestamp"),
        (b'{"type":"events","message":' + others + b"}", 403, "identity-mismatch"),
        (b'{"type":"register","message":' + good + b"}", 422, "invalid-message"),
        (b'{"type":"sessions","message":' + good + b"}", 422, "invalid-message"),
        (b'{"type":"events","message":' + good[:-1] + b' ,"event_id":"x"}}', 400, "duplicate-key"),
        (b'{"type":"events","message":' + good + b"}", 202, ""),
    ]
    headers = {**speaker.client.headers(""), "Content-Type": "application/x-ndjson"}
    answer = await speaker.client.send("batch", b"\r\n".join(line for line, _, _ in lines), headers)
    assert answer.status_code == 200, answer.text
    results = answer.json()["results"]
    assert [(r["status"], r.get("type", "").rpartition(":")[2]) for r in results] == [(s, t) for _, s, t in lines]
    assert (answer.json()["accepted"], [r["line"] for r in results]) == (2, list(range(len(lines))))
    assert "Failed login" not in answer.text


NDJSON = "application/x-ndjson"


@pytest.mark.parametrize(
    ("body", "media_type", "status"),
    [
        pytest.param(b"", NDJSON, 422, id="empty"),
        pytest.param(b"\n\n", NDJSON, 422, id="blank"),
        pytest.param(b"{}\n" * 1_001, NDJSON, 422, id="too many lines"),
        pytest.param(b"{}", "application/json", 415, id="another type"),
        pytest.param(b" " * 2_200_000, NDJSON, 413, id="too large"),
    ],
)
async def test_a_batch_has_bounds(site: Site, by_privacy: Sites, body: bytes, media_type: str, status: int) -> None:
    speaker = Speaker(site, by_privacy[PrivacyMode.SEAL], "bounded", SCOPES)
    answer = await speaker.client.send("batch", body, {**speaker.client.headers(""), "Content-Type": media_type})
    assert answer.status_code == status
    assert json.loads(answer.content)["status"] == status


async def test_a_batch_over_the_budget_gets_its_urgent_events_through(site: Site) -> None:
    async with edge(site.settings(client_burst=3, client_rate_per_s=0.001, urgent_burst=2, urgent_rate_per_s=0.001)) as http:
        speaker = Speaker(site, http, "hurried", SCOPES)
        lines = []
        for number, severity in enumerate(["low", "low", "low", "critical", "high", "critical"]):
            message = samples.event(now_ms(), "hurried", f"e-{number}") | {"severity": severity}
            body, _ = samples.sign_as_rust(message, speaker.client.seed)
            lines.append(b'{"type":"events","message":' + body + b"}")
        headers = {**speaker.client.headers(""), "Content-Type": NDJSON}
        answer = await speaker.client.send("batch", b"\n".join(lines), headers)
    # One of the three is the batch's own.
    assert [result["status"] for result in answer.json()["results"]] == [202, 202, 429, 202, 202, 429]
    assert [result.get("retryable", False) for result in answer.json()["results"]].count(True) == 2
    assert answer.headers["retry-after"] == "5"
