"""The table of routes: an error that nobody foresaw is answered as a problem and says nothing of the request."""

from __future__ import annotations

import logging
from typing import Any

import httpx2
import pytest
from starlette.responses import PlainTextResponse

from ingest.edge import Edge
from ingest.routes import ROUTES, RouteTable

SECRET = "s3cret-value"


def broken_clock() -> int:
    raise ValueError(SECRET)


def broken_edge() -> Edge:
    missing: Any = None
    return Edge("e", missing, broken_clock, missing, missing, missing, missing, missing, missing, missing, missing)


async def test_an_unforeseen_error_is_a_problem_without_its_text(caplog: pytest.LogCaptureFixture) -> None:
    table = RouteTable(broken_edge(), PlainTextResponse("rest"))
    transport = httpx2.ASGITransport(table)
    with caplog.at_level(logging.INFO, "ingest"):
        async with httpx2.AsyncClient(transport=transport, base_url="http://edge") as http:
            answer = await http.post("/api/v1/clients/heartbeat", content=SECRET)
            other = await http.get("/elsewhere")
    assert (answer.status_code, answer.json()["type"]) == (500, "urn:viworks:problem:internal")
    assert "heartbeat failed: ValueError" in caplog.text
    assert SECRET not in answer.text + caplog.text
    assert other.text == "rest"


def test_every_call_of_the_protocol_has_its_route() -> None:
    assert {(row.method, row.path) for row in ROUTES} == {
        ("POST", "/clients/register"),
        ("POST", "/clients/heartbeat"),
        ("POST", "/clients/sessions"),
        ("POST", "/clients/events"),
        ("GET", "/clients/config"),
        ("GET", "/clients/policies"),
    }
