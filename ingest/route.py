"""One route of the edge: what its row says, and the ASGI application that does it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from prometheus_client import Counter

from ingest import batch, endpoints, enrolment, errors, extract
from ingest.answer import Answer
from ingest.asgi_answer import Parts, Receive, Scope, Send, answer_parts, problem_parts, send_parts
from ingest.authentication import address_of, peer_of
from ingest.edge import Edge
from ingest.endpoints import Deposit
from ingest.enrolment import Presented
from ingest.extract import SignedRequest
from ingest.metrics import ANSWERS, LATENCY
from ingest.rejections import Rejection, claimed_client_id
from ingest.response_cycle import Reply
from ingest.stopwatch import Stopwatch
from ingest.tokens import Identity
from schemas.messages import ClientRegistration
from schemas.privacy import PrivacyMode

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RouteRow:
    """One route.

    Attributes:
        scope: what the API key must allow; empty where none is asked for, ``ANY_SCOPE`` where any will do.
        message: the body's type; None where it is not one signed message.
        answers: statuses of success, each with the type of its body.
        body_limit: bytes; 0 for the setting that holds for single messages.
        stores: the handler is a plain function that gives a ``Deposit``, which is stored before its answer is given.
    """

    name: str
    method: str
    path: str
    scope: str
    message: Any
    handler: Callable[..., Any]
    answers: Mapping[int, Any]
    body_limit: int = 0
    stores: bool = False


class Endpoint:
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
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets an answer
            await send_parts(send, *self._refused(error, started, scope, identity_of))
        else:
            await send_parts(send, *self._accepted(answer, started, identity_of))

    def take(self, scope: Scope, body: bytes, reply: Reply) -> None:
        """Do the same for a whole request on a row that stores; see ``WholeRequestHandler``."""
        started = self._stopwatch.start()
        identity_of: list[Identity] = []
        limit = self._row.body_limit or self._edge.settings.max_body_bytes
        try:
            headers = self._admit(scope, identity_of)
            extract.check_content(headers, limit)
            deposit = self._deposit(headers, extract.bounded(body, limit), identity_of[0])
            settled = partial(self._settled, deposit.answer, started, scope, identity_of, reply)
            self._edge.producer.put(deposit.topic, deposit.key, deposit.value, settled)
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets an answer
            reply(*self._refused(error, started, scope, identity_of))

    def _settled(
        self,
        answer: Answer,
        started: float,
        scope: Scope,
        identity_of: list[Identity],
        reply: Reply,
        error: errors.BrokerUnavailable | None,
    ) -> None:
        if error is None:
            reply(*self._accepted(answer, started, identity_of))
        else:
            reply(*self._refused(error, started, scope, identity_of))

    async def _answer(self, scope: Scope, receive: Receive, identity_of: list[Identity]) -> Answer:
        row = self._row
        headers = self._admit(scope, identity_of)
        if row.method == "GET":
            return self._get(scope, headers, identity_of[0])
        limit = row.body_limit or self._edge.settings.max_body_bytes
        if row.message is None:
            body = await extract.read_body(headers, receive, limit, batch.MEDIA_TYPE)
            return await batch.replay(self._edge, identity_of[0], body)
        body = await extract.read_body(headers, receive, limit)
        if row.message is ClientRegistration:
            registration = extract.verify_registration(body, headers, self._now_ms())
            presented = Presented(headers.get(b"x-enrolment-token"), peer_of(scope))
            return await enrolment.register(self._edge, registration, presented)
        if row.stores:
            return await endpoints.store(self._edge, self._deposit(headers, body, identity_of[0]))
        answer: Answer = await row.handler(self._edge, self._verified(headers, body, identity_of[0]))
        return answer

    def _admit(self, scope: Scope, identity_of: list[Identity]) -> dict[bytes, bytes]:
        """Check all that can be checked before the body; give the headers."""
        row = self._row
        if scope["method"] != row.method:
            raise errors.MethodNotAllowed(row.method)
        headers = extract.header_map(scope["headers"])
        if row.scope:
            now_ms = self._now_ms()
            identity = self._edge.authenticator.authenticate(headers, row.scope, now_ms, scope)
            identity_of.append(identity)
            self._edge.limits.before_body(row.message, identity.client_id, now_ms)
        elif row.message is ClientRegistration:
            self._edge.limits.registration(address_of(scope), self._now_ms())
        return headers

    def _verified(self, headers: dict[bytes, bytes], body: bytes, identity: Identity) -> SignedRequest[Any]:
        now_ms = self._now_ms()  # after the body: a heartbeat's time must not be older than a tick before it
        request = extract.verify_message(body, self._row.message, headers, identity, now_ms)
        self._edge.limits.after_body(request.message, now_ms)
        return request

    def _deposit(self, headers: dict[bytes, bytes], body: bytes, identity: Identity) -> Deposit:
        deposit: Deposit = self._row.handler(self._edge, self._verified(headers, body, identity))
        return deposit

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

    def _accepted(self, answer: Answer, started: float, identity_of: list[Identity]) -> Parts:
        self._stopwatch.stop(started)
        self._count(answer.status)
        notice = self._edge.limits.notice(identity_of[0].client_id, self._now_ms()) if identity_of else {}
        return answer_parts(answer, notice)

    def _refused(self, error: Exception, started: float, scope: Scope, identity_of: list[Identity]) -> Parts:
        if isinstance(error, errors.Problem):
            self._stopwatch.stop(started)
            self._count(error.status)
            self._reject(scope, error, identity_of)
            return problem_parts(error)
        # Never the error's text: it may hold a value of the request.
        log.error("%s failed: %s", self._row.name, type(error).__name__)
        self._count(500)
        return problem_parts(errors.Problem())

    def _reject(self, scope: Scope, problem: errors.Problem, identity_of: list[Identity]) -> None:
        if problem.retryable:
            return
        claimed = next((value for name, value in scope["headers"] if name == b"x-client-id"), None)
        client_id = identity_of[0].client_id if identity_of else problem.client_id or claimed_client_id(claimed)
        rejection = Rejection(client_id, bool(identity_of), self._row.name, problem.slug, problem.status)
        self._edge.rejections.count(rejection)
        self._edge.signals.observe(rejection)
