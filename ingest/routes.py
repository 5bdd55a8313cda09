"""All routes of the edge in one table: path, method, scope, message, handler. Each route is a plain ASGI application."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from prometheus_client import Counter
from starlette.types import ASGIApp

from ingest import endpoints, errors, extract
from ingest.edge import Edge
from ingest.endpoints import Answer
from ingest.metrics import ANSWERS
from ingest.rejections import Rejection, claimed_client_id
from ingest.tokens import Identity
from schemas.messages import ClientRegistration, Heartbeat, SecurityEvent, SessionReport
from schemas.privacy import PrivacyMode

log = logging.getLogger(__name__)

BASE_PATH = "/api/v1"

Scope = MutableMapping[str, Any]
Receive = extract.Receive
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class RouteRow:
    """One route. ``scope`` is empty where no API key is asked for, ``message`` None where there is no body."""

    name: str
    method: str
    path: str
    scope: str
    message: Any
    handler: Callable[..., Any]


ROUTES: tuple[RouteRow, ...] = (
    RouteRow("heartbeat", "POST", "/clients/heartbeat", "heartbeat", Heartbeat, endpoints.heartbeat),
    RouteRow("events", "POST", "/clients/events", "events", SecurityEvent, endpoints.event),
    RouteRow("sessions", "POST", "/clients/sessions", "sessions", SessionReport, endpoints.session),
    RouteRow("register", "POST", "/clients/register", "", ClientRegistration, endpoints.register),
    RouteRow("config", "GET", "/clients/config", "config", None, endpoints.config),
    RouteRow("policies", "GET", "/clients/policies", "policies", None, endpoints.policies),
)


class RouteTable:
    """The table as an ASGI application in front of ``rest``, which gets every other path.

    A dictionary in place of a router and its middleware: those cost more than decoding a heartbeat does.
    """

    def __init__(self, edge: Edge, rest: ASGIApp) -> None:
        self._endpoints = {BASE_PATH + row.path: _Endpoint(edge, row) for row in ROUTES}
        self._rest = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = self._endpoints.get(scope["path"]) if scope["type"] == "http" else None
        await (endpoint or self._rest)(scope, receive, send)


class _Endpoint:
    """One row of the table at work: extraction, handler, answer. Counts every refusal."""

    def __init__(self, edge: Edge, row: RouteRow) -> None:
        self._edge = edge
        self._row = row
        self._now_ms = edge.clock
        self._counters: dict[int, Counter] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        identity_of: list[Identity] = []
        try:
            answer = await self._answer(scope, receive, identity_of)
        except errors.Problem as problem:
            self._reject(scope, problem, identity_of)
            await send_problem(send, problem)
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets an answer
            # Never the error's text: it may hold a value of the request.
            log.error("%s failed: %s", self._row.name, type(error).__name__)
            self._count(500)
            await send_problem(send, errors.Problem())
            return
        self._count(answer.status)
        notice = self._edge.limits.notice(identity_of[0].client_id, self._now_ms()) if identity_of else {}
        await _send(send, answer.status, answer.body, b"application/json", {**answer.headers, **notice})

    async def _answer(self, scope: Scope, receive: Receive, identity_of: list[Identity]) -> Answer:
        row = self._row
        if scope["method"] != row.method:
            raise errors.MethodNotAllowed(f"this resource takes {row.method}")
        headers = extract.header_map(scope["headers"])
        if row.scope:
            identity_of.append(extract.authenticate(headers, self._edge.keys, row.scope, self._now_ms()))
            self._edge.limits.before_body(row.message, identity_of[0].client_id, self._now_ms())
        elif row.message is ClientRegistration:
            self._edge.limits.registration(scope["state"]["address"], self._now_ms())
        if row.message is None:
            return self._get(scope, headers, identity_of[0])
        body = await extract.read_body(headers, receive, self._edge.settings.max_body_bytes)
        now_ms = self._now_ms()  # after the body: a heartbeat's time must not be older than a tick before it
        if row.message is ClientRegistration:
            registration = extract.verify_registration(body, headers, now_ms)
            return await endpoints.register(self._edge, registration)
        request = extract.verify_message(body, row.message, headers, identity_of[0], now_ms)
        self._edge.limits.after_body(request.message, now_ms)
        answer: Answer = await row.handler(self._edge, request)
        return answer

    def _get(self, scope: Scope, headers: dict[bytes, bytes], identity: Identity) -> Answer:
        query = scope["query_string"]
        target = scope["raw_path"] + (b"?" + query if query else b"")
        strict = self._edge.settings.privacy_mode is PrivacyMode.STRICT
        extract.verify_get(target.decode("latin-1"), headers, identity, self._now_ms(), strict=strict)
        answer: Answer = self._row.handler(self._edge, headers.get(b"if-none-match"))
        return answer

    def _count(self, status: int) -> None:
        counter = self._counters.get(status)
        if counter is None:
            counter = self._counters[status] = ANSWERS.labels(self._row.name, status)
        counter.inc()

    def _reject(self, scope: Scope, problem: errors.Problem, identity_of: list[Identity]) -> None:
        self._count(problem.status)
        if problem.retryable:
            return
        claimed = next((value for name, value in scope["headers"] if name == b"x-client-id"), None)
        client_id = identity_of[0].client_id if identity_of else claimed_client_id(claimed)
        rejection = Rejection(client_id, bool(identity_of), self._row.name, problem.slug, problem.status)
        self._edge.rejections.count(rejection)


async def send_problem(send: Send, problem: errors.Problem) -> None:
    """Answer with a problem document."""
    await _send(send, problem.status, problem.body(), errors.MEDIA_TYPE, problem.answer_headers)


async def _send(send: Send, status: int, body: bytes, media_type: bytes, extra: Any) -> None:
    headers = [*extra.items()]
    if status != 304:
        headers += [(b"content-type", media_type), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
