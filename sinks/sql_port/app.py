"""The routes of the SQL port."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from sinks.errors import KeyFileUnusable, QueryRefused
from sinks.settings import SinkSettings
from sinks.sql_port import responses
from sinks.sql_port.access import bearer_of
from sinks.sql_port.audit import QueryFacts, Trail
from sinks.sql_port.body import read_body
from sinks.sql_port.control import Control
from sinks.sql_port.exchange import Exchange, Wishes
from sinks.sql_port.execution import QUERY_WAS_CANCELLED, Execution
from sinks.sql_port.guard import refusal
from sinks.sql_port.reader import Prepared, Reader, Statement
from sinks.sql_port.requests import is_true, statement_of
from sinks.sql_port.roles import ROLES
from sinks.sql_port.running import Running
from sinks.sql_port.slots import Slots
from sinks.sql_port.tokens import Bearer, TokenFile

_KEY_FILE = 439
_LIKE_CLICKHOUSE = 1024 * 1024
_MOST_HELD_BYTES = 16 * 1024 * 1024
_LEAST_INTERVAL_MS = 100


def create_app(
    reader: Reader, control: Control, running: Running, settings: SinkSettings, tokens: TokenFile, trail: Trail
) -> Starlette:
    """The app. Close ``running``, then ``control``, when it serves no longer."""
    port = _Port(reader, control, running, settings, tokens, trail)
    return Starlette(
        routes=[
            Route("/ping", _ping, methods=["GET", "HEAD"]),
            # There are no replicas, so that none is behind.
            Route("/replicas_status", _ping, methods=["GET", "HEAD"]),
            Route("/", port, methods=["GET", "POST", "DELETE"]),
        ]
    )


async def _ping(request: Request) -> Response:
    return PlainTextResponse("Ok.\n")


class _Port:
    def __init__(
        self, reader: Reader, control: Control, running: Running, settings: SinkSettings, tokens: TokenFile, trail: Trail
    ) -> None:
        self._reader = reader
        self._control = control
        self._settings = settings
        self._tokens = tokens
        self._trail = trail
        self._slots = Slots(settings.sql_max_queries, settings.sql_max_queries_per_token, settings.sql_queue_wait_s)
        self._threads = ThreadPoolExecutor(settings.sql_max_queries, "sql-query")
        self._running = running

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET and POST of ``/``. A GET without a query is a sign of life, as ClickHouse has it."""
        request = Request(scope, receive)
        query_id = request.query_params.get("query_id") or str(uuid.uuid4())
        common = _printable(
            {
                "X-ClickHouse-Server-Display-Name": "viworks",
                "X-ClickHouse-Query-Id": query_id,
                "X-ClickHouse-Timezone": self._reader.timezone,
            }
        )
        if request.method == "GET" and "query" not in request.query_params:
            await PlainTextResponse("Ok.\n", headers=common)(scope, receive, send)
            return
        try:
            await self._answer(request, query_id, common, _patient(send, self._settings.sql_stall_s))
        except QueryRefused as error:
            await responses.failure(error, common)(scope, receive, send)
        except (responses.BrokenOff, TimeoutError):
            await _end_connection(scope, receive)

    async def _answer(self, request: Request, query_id: str, common: dict[str, str], send: Send) -> None:
        bearer = self._bearer(request)
        common["X-ClickHouse-User"] = bearer.name
        if request.method == "DELETE":
            await self._delete(request, bearer, query_id, send)
            return
        body = await read_body(request, self._settings.sql_max_request_bytes)
        facts = QueryFacts(bearer, query_id, mark=str(uuid.uuid4()))
        await _while_connected(request.receive, self._query(request, body, facts, common, send))

    def _bearer(self, request: Request) -> Bearer:
        try:
            return bearer_of(request.headers, self._tokens)
        except KeyFileUnusable:
            raise refusal(_KEY_FILE, "The file of tokens cannot be read. (CANNOT_SCHEDULE_TASK)") from None

    async def _delete(self, request: Request, bearer: Bearer, query_id: str, send: Send) -> None:
        ended = self._running.cancel(query_id, bearer)
        answer = PlainTextResponse("Ok.\n" if ended else "There is no such query.\n", 200 if ended else 404)
        await answer(request.scope, request.receive, send)

    async def _query(self, request: Request, body: str, facts: QueryFacts, common: dict[str, str], send: Send) -> None:
        try:
            statement = self._statement(request, body, facts.bearer)
            with self._running.entered(facts) as query:
                async with self._slots.slot(facts.bearer.name), asyncio.timeout(self._settings.sql_max_answer_s):
                    prepared = await self._prepared(statement, facts)
                    execution = Execution(prepared, facts.mark, self._control, self._threads)
                    try:
                        query.runs(execution)
                        await self._exchange(request, execution, prepared, facts, common).run(send)
                    finally:
                        await asyncio.shield(execution.release())
        except QueryRefused as error:
            if not facts.recorded:
                # Of what ran nothing: an answer that only says no does not wait for the broker.
                outcome = "refused" if error.code in responses.REFUSALS else "failed"
                self._trail.record_later(facts, outcome, error.code)
            raise
        except asyncio.CancelledError:
            if not facts.recorded:
                self._trail.record_later(facts, "cancelled", QUERY_WAS_CANCELLED)
            raise

    def _exchange(
        self, request: Request, execution: Execution, prepared: Prepared, facts: QueryFacts, common: dict[str, str]
    ) -> Exchange:
        wishes, shape = _wishes(request), prepared.shape
        return Exchange(execution, facts, self._trail, wishes, common, prepared.format, shape.is_select)

    def _statement(self, request: Request, body: str, bearer: Bearer) -> Statement:
        pairs, known = request.query_params.multi_items(), self._reader.setting_names
        return statement_of(pairs, request.headers, body, self._settings, ROLES[bearer.role], known)

    async def _prepared(self, statement: Statement, facts: QueryFacts) -> Prepared:
        """The statement, ready to run. In place of a KILL QUERY comes a SELECT that says what became of it."""
        loop = asyncio.get_running_loop()
        prepared = await loop.run_in_executor(self._threads, self._reader.prepare, statement, facts.mark)
        facts.shape = prepared.shape
        if prepared.shape.kills is None:
            return prepared
        await loop.run_in_executor(self._threads, prepared.close)
        ended = self._running.cancel(prepared.shape.kills, facts.bearer)
        report = _report_of_kill(dataclasses.replace(statement, default_format=prepared.format), prepared.shape.kills, ended)
        return await loop.run_in_executor(self._threads, self._reader.prepare, report, facts.mark)


