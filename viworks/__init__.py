"""The client library of the ViWorkS Client Integration Protocol.

identity = Identity.load_or_create("client.key", "laptop-7")
async with Client("https://ingest.example:8443", identity, device=device) as client:
    await client.register()
    await client.heartbeat(Metrics(uptime=12, memory_usage=41.0, cpu_usage=3.5, network_activity=80))
    await client.report_event("authentication_failure", "medium", "wrong password, third time")
"""

from schemas.messages import (
    ClientConfig,
    ClientStatus,
    PolicySet,
    RegistrationAnswer,
    SecurityEventType,
    SecuritySeverity,
    SessionStatus,
    SessionType,
)
from viworks.client import Client
from viworks.drafts import Device, Metrics
from viworks.errors import (
    AnswerNotTrusted,
    ClientError,
    Forked,
    KeyFileError,
    MessageInvalid,
    NoKeyStore,
    NotApproved,
    Refused,
    SpoolError,
    SpoolFailed,
    SpoolFull,
    SpoolInUse,
    Unreachable,
)
from viworks.identity import Identity
from viworks.transport import HttpTransport, Response, Transport

__all__ = [
    "AnswerNotTrusted",
    "Client",
    "ClientConfig",
    "ClientError",
    "ClientStatus",
    "Device",
    "Forked",
    "HttpTransport",
    "Identity",
    "KeyFileError",
    "MessageInvalid",
    "Metrics",
    "NoKeyStore",
    "NotApproved",
    "PolicySet",
    "Refused",
    "RegistrationAnswer",
    "Response",
    "SecurityEventType",
    "SecuritySeverity",
    "SessionStatus",
    "SessionType",
    "SpoolError",
    "SpoolFailed",
    "SpoolFull",
    "SpoolInUse",
    "Transport",
    "Unreachable",
]
