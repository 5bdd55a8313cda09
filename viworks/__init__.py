"""The client library of the ViWorkS Client Integration Protocol.

identity = KeyStore.open("laptop-7.keys", "laptop-7")
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
from viworks.blocking import BlockingClient, BlockingSession
from viworks.client import Client
from viworks.drafts import Device, Metrics
from viworks.errors import (
    AnswerLost,
    AnswerNotTrusted,
    CertificateRefused,
    CircuitOpen,
    ClientError,
    DataTampered,
    Forked,
    KeyFileError,
    MessageInvalid,
    NoKeyStore,
    NotApproved,
    PinMismatch,
    Refused,
    SettingsInvalid,
    SignatureWrong,
    SpoolError,
    SpoolFailed,
    SpoolFull,
    SpoolInUse,
    Unreachable,
)
from viworks.identity import Identity
from viworks.keys import KeyProtector, KeyringProtector, KeyStore, MachineProtector, PassphraseProtector
from viworks.session import SessionReporting
from viworks.spool import Bounds, Spool
from viworks.timing import Timing
from viworks.transport import HttpTransport, Pins, Response, RetryPolicy, TlsSettings, Transport

__all__ = [
    "AnswerLost",
    "AnswerNotTrusted",
    "BlockingClient",
    "BlockingSession",
    "Bounds",
    "CertificateRefused",
    "CircuitOpen",
    "Client",
    "ClientConfig",
    "ClientError",
    "ClientStatus",
    "DataTampered",
    "Device",
    "Forked",
    "HttpTransport",
    "Identity",
    "KeyFileError",
    "KeyProtector",
    "KeyStore",
    "KeyringProtector",
    "MachineProtector",
    "MessageInvalid",
    "Metrics",
    "NoKeyStore",
    "NotApproved",
    "PassphraseProtector",
    "PinMismatch",
    "Pins",
    "PolicySet",
    "Refused",
    "RegistrationAnswer",
    "Response",
    "RetryPolicy",
    "SecurityEventType",
    "SecuritySeverity",
    "SessionReporting",
    "SessionStatus",
    "SessionType",
    "SettingsInvalid",
    "SignatureWrong",
    "Spool",
    "SpoolError",
    "SpoolFailed",
    "SpoolFull",
    "SpoolInUse",
    "Timing",
    "TlsSettings",
    "Transport",
    "Unreachable",
]
