"""A policy that changes while an edge runs: what its clients get, on a real broker."""

from __future__ import annotations

import time

import httpx2

from infra.kafka import EmbeddedKafka
from infra.key_files import KeyFiles
from schemas.policies import DEFAULT_VERSION
from tests.deadline import promised
from tests.ingest.conftest import edge_settings, registry_double, serving
from tests.ingest.policy_records import policy_record, write_policy
from tests.rust_client import RustClient, now_ms
from tests.schemas import messages_samples as samples
from tests.topic_probe import TopicProbe

WITHIN_S = 5.0


async def beat(client: RustClient) -> httpx2.Response:
    answer = await client.post("heartbeat", samples.heartbeat(now_ms(), client.client_id))
    assert answer.status_code == 202, answer.text
    assert answer.headers["x-policy-version"] == str(answer.json()["policy_version"])
    return answer


async def test_a_change_reaches_the_clients_in_time_and_a_restart_takes_nothing_back(
    own_kafka: EmbeddedKafka, key_files: KeyFiles
) -> None:
    # These policies select everybody.
    broker = own_kafka.bootstrap
    settings = edge_settings(broker, key_files)
    async with registry_double(broker), TopicProbe(broker) as probe:
        async with serving(settings) as url, httpx2.AsyncClient(base_url=url, trust_env=False) as http:
            client = RustClient(http, "t-policies")
            registered = await client.register()
            assert registered.json()["config"]["policy_version"] == DEFAULT_VERSION
            older = {name: (await client.get(name)).headers["etag"] for name in ("policies", "config")}
            assert (await beat(client)).json()["policy_version"] == DEFAULT_VERSION

            written = time.monotonic()
            await write_policy(broker, policy_record("all", 2, heartbeat_interval=120))
            await promised(lambda: has_version(client, 2), WITHIN_S)
            assert time.monotonic() - written < WITHIN_S
            await check_documents(client, older, interval_s=120)
            await beat(client)
            [first, *_, last] = await probe.records("heartbeat", client.client_id)
            assert (first["interval_ms"], last["interval_ms"]) == (30_000, 120_000)
            assert (await http.get("/readyz")).json()["parts"]["policies"] == "ok"
        await write_policy(broker, policy_record("all", 3, deleted=True))
        async with serving(settings) as url, httpx2.AsyncClient(base_url=url, trust_env=False) as http:
            client.http = http
            config = (await client.get("config")).json()
            assert (config["policy_version"], config["heartbeat_interval"]) == (3, 30)
            again = (await client.register()).json()["config"]
            assert (again["policy_version"], again["heartbeat_interval"]) == (3, 30)


async def has_version(client: RustClient, version: int) -> bool:
    return bool((await client.get("policies")).json()["policy_version"] == version)


async def check_documents(client: RustClient, older: dict[str, str], interval_s: int) -> None:
    for name, etag in older.items():
        changed = await client.get(name, **{"If-None-Match": etag})
        assert (changed.status_code, changed.json()["policy_version"]) == (200, 2)
        known = await client.get(name, **{"If-None-Match": changed.headers["etag"]})
        assert (known.status_code, known.content, known.headers["x-policy-version"]) == (304, b"", "2")
    assert (await client.get("config")).json()["heartbeat_interval"] == interval_s
    [policy] = (await client.get("policies")).json()["policies"]
    assert (policy["policy_id"], policy["heartbeat_interval"]) == ("all", interval_s)
