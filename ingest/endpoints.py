"""The handlers: each takes a verified request and returns an answer, or what is to be stored before it may be given.

What they may assume is in ``extract``.
"""

from __future__ import annotations

from typing import NamedTuple

from ingest.answer import Answer
from ingest.documents import Document
from ingest.edge import Edge
from ingest.extract import SignedRequest
from ingest.records import event_record, heartbeat_record, session_record
from ingest.standing import Standing
from ingest.tokens import Identity
from schemas import codec
from schemas.messages import Heartbeat, SecurityEvent, SessionReport
from schemas.topics import EVENTS, HEARTBEATS, SESSIONS, Topic

_ACCEPTED = Answer(202, b'{"status":"accepted"}')
_encode_session = codec.encoder("session")
_encode_event = codec.encoder("event")


class Deposit(NamedTuple):
    """A record for Kafka, and the answer once it is there."""

    topic: Topic
    key: bytes
    value: bytes
    answer: Answer


def heartbeat(edge: Edge, request: SignedRequest[Heartbeat]) -> Deposit:
    """202; names the current policy version."""
    standing = edge.standings.of(request.identity.groups)
    value = heartbeat_record(request, edge.name, standing.terms, edge.guard)
    answer = standing.heartbeat_answer(request.identity.key_since_ms, request.received_ms)
    return Deposit(HEARTBEATS, request.message.client_id.encode(), value, answer)


def session(edge: Edge, request: SignedRequest[SessionReport]) -> Deposit:
    """202."""
    value = _encode_session(session_record(request, edge.name, edge.guard))
    return Deposit(SESSIONS, request.message.client_id.encode(), value, _ACCEPTED)


def event(edge: Edge, request: SignedRequest[SecurityEvent]) -> Deposit:
    """202."""
    value = _encode_event(event_record(request, edge.name, edge.guard))
    return Deposit(EVENTS, request.message.client_id.encode(), value, _ACCEPTED)


async def store(edge: Edge, deposit: Deposit) -> Answer:
    """The deposit's answer, once Kafka has its record. Raises BrokerUnavailable."""
    await edge.producer.send(deposit.topic, deposit.key, deposit.value)
    return deposit.answer


def config(edge: Edge, identity: Identity, if_none_match: bytes | None) -> Answer:
    """200 with the client's configuration, or 304."""
    standing = edge.standings.of(identity.groups)
    return _document(standing, standing.signed_config, if_none_match)


def policies(edge: Edge, identity: Identity, if_none_match: bytes | None) -> Answer:
    """200 with the policies that hold for the client, or 304."""
    standing = edge.standings.of(identity.groups)
    return _document(standing, standing.signed_policies, if_none_match)


def _document(standing: Standing, document: Document, if_none_match: bytes | None) -> Answer:
    headers = {b"etag": document.etag, b"cache-control": b"no-cache", **standing.headers}
    if document.is_known(if_none_match):
        return Answer(304, b"", headers)
    return Answer(200, document.body, headers)
