"""The console: who may see it, what it escapes, and the schema registry that consumers use."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from console.pages import section
from console.server import create_app
from console.settings import ConsoleSettings
from console.warehouse import Warehouse
from schemas.registry import SCHEMAS, latest_schema


@pytest.fixture
async def http(tmp_path: Path) -> AsyncIterator[httpx2.AsyncClient]:
    (tmp_path / "token").write_text("t")
    settings = ConsoleSettings(sql_token_file=tmp_path / "token", sql_port=1)
    warehouse = Warehouse(settings.sql_host, settings.sql_port, settings.sql_token_file)
    transport = httpx2.ASGITransport(create_app(settings, warehouse), client=("127.0.0.1", 1))
    async with httpx2.AsyncClient(transport=transport, base_url="http://console") as client:
        yield client
    await warehouse.close()


@pytest.mark.parametrize("row", SCHEMAS, ids=lambda row: row.name)
async def test_a_schema_is_found_by_its_id(http: httpx2.AsyncClient, row: object) -> None:
    answer = await http.get(f"/registry/schemas/ids/{row.id}")  # type: ignore[attr-defined]
    assert json.loads(answer.json()["schema"])["name"].lower() == row.name.replace("_", "")  # type: ignore[attr-defined]


async def test_subjects_follow_the_topics(http: httpx2.AsyncClient) -> None:
    subjects = (await http.get("/registry/subjects")).json()
    assert "viworks.alerts.v1-value" in subjects
    assert "viworks.heartbeats.v1-viworks.v1.Tick" in subjects
    latest = (await http.get("/registry/subjects/viworks.alerts.v1-value/versions/latest")).json()
    newest = latest_schema("alert")
    assert (latest["version"], latest["id"]) == (newest.version, newest.id)


@pytest.mark.parametrize(
    ("path", "code"),
    [("schemas/ids/999", 40403), ("subjects/x/versions/1", 40401), ("subjects/viworks.alerts.v1-value/versions/9", 40402)],
)
async def test_what_is_not_there_has_confluents_codes(http: httpx2.AsyncClient, path: str, code: int) -> None:
    answer = await http.get(f"/registry/{path}")
    assert (answer.status_code, answer.json()["error_code"]) == (404, code)


async def test_without_the_sql_port_the_page_says_so(http: httpx2.AsyncClient) -> None:
    answer = await http.get("/")
    assert answer.status_code == 503
    assert "SQL port does not answer" in answer.text


async def test_an_address_outside_the_allowlist_sees_nothing(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t")
    settings = ConsoleSettings(sql_token_file=tmp_path / "token")
    app = create_app(settings, Warehouse(settings.sql_host, 1, settings.sql_token_file))
    transport = httpx2.ASGITransport(app, client=("192.0.2.1", 1))
    async with httpx2.AsyncClient(transport=transport, base_url="http://console") as client:
        for path in ("/", "/registry/subjects"):
            assert (await client.get(path, headers={"X-Forwarded-For": "127.0.0.1"})).status_code == 403


def test_values_are_escaped() -> None:
    assert "<script>" not in section("t", [{"<script>": "<script>alert(1)</script>"}])
