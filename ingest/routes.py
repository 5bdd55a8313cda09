"""All routes of the edge in one table: path, method, scope, message, handler. Each route is a plain ASGI application."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.types import ASGIApp

from ingest import batch, credentials, endpoints, enrolment
from ingest.asgi_answer import Receive, Scope, Send
from ingest.authentication import ANY_SCOPE
from ingest.batch import BatchAnswer
from ingest.edge import Edge
from ingest.response_cycle import WholeRequestHandler
from ingest.route import Endpoint, RouteRow
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

BASE_PATH = "/api/v1"

_MIB = 1024 * 1024

ROUTES: tuple[RouteRow, ...] = (
    RouteRow(
        "heartbeat",
        "POST",
        "/clients/heartbeat",
        "heartbeat",
        Heartbeat,
        endpoints.heartbeat,
        {202: HeartbeatAccepted},
        stores=True,
    ),
    RouteRow("events", "POST", "/clients/events", "events", SecurityEvent, endpoints.event, {202: Accepted}, stores=True),
    RouteRow(
        "sessions", "POST", "/clients/sessions", "sessions", SessionReport, endpoints.session, {202: Accepted}, stores=True
    ),
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
        self._endpoints = {BASE_PATH + row.path: Endpoint(edge, row) for row in ROUTES}
        self.whole_request_handlers: Mapping[bytes, WholeRequestHandler] = {
            (BASE_PATH + row.path).encode(): self._endpoints[BASE_PATH + row.path].take for row in ROUTES if row.stores
        }
        self._rest = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = self._endpoints.get(scope["path"]) if scope["type"] == "http" else None
        await (endpoint or self._rest)(scope, receive, send)
