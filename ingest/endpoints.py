"""The handlers: each takes a verified request and returns an answer. What they may assume is in ``extract``."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from ingest.documents import Document
from ingest.edge import Edge
from ingest.errors import IdentityConflict, RegistrationReplayed
from ingest.extract import SignedRequest
from ingest.groups import Groups
from ingest.records import event_record, heartbeat_record, registration_record, session_record
from ingest.standing import Standing
from ingest.tokens import Identity
from schemas import codec
from schemas.messages import ClientRegistration, Heartbeat, RegistrationAnswer, SecurityEvent, SessionReport
from schemas.topics import EVENTS, HEARTBEATS, SESSIONS, Topic

_ACCEPTED = b'{"status":"accepted"}'
_encode_heartbeat = codec.encoder("heartbeat")
_encode_session = codec.encoder("session")
_encode_event = codec.encoder("event")


@dataclass(frozen=True, slots=True)
class Answer:
    """A success."""

    status: int
    body: bytes
    headers: Mapping[bytes, bytes] = field(default_factory=dict)


async def register(edge: Edge, request: SignedRequest[ClientRegistration]) -> Answer:
    """201 with an API key and the configuration, once the registry has accepted the client."""
    record = registration_record(request, edge.name, edge.guard, str(uuid.uuid4()))
    verdict = await edge.registry.decide(record)
    if verdict["outcome"] == "conflict":
        raise IdentityConflict("another key is registered for this client id", "client_id")
    if verdict["outcome"] == "replayed":
        raise RegistrationReplayed("this registration, or a newer one, was decided before", "timestamp")
    message, labels = request.message, json.loads(verdict["details"]).get("labels", ())
    groups = Groups(frozenset(message.capabilities), record["node_id"], frozenset(labels))
    return _registered(edge, request, verdict["key_epoch"], groups)


def _registered(edge: Edge, request: SignedRequest[ClientRegistration], key_epoch: int, groups: Groups) -> Answer:
    identity = request.identity
    expires_s = request.received_ms // 1000 + edge.settings.token_lifetime_s
    api_key = edge.keys.issue(identity.client_id, identity.public_key, key_epoch, expires_s)
    answer = RegistrationAnswer(
        client_id=identity.client_id,
        api_key=api_key,
        expires_at=expires_s * 1000,
        config=edge.standings.of(groups).config,
    )
    return Answer(201, msgspec.json.encode(answer), {b"cache-control": b"no-store"})


async def heartbeat(edge: Edge, request: SignedRequest[Heartbeat]) -> Answer:
    """202 once Kafka has the heartbeat; names the current policy version."""
    standing = edge.standings.of(request.identity.groups)
    record = heartbeat_record(request, edge.name, standing.interval_ms)
    await _store(edge, HEARTBEATS, record["client_id"], _encode_heartbeat(record))
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
