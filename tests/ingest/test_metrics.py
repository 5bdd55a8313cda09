"""Every metric is in the list, documented, and moves when that happens which it counts."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import httpx2
import pytest

from infra.key_files import KeyFiles
from ingest import metrics
from ingest.metrics import LATENCY_SAMPLE
from ingest.producer import BatchingProducer
from ingest.tokens import TokenKeys
from schemas import codec, signing
from schemas.topics import HEARTBEATS
from tests.ingest.conftest import edge_settings, serving
from tests.ingest.metric_values import DECLARED, table, value
from tests.rust_client import RustClient, now_ms
from tests.schemas import messages_samples as samples

pytestmark = pytest.mark.asyncio(loop_scope="session")

OPERATIONS = Path(__file__).parents[2] / "docs/operations.md"


async def test_the_documentation_has_each_metric_and_no_other() -> None:
    documented = [line for line in OPERATIONS.read_text().splitlines() if line.startswith("| `viworks_edge_")]
    assert documented == table()


async def test_each_metric_has_its_comment() -> None:
    source = inspect.getsource(metrics)
    for name in DECLARED:
        assert re.search(rf'^{name} = .*?\)\n"""', source, re.DOTALL | re.MULTILINE), name


async def test_an_accepted_event_is_answered_batched_and_sealed(client: RustClient) -> None:
    names: list[tuple[str, dict[str, Any]]] = [
        ("viworks_edge_answers_total", {"endpoint": "events", "status": 202}),
        ("viworks_edge_batch_records_count", {}),
        ("viworks_edge_batch_bytes_sum", {}),
        ("viworks_edge_sealed_values_total", {"what": "member"}),
        ("viworks_edge_sealed_values_total", {"what": "signed_bytes"}),
    ]
    before = [value(name, **labels) for name, labels in names]
    assert (await client.post("events", samples.event(now_ms(), client.client_id))).status_code == 202
    after = [value(name, **labels) for name, labels in names]
    assert all(now > then for now, then in zip(after, before, strict=True)), list(zip(names, before, after, strict=True))


async def test_api_keys_that_are_kept_are_counted(bootstrap: str, key_files: KeyFiles) -> None:
    settings = edge_settings(bootstrap, key_files)
    async with serving(settings) as url, httpx2.AsyncClient(base_url=url, timeout=30, trust_env=False) as http:
        assert value("viworks_edge_cached_api_keys") == 0
        client = RustClient(http, "t-cached-api-key")
        keys = TokenKeys.from_file(key_files.token_keys)
        client.api_key = keys.issue(client.client_id, signing.public_key_of(client.seed), 1, now_ms() // 1000 + 60)
        for _ in range(2):
            assert (await client.post("heartbeat", samples.heartbeat(now_ms(), client.client_id))).status_code == 202
        assert value("viworks_edge_cached_api_keys") == 1


async def test_one_request_in_so_many_is_timed(client: RustClient) -> None:
    before = value("viworks_edge_latency_seconds_count", endpoint="sessions")
    for number in range(2 * LATENCY_SAMPLE):
        report = samples.session(now_ms(), client.client_id, f"s-{number}")
        assert (await client.post("sessions", report)).status_code == 202
    assert value("viworks_edge_latency_seconds_count", endpoint="sessions") == before + 2
    assert value("viworks_edge_latency_seconds_sum", endpoint="sessions") > 0


async def test_refusals_are_counted_by_reason(client: RustClient) -> None:
    labels = {"endpoint": "events", "reason": "missing-header"}
    before = value("viworks_edge_rejections_total", **labels)
    body, signature = samples.sign_as_rust(samples.event(now_ms(), client.client_id), client.seed)
    headers = client.headers(signature)
    del headers["X-Signature"]
    assert (await client.send("events", body, headers)).status_code == 400
    assert value("viworks_edge_rejections_total", **labels) == before + 1


@pytest.mark.parametrize(
    ("change", "count"),
    [({}, 0), ({"more": 1}, 1), ({"more": {"a": [{}]}, "others": None}, 2), ({"details": {"x": 1}}, 1), ({"nul\0": 1}, 1)],
)
async def test_unknown_members_are_taken_and_counted(change: dict[str, Any], count: int, client: RustClient) -> None:
    before = value("viworks_edge_unknown_members_total", message="SecurityEvent")
    event = samples.event(now_ms(), client.client_id)
    changed = {**event, **change, "details": {**event["details"], **change.get("details", {})}}
    assert (await client.post("events", changed)).status_code == 202
    assert value("viworks_edge_unknown_members_total", message="SecurityEvent") == before + count


async def test_the_wait_for_the_registry_is_known_by_outcome(http: httpx2.AsyncClient) -> None:
    before = value("viworks_edge_registry_wait_seconds_count", outcome="accepted")
    assert (await RustClient(http, "t-registry-wait").register()).status_code == 201
    assert value("viworks_edge_registry_wait_seconds_count", outcome="accepted") == before + 1


async def test_what_kafka_has_not_acknowledged_is_known(bootstrap: str) -> None:
    producer = BatchingProducer(bootstrap, linger_s=0.2, timeout_s=5.0, max_unacknowledged_bytes=1 << 20)
    async with producer:
        assert (producer.unacknowledged_bytes, producer.oldest_unacknowledged_s()) == (0, 0.0)
        tick = codec.encode("tick", {"edge": "t-unacknowledged", "timestamp": now_ms(), "sequence": 1})
        stored = producer.enqueue(HEARTBEATS, 0, None, tick)
        assert producer.unacknowledged_bytes > 0
        assert producer.oldest_unacknowledged_s() > 0
        await stored
        assert (producer.unacknowledged_bytes, producer.oldest_unacknowledged_s()) == (0, 0.0)
