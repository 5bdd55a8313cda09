"""The handlers: each takes a verified request and returns an answer. What they may assume is in ``extract``."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from ingest.documents import POLICY_VERSION, Document
from ingest.edge import Edge
from ingest.errors import IdentityConflict, RegistrationReplayed
from ingest.extract import SignedRequest
from ingest.producer import partition_for
from ingest.records import event_record, heartbeat_record, registration_record, session_record
from schemas import codec
from schemas.messages import ClientRegistration, Heartbeat, RegistrationAnswer, SecurityEvent, SessionReport
from schemas.topics import EVENTS, HEARTBEATS, SESSIONS, Topic

_ACCEPTED = b'{"status":"accepted"}'
_HEARTBEAT_ACCEPTED = msgspec.json.encode({"status": "accepted", "policy_version": POLICY_VERSION})
_POLICY_HEADERS = {b"x-policy-version": str(POLICY_VERSION).encode()}
_encode_session = codec.encoder("session")
_encode_event = codec.encoder("event")


@dataclass(frozen=True, slots=True)
class Answer:
    """A success."""

    status: int
    body: bytes
    headers: Mapping[bytes, bytes] = field(default_factory=dict)


_HEARTBEAT_STORED = Answer(202, _HEARTBEAT_ACCEPTED, _POLICY_HEADERS)


async def register(edge: Edge, request: SignedRequest[ClientRegistration]) -> Answer:
    """201 with an API key and the configuration, once the registry has accepted the client."""
    record = registration_record(request, edge.name, edge.guard, str(uuid.uuid4()))
    verdict = await edge.registry.decide(record)
    if verdict["outcome"] == "conflict":
        raise IdentityConflict("another key is registered for this client id", "client_id")
    if verdict["outcome"] == "replayed":
        raise RegistrationReplayed("this registration, or a newer one, was decided before", "timestamp")
    return _registered(edge, request, verdict["key_epoch"])


def _registered(edge: Edge, request: SignedRequest[ClientRegistration], key_epoch: int) -> Answer:
    identity = request.identity
    expires_s = request.received_ms // 1000 + edge.settings.token_lifetime_s
    api_key = edge.keys.issue(identity.client_id, identity.public_key, key_epoch, expires_s)
    answer = RegistrationAnswer(
        client_id=identity.client_id,
        api_key=api_key,
        expires_at=expires_s * 1000,
        config=edge.documents.config,
    )
    return Answer(201, msgspec.json.encode(answer), {b"cache-control": b"no-store"})


async def heartbeat(edge: Edge, request: SignedRequest[Heartbeat]) -> Answer:
    """202 once Kafka has the heartbeat; names the current policy version."""
    value = heartbeat_record(request, edge.name, edge.settings.heartbeat_interval_s * 1000)
    key = request.message.client_id.encode()
    await edge.producer.enqueue(HEARTBEATS, partition_for(key, HEARTBEATS.partitions), key, value)
    return _HEARTBEAT_STORED


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
