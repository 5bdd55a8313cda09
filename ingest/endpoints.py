"""The handlers: each takes a verified request and returns an answer. What they may assume is in ``extract``."""

from __future__ import annotations

from ingest.answer import Answer
from ingest.documents import Document
from ingest.edge import Edge
from ingest.extract import SignedRequest
from ingest.producer import partition_for
from ingest.records import event_record, heartbeat_record, session_record
from ingest.standing import Standing
from ingest.tokens import Identity
from schemas import codec
from schemas.messages import Heartbeat, SecurityEvent, SessionReport
from schemas.topics import EVENTS, HEARTBEATS, SESSIONS, Topic

_ACCEPTED = b'{"status":"accepted"}'
_encode_session = codec.encoder("session")
_encode_event = codec.encoder("event")


async def heartbeat(edge: Edge, request: SignedRequest[Heartbeat]) -> Answer:
    """202 once Kafka has the heartbeat; names the current policy version."""
    standing = edge.standings.of(request.identity.groups)
    value = heartbeat_record(request, edge.name, standing.interval_ms, edge.guard)
    key = request.message.client_id.encode()
    await edge.producer.enqueue(HEARTBEATS, partition_for(key, HEARTBEATS.partitions), key, value)
    headers = standing.heartbeat_headers(request.identity.key_since_ms, request.received_ms)
    return Answer(202, standing.heartbeat_body, headers)


async def session(edge: Edge, request: SignedRequest[SessionReport]) -> Answer:
    """202 once Kafka has the report."""
    record = session_record(request, edge.name, edge.guard)
    await _store(edge, SESSIONS, record["client_id"], _encode_session(record))
    return Answer(202, _ACCEPTED)


async def event(edge: Edge, request: SignedRequest[SecurityEvent]) -> Answer:
    """202 once Kafka has the event."""
    record = event_record(request, edge.name, edge.guard)
    await _store(edge, EVENTS, record["client_id"], _encode_event(record))
    return Answer(202, _ACCEPTED)


async def _store(edge: Edge, topic: Topic, client_id: str, value: bytes) -> None:
    await edge.producer.send(topic, client_id.encode(), value)


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
