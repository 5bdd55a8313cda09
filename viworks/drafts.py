"""What a client says, as messages without a signature, checked as the server will check them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from schemas.errors import ContractError, InvalidMessage
from schemas.messages import (
    MAX_BODY_BYTES,
    ClientRegistration,
    Heartbeat,
    Message,
    SecurityEvent,
    SessionReport,
    decode_message,
)
from viworks.errors import MessageInvalid

MAX_SENSITIVE_BYTES = 24_000
"""Sealed it is up to twice as long, and a member has at most 64 Ki characters; also when it must be sealed once more."""
_SIGNATURE_BYTES = 256

DraftKind = Literal["registration", "heartbeat", "sessions", "events"]
CONTRACTS: Mapping[DraftKind, type[Message]] = {
    "registration": ClientRegistration,
    "heartbeat": Heartbeat,
    "sessions": SessionReport,
    "events": SecurityEvent,
}
Draft = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Device:
    """What a registration says of the device; sealed for the SOC."""

    os_type: str
    os_version: str
    device_id: str
    hardware_hash: str


@dataclass(frozen=True, slots=True)
class Metrics:
    """A heartbeat's numbers: ``uptime`` in seconds, usages in per cent, ``network_activity`` a level."""

    uptime: float
    memory_usage: float
    cpu_usage: float
    network_activity: float


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """What all reports of one session have in common; ``start_time`` in milliseconds since the epoch."""

    session_id: str
    session_type: str
    start_time: int
    node_id: str
    client_ip: str
    internal_ip: str | None
    user_agent: str
    protocol_version: str


@dataclass(frozen=True, slots=True)
class Installation:
    """What all registrations of one client have in common."""

    client_id: str
    device: Device
    version: str
    capabilities: Sequence[str]
    node_id: str | None


def registration(installation: Installation, public_key_pem: str, now_ms: int, csr: str | None = None) -> Draft:
    """A registration; ``csr`` asks for a certificate."""
    device = installation.device
    return {
        "client_id": installation.client_id,
        "public_key": public_key_pem,
        "capabilities": list(installation.capabilities),
        "version": installation.version,
        **_given(node_id=installation.node_id, csr=csr),
        "device_info": {
            "os_type": device.os_type,
            "os_version": device.os_version,
            "device_id": device.device_id,
            "hardware_hash": device.hardware_hash,
            "encrypted": True,
        },
        "timestamp": now_ms,
    }


def heartbeat(client_id: str, metrics: Metrics, status: str, now_ms: int) -> Draft:
    """A heartbeat of now. Raises MessageInvalid."""
    draft = {
        "client_id": client_id,
        "timestamp": now_ms,
        "status": status,
        "metrics": {
            "uptime": metrics.uptime,
            "memory_usage": metrics.memory_usage,
            "cpu_usage": metrics.cpu_usage,
            "network_activity": metrics.network_activity,
            "encrypted": True,
        },
    }
    return _checked("heartbeat", draft)


def session(client_id: str, facts: SessionFacts, status: str, end_time: int | None) -> Draft:
    """A session's state. Raises MessageInvalid."""
    draft = {
        "client_id": client_id,
        "session_id": facts.session_id,
        "session_type": facts.session_type,
        "start_time": facts.start_time,
        **_given(end_time=end_time),
        "status": status,
        "metadata": {
            "node_id": facts.node_id,
            "client_ip": facts.client_ip,
            **_given(internal_ip=facts.internal_ip),
            "user_agent": facts.user_agent,
            "protocol_version": facts.protocol_version,
            "encrypted": True,
        },
    }
    return _checked("sessions", draft, "metadata.internal_ip", facts.internal_ip or "")


def event(client_id: str, members: Mapping[str, Any], description: str, details: Mapping[str, str]) -> Draft:
    """A security event; ``members`` are its top-level ones. Raises MessageInvalid."""
    unknown = set(details) - {"source_ip", "target_ip", "user_agent", "error_code"}
    if unknown:
        raise MessageInvalid("an event has no such details", f"details.{min(unknown)[:64]}")
    draft = {"client_id": client_id, **members, "details": {"description": description, **details, "encrypted": True}}
    return _checked("events", draft, "details.description", description)


def _checked(kind: Literal["heartbeat", "sessions", "events"], draft: Draft, sensitive: str = "", text: str = "") -> Draft:
    """The draft, if the server will take it: what it refuses for good must not be accepted here."""
    try:
        if len(text.encode()) > MAX_SENSITIVE_BYTES:
            raise InvalidMessage(f"expected at most {MAX_SENSITIVE_BYTES} bytes", sensitive)
        body = msgspec.json.encode({**draft, "signature": ""})
        if len(body) + len(text) + _SIGNATURE_BYTES > MAX_BODY_BYTES:
            raise InvalidMessage(f"a message has at most {MAX_BODY_BYTES} bytes", "")
        _read(kind, body)
    except InvalidMessage as error:
        raise MessageInvalid(error.detail, error.member) from None
    except (ContractError, UnicodeEncodeError, TypeError):
        raise MessageInvalid("the message cannot be written as JSON") from None
    return draft


def _read(kind: Literal["heartbeat", "sessions", "events"], body: bytes) -> None:
    if kind == "heartbeat":
        decode_message(body, Heartbeat)
    elif kind == "events":
        decode_message(body, SecurityEvent)
    else:
        decode_message(body, SessionReport)


def _given(**members: Any) -> Draft:
    return {name: value for name, value in members.items() if value is not None}
