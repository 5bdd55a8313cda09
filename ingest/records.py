"""From a verified message to the record that Kafka keeps. Pure; what is sensitive goes through the privacy guard."""

from __future__ import annotations

import uuid
from typing import Any, TypeVar

from msgspec import UnsetType
from msgspec.structs import replace

from ingest.extract import SignedRequest
from ingest.privacy import PrivacyGuard
from schemas.heartbeat_value import Terms, heartbeat_value
from schemas.messages import (
    CertificateRequest,
    ClientRegistration,
    Heartbeat,
    KeyRotation,
    SecurityEvent,
    SessionReport,
)
from schemas.sealing import Place

Record = dict[str, Any]
T = TypeVar("T")


def heartbeat_record(request: SignedRequest[Heartbeat], edge: str, terms: Terms, guard: PrivacyGuard) -> bytes:
    """The value of a ``heartbeat`` record. Raises PlaintextRefused."""
    message = request.message
    if isinstance(message.metrics.sealed, str):
        message = _with_sealed_extras(message, message.metrics.sealed, guard)
    return heartbeat_value(
        message,
        terms=terms,
        key_id=request.identity.key_id,
        signature=request.signature,
        received_ms=request.received_ms,
        edge=edge,
    )


def _with_sealed_extras(message: Heartbeat, extras: str, guard: PrivacyGuard) -> Heartbeat:
    place = Place(message.client_id, "heartbeat.sealed", str(message.timestamp))
    envelope = guard.text(extras, place, "metrics.sealed")
    return replace(message, metrics=replace(message.metrics, sealed=envelope))


def session_record(request: SignedRequest[SessionReport], edge: str, guard: PrivacyGuard) -> Record:
    """A ``session`` record. Raises PlaintextRefused."""
    message, metadata = request.message, request.message.metadata
    internal_ip = _optional(metadata.internal_ip)
    place = Place(message.client_id, "session.internal_ip", message.session_id)
    network, pseudonym = guard.address(metadata.client_ip, "metadata.client_ip", request.received_ms)
    return {
        "client_id": message.client_id,
        "session_id": message.session_id,
        "session_type": message.session_type.value,
        "start_time": message.start_time,
        "end_time": _optional(message.end_time),
        "status": message.status.value,
        "node_id": metadata.node_id,
        "client_ip": network,
        "client_ip_pseudonym": pseudonym,
        "internal_ip": None if internal_ip is None else guard.text(internal_ip, place, "metadata.internal_ip"),
        "user_agent": metadata.user_agent,
        "protocol_version": metadata.protocol_version,
        **_proof(request, edge, guard, Place(message.client_id, "session.signed_bytes", message.session_id)),
    }


def event_record(request: SignedRequest[SecurityEvent], edge: str, guard: PrivacyGuard) -> Record:
    """An ``event`` record. Raises PlaintextRefused."""
    message, details = request.message, request.message.details
    place = Place(message.client_id, "event.description", message.event_id)
    description = guard.text(details.description, place, "details.description")
    received_ms = request.received_ms
    source_ip, source_pseudonym = guard.address(_optional(details.source_ip), "details.source_ip", received_ms)
    target_ip, target_pseudonym = guard.address(_optional(details.target_ip), "details.target_ip", received_ms)
    return {
        "client_id": message.client_id,
        "event_id": message.event_id,
        "event_type": message.event_type.value,
        "severity": message.severity.value,
        "timestamp": message.timestamp,
        "description": description,
        "source_ip": source_ip,
        "source_ip_pseudonym": source_pseudonym,
        "target_ip": target_ip,
        "target_ip_pseudonym": target_pseudonym,
        "user_agent": _optional(details.user_agent),
        "error_code": _optional(details.error_code),
        **_proof(request, edge, guard, Place(message.client_id, "event.signed_bytes", message.event_id)),
        "origin": "client",
    }


def registration_record(
    request: SignedRequest[ClientRegistration], edge: str, guard: PrivacyGuard, enrolment: str, labels: list[str]
) -> Record:
    """A ``registration`` record. Raises PlaintextRefused."""
    message, info = request.message, request.message.device_info
    message_id = str(message.timestamp)
    device_info = {
        "os_type": info.os_type,
        "os_version": info.os_version,
        "device_id": info.device_id,
        "hardware_hash": info.hardware_hash,
    }
    return {
        "request_id": _request_id(),
        "client_id": message.client_id,
        "public_key": request.identity.public_key,
        "capabilities": message.capabilities,
        "version": message.version,
        "node_id": _optional(message.node_id),
        "device_info": guard.group(
            device_info, Place(message.client_id, "registration.device_info", message_id), "device_info"
        ),
        "timestamp": message.timestamp,
        **_proof(request, edge, guard, Place(message.client_id, "registration.signed_bytes", message_id)),
        "enrolment": enrolment,
        "labels": labels,
        "csr": _optional(message.csr),
    }


def key_rotation_record(
    request: SignedRequest[KeyRotation], edge: str, guard: PrivacyGuard, public_key: bytes, overlap_ms: int
) -> Record:
    """A ``key_rotation`` record; ``public_key`` is the new one."""
    message = request.message
    return {
        "request_id": _request_id(),
        "client_id": message.client_id,
        "public_key": public_key,
        "timestamp": message.timestamp,
        "overlap_ms": overlap_ms,
        **_proof(request, edge, guard, Place(message.client_id, "key_rotation.signed_bytes", str(message.timestamp))),
    }


def certificate_request_record(request: SignedRequest[CertificateRequest], edge: str, guard: PrivacyGuard) -> Record:
    """A ``certificate_request`` record."""
    message = request.message
    place = Place(message.client_id, "certificate_request.signed_bytes", str(message.timestamp))
    return {
        "request_id": _request_id(),
        "client_id": message.client_id,
        "csr": message.csr,
        "timestamp": message.timestamp,
        **_proof(request, edge, guard, place),
    }


def enrolment_claim_record(
    request: SignedRequest[ClientRegistration], edge: str, token_id: str, secret_hash: bytes
) -> Record:
    """An ``enrolment_claim`` record."""
    return {
        "request_id": _request_id(),
        "token_id": token_id,
        "secret_hash": secret_hash,
        "client_id": request.message.client_id,
        "key_id": request.identity.key_id,
        "timestamp": request.message.timestamp,
        "received_at": request.received_ms,
        "edge": edge,
    }


def _request_id() -> str:
    return str(uuid.uuid4())


def _proof(request: SignedRequest[Any], edge: str, guard: PrivacyGuard, place: Place) -> Record:
    signed, sealed = guard.signed_bytes(request.signed_bytes, place)
    return {
        "key_id": request.identity.key_id,
        "signature": request.signature,
        "signed_bytes": signed,
        "signed_bytes_sealed": sealed,
        "received_at": request.received_ms,
        "edge": edge,
    }


def _optional(value: T | UnsetType | None) -> T | None:
    return None if isinstance(value, UnsetType) else value