def _report_of_kill(statement: Statement, query_id: str, ended: bool) -> Statement:
    columns = "'waiting' AS kill_status, {viworks_id:String} AS query_id, currentUser() AS user, '' AS query"
    parameters = {"viworks_id": query_id}
    return dataclasses.replace(statement, sql=f"SELECT {columns} WHERE {int(ended)}", parameters=parameters)


def _wishes(request: Request) -> Wishes:
    query = request.query_params
    waits = is_true(query.get("wait_end_of_query")) or is_true(query.get("http_wait_end_of_query"))
    asked = _number(query.get("buffer_size"), _LIKE_CLICKHOUSE)
    encoding = None
    if is_true(query.get("enable_http_compression")):
        encoding = responses.chosen_encoding(request.headers.get("accept-encoding", ""))
    interval_ms = max(_LEAST_INTERVAL_MS, _number(query.get("http_headers_progress_interval_ms"), _LEAST_INTERVAL_MS))
    return Wishes(
        hold_bytes=_MOST_HELD_BYTES if waits else min(max(asked, 1), _MOST_HELD_BYTES),
        encoding=encoding,
        progress_interval_s=interval_ms / 1000 if is_true(query.get("send_progress_in_http_headers")) else 0.0,
    )


def _number(text: str | None, default: int) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 12 else default


async def _while_connected(receive: Receive, work: Coroutine[Any, Any, None]) -> None:
    """Do the work; cancel it when the client goes away."""
    working = asyncio.ensure_future(work)
    watching = asyncio.ensure_future(_gone(receive))
    try:
        await asyncio.wait([working, watching], return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            working.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await working
    finally:
        for task in (working, watching):
            task.cancel()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _patient(send: Send, stall_s: float) -> Callable[[Message], Awaitable[None]]:
    async def sending(message: Message) -> None:
        async with asyncio.timeout(stall_s):
            await send(message)

    return sending


async def _end_connection(scope: Scope, receive: Receive) -> None:
    """Close it in the middle of an answer: there is no other way to say that the rest is missing."""
    scope["state"]["close"]()
    await _gone(receive)


def _printable(headers: dict[str, str]) -> dict[str, str]:
    """Without what a request brought and no header can hold."""
    return {name: value for name, value in headers.items() if value.isascii() and value.isprintable()}
