"""All routes of the edge in one table: path, method, scope, message, handler. Each route is a plain ASGI application."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from prometheus_client import Counter
from starlette.types import ASGIApp

from ingest import batch, credentials, endpoints, enrolment, errors, extract
from ingest.answer import Answer
from ingest.authentication import ANY_SCOPE, address_of, peer_of
from ingest.batch import BatchAnswer
from ingest.edge import Edge
from ingest.enrolment import Presented
from ingest.metrics import ANSWERS, LATENCY
from ingest.rejections import Rejection, claimed_client_id
from ingest.stopwatch import Stopwatch
from ingest.tokens import Identity
from schemas.messages import (
    Accepted,
    CertificateAnswer,
    CertificateRequest,
    ClientRegistration,
    Heartbeat,
    HeartbeatAccepted,
    KeyAnswer,
    KeyRotation,
    PolicySet,
    RegistrationAnswer,
    RegistrationPending,
    SecurityEvent,
    SessionReport,
    SignedConfig,
)
from schemas.privacy import PrivacyMode

log = logging.getLogger(__name__)

BASE_PATH = "/api/v1"

Scope = MutableMapping[str, Any]
Receive = extract.Receive
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class RouteRow:
    """One route.

    Attributes:
        scope: what the API key must allow; empty where none is asked for, ``ANY_SCOPE`` where any will do.
        message: the body's type; None where it is not one signed message.
        answers: statuses of success, each with the type of its body.
        body_limit: bytes; 0 for the setting that holds for single messages.
    """

    name: str
    method: str
    path: str
    scope: str
    message: Any
    handler: Callable[..., Any]
    answers: Mapping[int, Any]
    body_limit: int = 0


_MIB = 1024 * 1024

ROUTES: tuple[RouteRow, ...] = (
    RouteRow(
        "heartbeat", "POST", "/clients/heartbeat", "heartbeat", Heartbeat, endpoints.heartbeat, {202: HeartbeatAccepted}
    ),
    RouteRow("events", "POST", "/clients/events", "events", SecurityEvent, endpoints.event, {202: Accepted}),
    RouteRow("sessions", "POST", "/clients/sessions", "sessions", SessionReport, endpoints.session, {202: Accepted}),
    RouteRow("batch", "POST", "/clients/batch", ANY_SCOPE, None, batch.replay, {200: BatchAnswer}, 2 * _MIB),
    RouteRow(
        "register",
        "POST",
        "/clients/register",
        "",
        ClientRegistration,
        enrolment.register,
        {201: RegistrationAnswer, 202: RegistrationPending},
    ),
    RouteRow("keys", "POST", "/clients/keys", "keys", KeyRotation, credentials.rotate_key, {200: KeyAnswer}),
    RouteRow(
        "certificates",
        "POST",
        "/clients/certificates",
        "certificates",
        CertificateRequest,
        credentials.certify,
        {200: CertificateAnswer},
    ),
    RouteRow("config", "GET", "/clients/config", "config", None, endpoints.config, {200: SignedConfig, 304: None}),
    RouteRow("policies", "GET", "/clients/policies", "policies", None, endpoints.policies, {200: PolicySet, 304: None}),
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
        self._stopwatch = Stopwatch(LATENCY.labels(row.name))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = self._stopwatch.start()
        identity_of: list[Identity] = []
        try:
            answer = await self._answer(scope, receive, identity_of)
        except errors.Problem as problem:
            self._stopwatch.stop(started)
            self._reject(scope, problem, identity_of)
            await send_problem(send, problem)
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets an answer
            # Never the error's text: it may hold a value of the request.
            log.error("%s failed: %s", self._row.name, type(error).__name__)
            self._count(500)
            await send_problem(send, errors.Problem())
            return
        self._stopwatch.stop(started)
        self._count(answer.status)
        notice = self._edge.limits.notice(identity_of[0].client_id, self._now_ms()) if identity_of else {}
        await _send(send, answer.status, answer.body, b"application/json", {**answer.headers, **notice})

    async def _answer(self, scope: Scope, receive: Receive, identity_of: list[Identity]) -> Answer:
        row = self._row
        if scope["method"] != row.method:
            raise errors.MethodNotAllowed(row.method)
        headers = extract.header_map(scope["headers"])
        if row.scope:
            identity_of.append(self._edge.authenticator.authenticate(headers, row.scope, self._now_ms(), scope))
            self._edge.limits.before_body(row.message, identity_of[0].client_id, self._now_ms())
        elif row.message is ClientRegistration:
            self._edge.limits.registration(address_of(scope), self._now_ms())
        if row.method == "GET":
            return self._get(scope, headers, identity_of[0])
        limit = row.body_limit or self._edge.settings.max_body_bytes
        if row.message is None:
            body = await extract.read_body(headers, receive, limit, batch.MEDIA_TYPE)
            return await batch.replay(self._edge, identity_of[0], body)
        body = await extract.read_body(headers, receive, limit)
        now_ms = self._now_ms()  # after the body: a heartbeat's time must not be older than a tick before it
        if row.message is ClientRegistration:
            registration = extract.verify_registration(body, headers, now_ms)
            presented = Presented(headers.get(b"x-enrolment-token"), peer_of(scope))
            return await enrolment.register(self._edge, registration, presented)
        request = extract.verify_message(body, row.message, headers, identity_of[0], now_ms)
        self._edge.limits.after_body(request.message, now_ms)
        answer: Answer = await row.handler(self._edge, request)
        return answer

    def _get(self, scope: Scope, headers: dict[bytes, bytes], identity: Identity) -> Answer:
        query = scope["query_string"]
        target = scope["raw_path"] + (b"?" + query if query else b"")
        strict = self._edge.settings.privacy_mode is PrivacyMode.STRICT
        extract.verify_get(target.decode("latin-1"), headers, identity, self._now_ms(), strict=strict)
        answer: Answer = self._row.handler(self._edge, identity, headers.get(b"if-none-match"))
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
        client_id = identity_of[0].client_id if identity_of else problem.client_id or claimed_client_id(claimed)
        rejection = Rejection(client_id, bool(identity_of), self._row.name, problem.slug, problem.status)
        self._edge.rejections.count(rejection)
        self._edge.signals.observe(rejection)


async def send_problem(send: Send, problem: errors.Problem) -> None:
    """Answer with a problem document."""
    await _send(send, problem.status, problem.body(), errors.MEDIA_TYPE, problem.answer_headers)


async def _send(send: Send, status: int, body: bytes, media_type: bytes, extra: Mapping[bytes, bytes]) -> None:
    await send(_start(status, len(body), media_type, tuple(extra.items())))
    await send({"type": "http.response.body", "body": body})


@lru_cache(maxsize=256)
def _start(status: int, length: int, media_type: bytes, extra: tuple[tuple[bytes, bytes], ...]) -> dict[str, Any]:
    """Kept, since most answers are alike: building one costs 1 µs."""
    headers = extra
    if status != 304:
        headers += ((b"content-type", media_type), (b"content-length", b"%d" % length))
    return {"type": "http.response.start", "status": status, "headers": headers}
