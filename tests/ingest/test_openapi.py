"""The API's document is valid OpenAPI 3.1, agrees with the table of routes both ways, and is what an edge serves."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from ingest.openapi import openapi_document
from ingest.routes import BASE_PATH, ROUTES
from tests.rust_client import RustClient, now_ms
from tests.schemas import messages_samples as samples

DOCUMENT: dict[str, Any] = openapi_document()
OPERATIONS = {
    (method.upper(), path): operation
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
}
SERVICE = {(method, path) for method in ("GET", "HEAD") for path in ("/livez", "/readyz", "/openapi.json")}


def test_the_document_is_openapi_3_1() -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(DOCUMENT).iter_errors()] == []


def test_routes_and_document_agree() -> None:
    assert set(OPERATIONS) == {(row.method, BASE_PATH + row.path) for row in ROUTES} | SERVICE
    assert len({operation["operationId"] for operation in OPERATIONS.values()}) == len(OPERATIONS)


@pytest.mark.parametrize("row", ROUTES, ids=lambda row: row.name)
def test_an_operation_says_what_its_route_says(row: Any) -> None:
    operation = OPERATIONS[row.method, BASE_PATH + row.path]
    successes = {int(status) for status in operation["responses"] if int(status) < 400}
    assert successes == set(row.answers)
    assert bool(operation["security"]) == bool(row.scope)
    assert ("requestBody" in operation) == (row.method == "POST")


def test_no_schema_is_left_over_and_none_is_missing() -> None:
    text = json.dumps(DOCUMENT)
    names = set(DOCUMENT["components"]["schemas"])
    assert {name for name in names if f'"#/components/schemas/{name}"' not in text} == set()
    assert r"\\A" not in text


@pytest.mark.asyncio(loop_scope="session")
class TestServed:
    async def test_an_edge_serves_the_document(self, http: httpx2.AsyncClient) -> None:
        answer = await http.get("/openapi.json")
        assert (answer.status_code, answer.json()) == (200, DOCUMENT)
        assert answer.headers["content-type"] == "application/json"

    @pytest.mark.parametrize(("method", "path"), [*OPERATIONS])
    async def test_every_path_of_the_document_is_there(self, method: str, path: str, http: httpx2.AsyncClient) -> None:
        answer = await http.request(method, path)
        assert str(answer.status_code) in OPERATIONS[method, path]["responses"]
        wrong = await http.request("DELETE", path)
        assert wrong.status_code == 405
        assert method in wrong.headers["allow"].split(", ")

    async def test_successes_carry_the_headers_that_the_document_names(self, client: RustClient) -> None:
        answers = {
            ("register", 201): await client.register(now_ms() + 1),
            ("heartbeat", 202): await client.post("heartbeat", samples.heartbeat(now_ms(), client.client_id)),
            ("events", 202): await client.post("events", samples.event(now_ms(), client.client_id)),
            ("config", 200): await client.get("config"),
            ("policies", 304): await client.get("policies", **{"If-None-Match": "*"}),
        }
        for (name, status), answer in answers.items():
            assert answer.status_code == status
            method = "GET" if name in ("config", "policies") else "POST"
            documented = OPERATIONS[method, f"{BASE_PATH}/clients/{name}"]["responses"][str(status)].get("headers", {})
            transport = {"date", "content-type", "content-length"}
            sent = set(answer.headers) - transport
            assert {name.lower() for name, header in documented.items() if header["required"]} <= sent
            assert sent <= {name.lower() for name in documented}
