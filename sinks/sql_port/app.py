"""The routes of the SQL port."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from sinks.errors import QueryRefused
from sinks.settings import SinkSettings
from sinks.sql_port import responses
from sinks.sql_port.access import check_token
from sinks.sql_port.guard import refusal
from sinks.sql_port.reader import Answer, Statement
from sinks.sql_port.requests import statement_of

_QUERY_IS_TOO_LARGE = 229
_NOT_IMPLEMENTED = 48

Run = Callable[[Statement], Answer]


def create_app(run: Run, settings: SinkSettings, token: str, timezone: str) -> Starlette:
    """The app over ``run``, which blocks and is called in threads, at most ``sql_max_queries`` at once."""
    port = _Port(run, settings, token, timezone)
    return Starlette(
        routes=[
            Route("/ping", _ping, methods=["GET"]),
            Route("/replicas_status", _ping, methods=["GET"]),
            Route("/", port.query, methods=["GET", "POST"]),
        ]
    )


async def _ping(request: Request) -> Response:
    return PlainTextResponse("Ok.\n")


class _Port:
    def __init__(self, run: Run, settings: SinkSettings, token: str, timezone: str) -> None:
        self._run = run
        self._settings = settings
        self._token = token
        self._timezone = timezone
        self._slots = asyncio.Semaphore(settings.sql_max_queries)

    async def query(self, request: Request) -> Response:
        """GET and POST of ``/``. A GET without a query is a sign of life, as ClickHouse has it."""
        common = {
            "X-ClickHouse-Server-Display-Name": "viworks",
            "X-ClickHouse-Query-Id": request.query_params.get("query_id") or str(uuid.uuid4()),
            "X-ClickHouse-Timezone": self._timezone,
        }
        if request.method == "GET" and "query" not in request.query_params:
            return PlainTextResponse("Ok.\n", headers=common)
        try:
            answer = await self._answer(request)
        except QueryRefused as error:
            return responses.failure(error, _printable(common))
        return responses.success(answer, _printable(common), _encoding(request))

    async def _answer(self, request: Request) -> Answer:
        check_token(request.headers, self._token)
        body = await self._body(request)
        statement = statement_of(request.query_params.items(), request.headers, body, self._settings)
        async with self._slots:
            return await asyncio.to_thread(self._run, statement)

    async def _body(self, request: Request) -> str:
        if request.headers.get("content-encoding"):
            raise refusal(_NOT_IMPLEMENTED, "Compressed requests are not taken. (NOT_IMPLEMENTED)")
        received = bytearray()
        async for chunk in request.stream():
            received += chunk
            if len(received) > self._settings.sql_max_request_bytes:
                raise refusal(_QUERY_IS_TOO_LARGE, "The request is too large. (QUERY_IS_TOO_LARGE)")
        try:
            return received.decode()
        except UnicodeDecodeError:
            raise refusal(62, "The statement is not UTF-8. (SYNTAX_ERROR)") from None


def _encoding(request: Request) -> str | None:
    if request.query_params.get("enable_http_compression") not in {"1", "true"}:
        return None
    return responses.chosen_encoding(request.headers.get("accept-encoding", ""))


def _printable(headers: dict[str, str]) -> dict[str, str]:
    """Without what a request brought and no header can hold."""
    return {name: value for name, value in headers.items() if value.isascii() and value.isprintable()}
