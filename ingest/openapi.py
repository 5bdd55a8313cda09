"""The API as an OpenAPI 3.1 document, made of the table of routes, the structs and the tree of errors.

Nothing in it is written by hand that the code says already, so that it cannot say anything else than the code does.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import msgspec

from ingest import batch, errors
from ingest.openapi_answers import answers_of, json_answer, refusals
from ingest.openapi_requests import BATCH_LINE, SECURITY_SCHEMES, batch_line, body_of, parameters_of
from ingest.openapi_schemas import schemas
from ingest.readiness import Alive, Readiness
from ingest.refusals import ANYWHERE, FRONT, in_order
from ingest.route import RouteRow
from ingest.routes import BASE_PATH, ROUTES

PATH = "/openapi.json"

_DESCRIPTION = """\
Signed telemetry of VPN and SPA clients. Every body is signed with the client's Ed25519 key; a 2xx says that the message is
stored. Times are integer milliseconds since the epoch. Unknown members are kept in the signed bytes and ignored.

A refusal is a problem document (RFC 9457) with a stable `type`. Any other path is `404`, any other method of these paths
`405`. Where the path is called but TLS, HTTP or a limit stands in the way, the answer is a problem document as well.
"""


def openapi_document() -> dict[str, Any]:
    """The document. JSON Schema is of the dialect 2020-12, which OpenAPI 3.1 takes by default."""
    return {
        "openapi": "3.1.1",
        "info": {"title": "ViWorkS client integration", "version": version("viworks"), "description": _DESCRIPTION},
        "jsonSchemaDialect": "https://spec.openapis.org/oas/3.1/dialect/base",
        "paths": {**{BASE_PATH + row.path: {row.method.lower(): _operation(row)} for row in ROUTES}, **_service_paths()},
        "components": {
            "schemas": {**schemas(_structs()), BATCH_LINE: batch_line()},
            "securitySchemes": SECURITY_SCHEMES,
        },
    }


def openapi_bytes() -> bytes:
    """The document as JSON."""
    return msgspec.json.encode(openapi_document())


def _operation(row: RouteRow) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": row.name,
        "summary": _summary(row),
        "security": [{"api_key": []}] if row.scope else [],
        "parameters": parameters_of(row),
        "responses": answers_of(row),
    }
    body = body_of(row)
    return operation if body is None else {**operation, "requestBody": body}


def _summary(row: RouteRow) -> str:
    text = inspect.getdoc(row.handler) or row.name
    return text.split("\n", 1)[0].rstrip(".")


def _service_paths() -> dict[str, Any]:
    """What is not signed: for those who run the edge, and for those who write clients."""
    ready = {
        "200": json_answer("Requests are served", Readiness),
        "503": json_answer("A part that every request needs is at fault", Readiness),
    }
    document = {"description": "OpenAPI 3.1", "content": {"application/json": {"schema": {"type": "object"}}}}
    return {
        "/livez": _service("livez", "Whether the process answers", {"200": json_answer("It does", Alive)}),
        "/readyz": _service("readyz", "Whether requests can be served, and which part is at fault", ready),
        PATH: _service("openapi", "This document", {"200": document}),
    }


def _service(name: str, summary: str, answers: dict[str, Any]) -> dict[str, Any]:
    """A path that nothing is needed for; HEAD asks for the header alone (RFC 9110, 9.3.2)."""
    responses = {**answers, **refusals(in_order(FRONT | ANYWHERE))}
    bare = {status: {"description": answer["description"]} for status, answer in responses.items()}
    head = {"operationId": f"{name}-head", "summary": f"{summary}, without the body", "security": [], "responses": bare}
    return {"get": {"operationId": name, "summary": summary, "security": [], "responses": responses}, "head": head}


def _structs() -> Iterator[type[Any]]:
    yield from (errors.ProblemDocument, Alive, Readiness)
    yield from (kind for kind, _ in batch.KINDS.values())
    for row in ROUTES:
        yield from (kind for kind in (row.message, *row.answers.values()) if kind is not None)
