"""The edge as an application: the table of routes, and Starlette for the rest."""

from __future__ import annotations

import logging

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ingest import errors
from ingest.edge import Edge
from ingest.routes import RouteTable

log = logging.getLogger(__name__)


def create_app(edge: Edge) -> RouteTable:
    """The application over a running edge's parts."""

    async def ready(_: Request) -> Response:
        parts = {
            "kafka": "ok" if edge.producer.available else "away",
            "registry": "ok" if edge.registry.alive else "away",
            **{name: "stale" if follower.failing else "ok" for name, follower in edge.followers.items()},
        }
        is_ready = all(state == "ok" for state in parts.values())
        return JSONResponse({"ready": is_ready, "parts": parts}, 200 if is_ready else 503)

    app = Starlette(
        routes=[Route("/livez", _alive), Route("/readyz", ready)],
        exception_handlers={404: _not_found, 405: _method_not_allowed, Exception: _internal},
    )
    app.router.redirect_slashes = False
    return RouteTable(edge, app)


async def _alive(_: Request) -> Response:
    return JSONResponse({"alive": True})


def _problem(problem: errors.Problem) -> Response:
    return Response(problem.body(), problem.status, media_type=errors.MEDIA_TYPE.decode())


async def _not_found(_: Request, __: Exception) -> Response:
    return _problem(errors.NotFound())


async def _method_not_allowed(_: Request, __: Exception) -> Response:
    return _problem(errors.MethodNotAllowed())


async def _internal(_: Request, error: Exception) -> Response:
    log.error("a request failed: %s", type(error).__name__)
    return _problem(errors.Problem())
