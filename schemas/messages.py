"""The messages of the protocol (DESIGN §1): exact names, enumerations and optionality.

All times are integer milliseconds since the epoch. Unknown members are ignored here; they stay in the signed bytes.
"""

from __future__ import annotations

import re
import typing
from enum import StrEnum
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from schemas.errors import InvalidMessage, NotJson

MAX_BODY_BYTES = 256 * 1024

MAINTENANCE_MAX_S = 4 * 3_600
GONE_AFTER_S = 30 * 86_400
"""Of a policy that does not say."""

ClientId = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}\Z")]
Identifier = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"\A[^\x00-\x1f\x7f]+\Z")]
Text = Annotated[str, Meta(max_length=1024)]
DeviceText = Annotated[str, Meta(max_length=4096)]
"""As many characters as the longest envelope of 1,024 bytes takes, of either suite."""
LongText = Annotated[str, Meta(max_length=64 * 1024)]
Millis = Annotated[int, Meta(ge=0, le=253_402_300_799_999)]  # up to the end of year 9999
NonNegative = Annotated[float, Meta(ge=0)]
SignatureText = Annotated[str, Meta(max_length=128)]
PemKey = Annotated[str, Meta(max_length=512)]
Csr = Annotated[str, Meta(max_length=8192)]


class ClientStatus(StrEnum):
    ONLINE = "online"
    OFFLINE = "offline"
    ERROR = "error"
    MAINTENANCE = "maintenance"


class SessionType(StrEnum):
    VPN_CONNECTION = "vpn_connection"
    SPA_SIGNAL = "spa_signal"
    ADMIN_ACCESS = "admin_access"


class SessionStatus(StrEnum):
    ACTIVE = "active"
    DISCONNECTED = "disconnected"
    TERMINATED = "terminated"
    ERROR = "error"


class SecurityEventType(StrEnum):
    AUTHENTICATION_FAILURE = "authentication_failure"
    CERTIFICATE_ERROR = "certificate_error"
    CONNECTION_ATTEMPT = "connection_attempt"
    POLICY_VIOLATION = "policy_violation"
    SUSPICIOUS_ACTIVITY = "suspicious_activity"
    SYSTEM_ERROR = "system_error"


class SecuritySeverity(StrEnum):
    INFO = "info"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class DeviceInfo(Struct, frozen=True, kw_only=True):
    """The device's fingerprint. Sensitive: every member but ``encrypted``."""

    os_type: DeviceText
    os_version: DeviceText
    device_id: DeviceText
    hardware_hash: DeviceText
    encrypted: bool


class ClientRegistration(Struct, frozen=True, kw_only=True):
    """``POST /clients/register``. ``public_key`` is PEM (Ed25519 SubjectPublicKeyInfo).

    With ``csr`` (PKCS #10, PEM) the client asks for a TLS certificate at once.
    """

    client_id: ClientId
    public_key: PemKey
    capabilities: Annotated[list[Identifier], Meta(max_length=64)]
    version: Identifier
    node_id: Identifier | UnsetType | None = UNSET
    device_info: DeviceInfo
    csr: Csr | UnsetType | None = UNSET
    timestamp: Millis
    signature: SignatureText


class ClientMetrics(Struct, frozen=True, kw_only=True):
    """``uptime`` in seconds, usages in per cent, ``network_activity`` a level. ``sealed`` is opaque to the server."""

    uptime: NonNegative
    memory_usage: NonNegative
    cpu_usage: NonNegative
    network_activity: NonNegative
    encrypted: bool
    sealed: LongText | UnsetType | None = UNSET


class Heartbeat(Struct, frozen=True, kw_only=True):
    """``POST /clients/heartbeat``."""

    client_id: ClientId
    timestamp: Millis
    status: ClientStatus
    metrics: ClientMetrics
    signature: SignatureText


class SessionMetadata(Struct, frozen=True, kw_only=True):
    """``client_ip`` is anonymised, ``internal_ip`` sensitive."""

    node_id: Identifier
    client_ip: Text
    internal_ip: LongText | UnsetType | None = UNSET
    user_agent: Text
    protocol_version: Text
    encrypted: bool


class SessionReport(Struct, frozen=True, kw_only=True):
    """``POST /clients/sessions``."""

    client_id: ClientId
    session_id: Identifier
    session_type: SessionType
    start_time: Millis
    end_time: Millis | UnsetType | None = UNSET
    status: SessionStatus
    metadata: SessionMetadata
    signature: SignatureText


class EventDetails(Struct, frozen=True, kw_only=True):
    """``description`` is sensitive, the addresses are anonymised."""

    description: LongText
    source_ip: Text | UnsetType | None = UNSET
    target_ip: Text | UnsetType | None = UNSET
    user_agent: Text | UnsetType | None = UNSET
    error_code: Text | UnsetType | None = UNSET
    encrypted: bool


class SecurityEvent(Struct, frozen=True, kw_only=True):
    """``POST /clients/events``."""

    client_id: ClientId
    event_id: Identifier
    event_type: SecurityEventType
    severity: SecuritySeverity
    timestamp: Millis
    details: EventDetails
    signature: SignatureText


