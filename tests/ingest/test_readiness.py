"""``/readyz`` names the part that is at fault, and only what every request needs makes an edge unready."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2
import pytest
import pytest_asyncio

from infra.kafka import EmbeddedKafka
from infra.key_files import KeyFiles
from infra.ports import free_port
from infra.topics import create_topics
from ingest.readiness import Check, readiness
from tests.deadline import eventually
from tests.ingest.conftest import edge_settings, registry_double, serving
from tests.rust_client import RustClient

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def broker(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedKafka]:
    """A broker of its own, since others' registries would answer on the shared one."""
    broker = EmbeddedKafka(tmp_path_factory.mktemp("readiness"), free_port())
    await broker.start()
    try:
        await create_topics(broker.bootstrap, 1)
        yield broker
    finally:
        await broker.stop()


async def test_a_required_part_decides_and_every_part_is_named() -> None:
    checks = {"kafka": Check(lambda: "ok"), "registry": Check(lambda: "silent", required=False)}
    assert readiness(checks).ready
    state = readiness({**checks, "policies": Check(lambda: "away")})
    assert (state.ready, state.parts) == (False, {"kafka": "ok", "registry": "silent", "policies": "away"})


async def parts(http: httpx2.AsyncClient) -> tuple[int, bool, dict[str, str]]:
    answer = await http.get("/readyz")
    body = answer.json()
    return answer.status_code, body["ready"], body["parts"]


async def test_an_edge_whose_parts_are_well(http: httpx2.AsyncClient) -> None:
    async def ready() -> bool:
        status, ready, states = await parts(http)
        return (status, ready, set(states.values())) == (200, True, {"ok"}) and {"kafka", "registry"} <= set(states)

    await eventually(ready, 10, "all parts are ok")
    assert (await http.get("/livez")).json() == {"alive": True}


async def test_a_registry_that_gives_no_verdict_is_silent_and_the_edge_serves_on(
    broker: EmbeddedKafka, key_files: KeyFiles
) -> None:
    settings = edge_settings(broker.bootstrap, key_files, verdict_timeout_s=0.3)
    async with serving(settings) as url, httpx2.AsyncClient(base_url=url, timeout=30, trust_env=False) as http:
        client = RustClient(http, "t-silent-registry")
        assert (await client.register()).status_code == 503
        status, ready, states = await parts(http)
        assert (status, ready, states["registry"]) == (200, True, "silent")
        async with registry_double(broker.bootstrap):

            async def answered() -> bool:
                return (await client.register()).status_code == 201

            await eventually(answered, 10, "the registry answers")
        assert (await parts(http))[2]["registry"] == "ok"


async def test_a_broker_that_is_away_is_named(broker: EmbeddedKafka, key_files: KeyFiles) -> None:
    settings = edge_settings(broker.bootstrap, key_files, produce_timeout_s=0.5)
    async with serving(settings) as url, httpx2.AsyncClient(base_url=url, timeout=30, trust_env=False) as http:

        async def both_are(state: str) -> bool:
            _, ready, states = await parts(http)
            return ready == (state == "ok") and (states["kafka"], states["registry"]) == (state, state)

        broker.kill()
        await broker.wait()
        await eventually(lambda: both_are("away"), 15, "both are named")
        assert (await http.get("/readyz")).status_code == 503
        await broker.start()
        await eventually(lambda: both_are("ok"), 30, "both are back")
