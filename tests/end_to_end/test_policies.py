"""``viworks policy`` on the running system: whom a change reaches, how soon, and whom it does not."""

from __future__ import annotations

import json
import subprocess
import time
import uuid
from collections.abc import AsyncIterator

import httpx2
import pytest

from tests.deadline import promised
from tests.end_to_end.conftest import INTERVAL_S
from tests.end_to_end.system import System
from tests.rust_client import BASE, RustClient, now_ms
from tests.schemas import messages_samples as samples

WITHIN_S = 5.0


@pytest.fixture
async def http(system: System) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=system.run["edge"], timeout=30, trust_env=False) as client:
        yield client


async def a_client(http: httpx2.AsyncClient, node_id: str, capability: str) -> RustClient:
    client = RustClient(http, f"policy-{uuid.uuid4().hex[:8]}")
    message = samples.registration(now_ms(), client.client_id, client.seed)
    message |= {"node_id": node_id, "capabilities": ["vpn", capability]}
    body, _ = samples.sign_as_rust(message, client.seed)
    answer = await http.post(BASE + "register", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 201, answer.text
    client.api_key = answer.json()["api_key"]
    return client


async def in_force(client: RustClient) -> tuple[str, int]:
    policy = (await client.get("policies")).json()["policies"][0]
    return policy["policy_id"], policy["heartbeat_interval"]


async def has_version(client: RustClient, version: int) -> bool:
    return bool((await client.get("policies")).json()["policy_version"] >= version)


async def check_etags(client: RustClient, older: str) -> None:
    changed = await client.get("policies", **{"If-None-Match": older})
    known = await client.get("policies", **{"If-None-Match": changed.headers["etag"]})
    assert (changed.status_code, known.status_code, known.content) == (200, 304, b"")


def version_of(done: subprocess.CompletedProcess[str]) -> int:
    return int(done.stdout.rpartition("version ")[2])


@pytest.mark.parametrize("member", ["node_id", "capability"])
async def test_a_policy_reaches_whom_it_selects_and_nobody_else(
    system: System, http: httpx2.AsyncClient, member: str
) -> None:
    name = f"e2e-{uuid.uuid4().hex[:8]}"
    selected, other = await a_client(http, name, name), await a_client(http, "node-x", "other")
    etags = [(await client.get("policies")).headers["etag"] for client in (selected, other)]

    version = version_of(system.command("policy", "set", name, "--interval", "120", f"--{member.replace('_', '-')}", name))
    written = time.monotonic()
    for client, etag in zip((selected, other), etags, strict=True):
        await promised(lambda client=client: has_version(client, version), WITHIN_S - (time.monotonic() - written))
        await check_etags(client, etag)
    assert (await in_force(selected), await in_force(other)) == ((name, 120), ("default", INTERVAL_S))
    assert (await selected.get("config")).json()["heartbeat_interval"] == 120
    for client in (selected, other):
        beat = await client.post("heartbeat", samples.heartbeat(now_ms(), client.client_id))
        assert (beat.status_code, int(beat.headers["x-policy-version"])) == (202, version)
        assert beat.json()["policy_version"] == version

    deleted = version_of(system.command("policy", "delete", name))
    assert deleted > version
    await promised(lambda: has_version(selected, deleted), WITHIN_S)
    assert await in_force(selected) == ("default", INTERVAL_S)


@pytest.mark.parametrize("interval", ["14", "301"])
async def test_an_interval_out_of_range_is_refused_and_changes_nothing(
    system: System, http: httpx2.AsyncClient, interval: str
) -> None:
    client = await a_client(http, "node-x", "other")
    before = (await client.get("policies")).headers["etag"]
    with pytest.raises(subprocess.CalledProcessError) as refused:
        system.command("policy", "set", "out-of-range", "--interval", interval)
    assert refused.value.returncode == 1
    assert "Refused: heartbeat_interval: Expected `int`" in refused.value.stderr
    assert (await client.get("policies")).headers["etag"] == before
    assert "out-of-range" not in system.command("policy", "list").stdout


async def test_the_policy_in_force_is_shown_with_its_version(system: System) -> None:
    name = f"e2e-{uuid.uuid4().hex[:8]}"
    version = version_of(system.command("policy", "set", name, "--interval", "60", "--label", f"site={name}"))
    shown = json.loads(system.command("policy", "show", name).stdout)
    assert (shown["version"], shown["selector"]) == (version, {"label": f"site={name}"})
    system.command("policy", "delete", name)