class KeyRotation(Struct, frozen=True, kw_only=True):
    """``POST /clients/keys``: signed by the key in force. ``public_key`` is the new key (PEM, SubjectPublicKeyInfo).

    ``proof`` is the new key's own signature over ``signing.rotation_proof_bytes``: whoever asks holds it.
    """

    client_id: ClientId
    public_key: PemKey
    proof: SignatureText
    timestamp: Millis
    signature: SignatureText


class CertificateRequest(Struct, frozen=True, kw_only=True):
    """``POST /clients/certificates``. ``csr`` is PKCS #10, PEM; its subject is not looked at."""

    client_id: ClientId
    csr: Csr
    timestamp: Millis
    signature: SignatureText


class ClientConfig(Struct, frozen=True, kw_only=True):
    """What the server asks of a client.

    ``heartbeat_interval`` in seconds, ``sealing_key`` the SOC's public key and ``policy_key`` the key that signs
    configuration and policies, both PEM.
    """

    heartbeat_interval: int
    policy_version: int
    sealing_key: str
    sealing_key_id: str
    policy_key: str
    privacy_mode: str


class SignedConfig(ClientConfig, frozen=True, kw_only=True):
    """``GET /clients/config``, signed by the server over the body with a blank signature."""

    signature: str


class RegistrationAnswer(Struct, frozen=True, kw_only=True):
    """The answer to a registration. ``expires_at`` in milliseconds since the epoch, ``certificate`` PEM where asked for."""

    client_id: str
    api_key: str
    expires_at: int
    config: ClientConfig
    certificate: str | UnsetType = UNSET


class RegistrationPending(Struct, frozen=True, kw_only=True):
    """The client waits for an administrator's approval: register again later, with a newer timestamp."""

    client_id: str
    status: Literal["pending"]


class Accepted(Struct, frozen=True, kw_only=True):
    """The message is stored."""

    status: Literal["accepted"]


class HeartbeatAccepted(Struct, frozen=True, kw_only=True):
    """The heartbeat is stored. Where ``policy_version`` is newer than the client's, it fetches the policies."""

    status: Literal["accepted"]
    policy_version: int


class KeyAnswer(Struct, frozen=True, kw_only=True):
    """The answer to a key rotation: the new key's API key. Times in milliseconds since the epoch.

    API keys of the old key stay good until ``old_key_until``.
    """

    client_id: str
    key_id: str
    api_key: str
    expires_at: int
    old_key_until: int


class CertificateAnswer(Struct, frozen=True, kw_only=True):
    """A TLS certificate (PEM) and an API key that is bound to it (RFC 8705)."""

    client_id: str
    certificate: str
    api_key: str
    expires_at: int


class Policy(Struct, frozen=True, kw_only=True):
    """One policy that applies to a client. Intervals and ages in seconds; ``key_max_age_s`` None asks for no rotation.

    ``reporting`` says what to send: ``heartbeat``, ``sessions``, ``events``. Silence counts after ``maintenance_max`` in
    maintenance; a client that is silent for ``gone_after`` counts as gone.
    """

    policy_id: str
    version: int
    heartbeat_interval: int
    reporting: tuple[str, ...]
    key_max_age_s: int | None = None
    maintenance_max: int = MAINTENANCE_MAX_S
    gone_after: int = GONE_AFTER_S


class PolicySet(Struct, frozen=True, kw_only=True):
    """``GET /clients/policies``: signed by the server over the body with a blank signature.

    All policies that select the client, in the order of their precedence: the first is in force.
    """

    policy_version: int
    policies: list[Policy]
    key_id: str
    signature: str


Message = ClientRegistration | Heartbeat | SessionReport | SecurityEvent | KeyRotation | CertificateRequest
M = TypeVar("M", ClientRegistration, Heartbeat, SessionReport, SecurityEvent, KeyRotation, CertificateRequest)

_DECODERS: dict[type[Message], msgspec.json.Decoder[Any]] = {
    kind: msgspec.json.Decoder(kind) for kind in typing.get_args(Message)
}
_NESTED: dict[type[Message], str] = {
    ClientRegistration: "device_info",
    Heartbeat: "metrics",
    SessionReport: "metadata",
    SecurityEvent: "details",
}
_PATH = re.compile(r" - at `(?:key in )?\$\.?([^`]*)`")
_MISSING = re.compile(r"Object missing required field `(\w+)`")


def decode_message(body: bytes, kind: type[M]) -> M:
    """Decode and validate a body.

    Raises:
        NotJson: not well-formed JSON.
        InvalidMessage: a member is missing, of another type or out of range. Values are never repeated.
    """
    try:
        message: M = _DECODERS[kind].decode(body)
    except msgspec.ValidationError as error:
        raise invalid_message(str(error)) from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise NotJson("the body is not well-formed JSON") from None
    nested = _NESTED.get(kind)
    if nested and not getattr(message, nested).encrypted:
        raise InvalidMessage("expected true", f"{nested}.encrypted")
    return message


def invalid_message(text: str) -> InvalidMessage:
    """What is wrong and where, from the text of a ``msgspec.ValidationError``; without the value that was found."""
    path = _PATH.search(text)
    member = path.group(1) if path else ""
    detail = text[: path.start()] if path else text
    missing = _MISSING.search(detail)
    if missing:
        member = f"{member}.{missing.group(1)}" if member else missing.group(1)
        return InvalidMessage("the member is missing", member)
    if detail.startswith("Invalid enum value"):
        detail = "not one of the values that the protocol names"
    return InvalidMessage(detail, member)
