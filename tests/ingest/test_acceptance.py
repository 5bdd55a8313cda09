"""The specification's own messages go through, and what is sensitive in them reaches Kafka only sealed."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from infra.key_files import KeyFiles
from ingest.tokens import TokenKeys
from schemas import signing
from schemas.privacy import PrivacyMode
from schemas.sealing import Place, open_envelope
from tests.ingest.conftest import edge_settings, registry_double, serving
from tests.rust_client import RustClient, now_ms
from tests.schemas import messages_samples as samples
from tests.topic_probe import TopicProbe

pytestmark = pytest.mark.asyncio(loop_scope="session")

MARKERS = ["Windows", "10.0.19045", "device-abc123", "hash-xyz789", "Failed login attempt", "192.168.1.100", "10.77.88.99"]


def soc_key(files: KeyFiles) -> X25519PrivateKey:
    key = serialization.load_pem_private_key(files.sealing_private.read_bytes(), None)
    assert isinstance(key, X25519PrivateKey)
    return key


async def test_the_four_examples_are_accepted_and_each_is_one_record(probe: TopicProbe, http: httpx2.AsyncClient) -> None:
    client = RustClient(http, samples.CLIENT_ID)
    await probe.mark()
    registered = await client.register()
    beat = await client.post("heartbeat", samples.heartbeat(now_ms()))
    report = await client.post("sessions", samples.session(now_ms()))
    event = await client.post("events", samples.event(now_ms()))
    statuses = [answer.status_code for answer in (registered, beat, report, event)]
    counts = [len(await probe.records(name, client.client_id)) for name in ("registration", "heartbeat", "session", "event")]
    assert statuses == [201, 202, 202, 202]
    assert counts == [1, 1, 1, 1]
    assert beat.headers["x-policy-version"] == str(registered.json()["config"]["policy_version"])
    assert registered.json()["config"]["heartbeat_interval"] == 30


async def test_sensitive_values_reach_kafka_only_sealed(probe: TopicProbe, client: RustClient, key_files: KeyFiles) -> None:
    report = samples.session(now_ms(), client.client_id)
    report["metadata"]["internal_ip"] = "10.77.88.99"
    await probe.mark()
    await client.register(now_ms() + 1)
    await client.post("sessions", report)
    await client.post("events", samples.event(now_ms(), client.client_id))
    values = b"".join(record.value for record in await probe.raw())
    event = (await probe.records("event", client.client_id))[0]
    assert [marker for marker in MARKERS if marker.encode() in values] == []
    opened = open_envelope(
        event["description"], Place(client.client_id, "event.description", "event-xyz789"), soc_key(key_files)
    )
    assert opened == b"Failed login attempt"


async def test_the_soc_can_prove_the_signature_later(probe: TopicProbe, client: RustClient, key_files: KeyFiles) -> None:
    await probe.mark()
    await client.post("events", samples.event(now_ms(), client.client_id))
    event: dict[str, Any] = (await probe.records("event", client.client_id))[0]
    place = Place(client.client_id, "event.signed_bytes", "event-xyz789")
    signed = open_envelope(event["signed_bytes"].decode(), place, soc_key(key_files))
    public_key = signing.public_key_of(client.seed)
    signing.verify(signed, event["signature"], public_key)
    assert event["key_id"] == signing.key_id(public_key)
    assert json.loads(signed)["details"]["source_ip"] == "192.168.1.100"


async def test_strict_mode_refuses_plaintext_and_names_the_member(bootstrap: str, key_files: KeyFiles) -> None:
    settings = edge_settings(bootstrap, key_files, privacy_mode=PrivacyMode.STRICT)
    async with (
        registry_double(bootstrap),
        serving(settings) as url,
        httpx2.AsyncClient(base_url=url, trust_env=False) as http,
    ):
        client = RustClient(http, "t-strict")
        keys = TokenKeys.from_file(settings.token_keys_file)
        client.api_key = keys.issue(client.client_id, signing.public_key_of(client.seed), 1, now_ms() // 1000 + 60)
        registered = await client.register()
        event = await client.post("events", samples.event(now_ms(), client.client_id))
        beat = await client.post("heartbeat", samples.heartbeat(now_ms(), client.client_id))
        config = await client.get("config")
    assert registered.status_code == 422
    assert registered.json()["member"] == "device_info.os_type"
    assert (event.status_code, event.json()["member"]) == (422, "details.description")
    assert beat.status_code == 202
    assert (config.status_code, config.json()["member"]) == (400, "X-Timestamp")


async def test_configuration_and_policies_are_signed_and_cached(client: RustClient) -> None:
    for resource in ("config", "policies"):
        first = await client.get(resource, **{"X-Timestamp": str(now_ms())})
        again = await client.get(resource, **{"If-None-Match": first.headers["etag"]})
        assert (first.status_code, again.status_code, again.content) == (200, 304, b"")
        signed, text = signing.signed_bytes(first.content)
        answer = await client.register(now_ms() + 1)
        policy_key = signing.public_key_from_pem(answer.json()["config"]["policy_key"])
        signing.verify(signed, signing.decode_signature(text), policy_key)


async def test_another_key_for_a_known_client_is_a_conflict(client: RustClient) -> None:
    thief = RustClient(client.http, client.client_id)
    thief.seed = b"t" * 32
    answer = await thief.register()
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:viworks:problem:identity-conflict")
