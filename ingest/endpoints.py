"""The handlers: each takes a verified request and returns an answer. What they may assume is in ``extract``."""

from __future__ import annotations

import msgspec

from ingest.answer import Answer
from ingest.documents import POLICY_VERSION, Document
from ingest.edge import Edge
from ingest.extract import SignedRequest
from ingest.records import event_record, heartbeat_record, session_record
from schemas import codec
from schemas.messages import Heartbeat, SecurityEvent, SessionReport
from schemas.topics import EVENTS, HEARTBEATS, SESSIONS, Topic

_ACCEPTED = b'{"status":"accepted"}'
_HEARTBEAT_ACCEPTED = msgspec.json.encode({"status": "accepted", "policy_version": POLICY_VERSION})
_POLICY_HEADERS = {b"x-policy-version": str(POLICY_VERSION).encode()}
_encode_heartbeat = codec.encoder("heartbeat")
_encode_session = codec.encoder("session")
_encode_event = codec.encoder("event")


async def heartbeat(edge: Edge, request: SignedRequest[Heartbeat]) -> Answer:
    """202 once Kafka has the heartbeat; names the current policy version."""
    record = heartbeat_record(request, edge.name, edge.settings.heartbeat_interval_s * 1000)
    await _store(edge, HEARTBEATS, record["client_id"], _encode_heartbeat(record))
    return Answer(202, _HEARTBEAT_ACCEPTED, _POLICY_HEADERS)


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


def config(edge: Edge, if_none_match: bytes | None) -> Answer:
    """200 with the client's configuration, or 304."""
    return _document(edge.documents.signed_config, if_none_match)


def policies(edge: Edge, if_none_match: bytes | None) -> Answer:
    """200 with the policies in force, or 304."""
    return _document(edge.documents.signed_policies, if_none_match)


def _document(document: Document, if_none_match: bytes | None) -> Answer:
    headers = {b"etag": document.etag, b"cache-control": b"no-cache", **_POLICY_HEADERS}
    known = [tag.strip() for tag in (if_none_match or b"").split(b",")]
    if document.etag in known or b"*" in known:
        return Answer(304, b"", headers)
    return Answer(200, document.body, headers)
