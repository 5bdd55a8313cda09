"""Spool replay: many signed messages in one request, each checked and answered by itself (``POST /clients/batch``).

The body is NDJSON. A line is ``{"type": "heartbeat" | "sessions" | "events", "message": {...}}``; the message is signed as
if it were sent alone, as the exact bytes that stand in its line. One that is refused spoils no other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, Literal

import msgspec

from ingest import endpoints, errors, extract
from ingest.answer import Answer
from ingest.edge import Edge
from ingest.rejections import Rejection
from ingest.tokens import Identity
from schemas.messages import MAX_BODY_BYTES, Heartbeat, Message, SecurityEvent, SessionReport

MEDIA_TYPE = b"application/x-ndjson"
MAX_LINES = 1_000
# So many signatures take about 2 ms; then other requests have their turn.
_AT_A_TIME = 32

KINDS: dict[str, tuple[type[Message], Any]] = {
    "heartbeat": (Heartbeat, endpoints.heartbeat),
    "sessions": (SessionReport, endpoints.session),
    "events": (SecurityEvent, endpoints.event),
}
"""By the type that a line names: the message's kind and its handler."""


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of a batch."""

    type: Literal["heartbeat", "sessions", "events"]
    message: msgspec.Raw


class LineVerdict(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What became of a line (counted from 0): the status that the message alone would have had, and its problem."""

    line: int
    status: int
    type: str = ""
    detail: str = ""
    member: str = ""
    retryable: bool = False


class BatchAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a batch: a verdict for each line, in order."""

    accepted: int
    results: list[LineVerdict]


_decode_line = msgspec.json.Decoder(Line).decode


async def replay(edge: Edge, identity: Identity, body: bytes) -> Answer:
    """200 with a verdict for each line; lines that are marked retryable are to be sent again.

    A message costs of the client's budget what it would cost alone, and urgent events have their reserve here too.

    Raises:
        UnfitMessage: no line, or too many.
        BrokerUnavailable: nothing could be stored.
    """
    lines = [line for line in body.split(b"\n") if line.strip()]
    if not lines or len(lines) > MAX_LINES:
        raise errors.UnfitMessage(f"a batch has 1 to {MAX_LINES} lines")
    waiting: list[Awaitable[LineVerdict]] = []
    for number, line in enumerate(lines):
        if number % _AT_A_TIME == _AT_A_TIME - 1:
            await asyncio.sleep(0)
        waiting.append(asyncio.ensure_future(_judged(edge, identity, number, line)))
    results = await asyncio.gather(*waiting)
    if all(result.status == errors.BrokerUnavailable.status for result in results):
        raise errors.BrokerUnavailable("the messages were not stored; send them again later")
    accepted = sum(result.status < 300 for result in results)
    later = {b"retry-after": b"5"} if any(result.retryable for result in results) else {}
    return Answer(200, msgspec.json.encode(BatchAnswer(accepted=accepted, results=results)), later)


async def _judged(edge: Edge, identity: Identity, number: int, line: bytes) -> LineVerdict:
    endpoint = "batch"
    try:
        endpoint, kind, handler, message = _read(line, identity)
        now_ms = edge.clock()
        edge.limits.before_body(kind, identity.client_id, now_ms)
        request = extract.verify_body(message, kind, {}, lambda _: identity, now_ms)
        edge.limits.after_body(request.message, now_ms)
        answer = await endpoints.store(edge, handler(edge, request))
    except errors.Problem as problem:
        if not problem.retryable:
            rejection = Rejection(identity.client_id, True, endpoint, problem.slug, problem.status)
            edge.rejections.count(rejection)
            edge.signals.observe(rejection)
        return LineVerdict(
            line=number,
            status=problem.status,
            type=errors.TYPE_PREFIX + problem.slug,
            detail=problem.detail,
            member=problem.member,
            retryable=problem.retryable,
        )
    return LineVerdict(line=number, status=answer.status)


def _read(line: bytes, identity: Identity) -> tuple[str, type[Any], Any, bytes]:
    """The endpoint that the line is for, its message's kind and handler, and the message's bytes."""
    if len(line) > MAX_BODY_BYTES:
        raise errors.BodyTooLarge(f"a message has at most {MAX_BODY_BYTES} bytes")
    try:
        read = _decode_line(line)
    except msgspec.ValidationError:
        raise errors.UnfitMessage('expected {"type": "heartbeat", "sessions" or "events", "message": {...}}') from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise errors.MalformedJson("the line is not well-formed JSON") from None
    if read.type not in identity.scopes:
        raise errors.ScopeRefused(f"the API key lacks the scope {read.type}")
    return (read.type, *KINDS[read.type], bytes(read.message))
