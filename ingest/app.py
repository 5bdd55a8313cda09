"""The edge as an application: the table of routes, and Starlette for the rest."""

from __future__ import annotations

import logging

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ingest import errors
from ingest.edge import Edge
from ingest.openapi import PATH as OPENAPI_PATH
from ingest.openapi import openapi_bytes
from ingest.readiness import Alive, readiness
from ingest.routes import RouteTable

log = logging.getLogger(__name__)


def create_app(edge: Edge) -> RouteTable:
    """The application over a running edge's parts."""

    document = openapi_bytes()

    async def ready(_: Request) -> Response:
        state = readiness(edge.checks)
        return _json(msgspec.json.encode(state), 200 if state.ready else 503)

    async def openapi(_: Request) -> Response:
        return _json(document)

    app = Starlette(
        routes=[Route("/livez", _alive), Route("/readyz", ready), Route(OPENAPI_PATH, openapi)],
        exception_handlers={404: _not_found, 405: _method_not_allowed, Exception: _internal},
    )
    app.router.redirect_slashes = False
    return RouteTable(edge, app)


async def _alive(_: Request) -> Response:
    return _json(msgspec.json.encode(Alive()))


def _json(body: bytes, status: int = 200) -> Response:
    return Response(body, status, media_type="application/json")


def _problem(problem: errors.Problem) -> Response:
    headers = {name.decode(): value.decode() for name, value in problem.answer_headers.items()}
    return Response(problem.body(), problem.status, headers, errors.MEDIA_TYPE.decode())


async def _not_found(_: Request, __: Exception) -> Response:
    return _problem(errors.NotFound())


async def _method_not_allowed(_: Request, error: Exception) -> Response:
    sent = error.headers if isinstance(error, HTTPException) else None
    return _problem(errors.MethodNotAllowed((sent or {}).get("Allow", "GET, HEAD")))


async def _internal(_: Request, error: Exception) -> Response:
    log.error("a request failed: %s", type(error).__name__)
    return _problem(errors.Problem())
